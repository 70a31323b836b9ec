// How many wrong values are left in a batch, told from the chances that the engine gave its own readings: what review has
// still to do, and what it cannot find. A value that a person decided counts as right.
import { mostOf } from './poisson.ts';
import type { SheetLine } from './protocol/sync.ts';
import { decided, type Ruling, type Waiting } from './review.ts';
import { unpackValues } from './scoring/marks.ts';
import { unpackNotes } from './scoring/notes.ts';

export interface Residual {
  /** fields that wait for a person */
  left: number;
  /** fields of all sheets that were read and count */
  fields: number;
  /** wrong values to be expected as things stand, and when all that waits is decided */
  wrong_now: number;
  wrong_after: number;
  /** what the feed's rounding may have taken from the latter */
  rounded: number;
}

/** Half of the last digit of a sheet's chance, and of a field's confidence (scoring/notes.ts). */
const SHEET_ROUNDED = 0.00005;
const FIELD_ROUNDED = 0.005;

/** @param pages sheets as the feed tells them, each with what people decided of its fields and what waits for them */
export function residualOf(
  pages: Iterable<{
    line: SheetLine;
    ruled: ReadonlyMap<string, Ruling>;
    waiting: ReadonlyMap<string, Waiting>;
  }>,
): Residual {
  const sum: Residual = { left: 0, fields: 0, wrong_now: 0, wrong_after: 0, rounded: 0 };
  for (const { line, ruled, waiting } of pages) {
    if (line[3] !== 'sheet') continue;
    const notes = unpackNotes(line[13]);
    sum.left += waiting.size;
    if (decided(ruled, 'void') === 'true') continue;
    const labels = new Set(notes.map(({ label }) => label));
    // Mostly a sheet has all of its questions, and a batch has thousands of sheets.
    const whole = !line[12].includes('|');
    sum.fields += whole ? line[11] : unpackValues(line[12], line[11]).filter((value) => value !== null).length;
    if (line[9] !== null || labels.has('roll')) sum.fields++;
    if (line[10] !== null || labels.has('variant') || waiting.has('variant')) sum.fields++;
    let unasked = line[14];
    sum.rounded += SHEET_ROUNDED;
    for (const { label, confidence, flags } of notes) {
      const open = 1 - confidence;
      if (flags.includes('doubtful')) sum.wrong_now += waiting.has(label) ? open : 0;
      // The sheet's chance holds every field that nobody is asked about; this one somebody has looked at all the same.
      else if (decided(ruled, label) !== null) {
        unasked -= open;
        sum.rounded += FIELD_ROUNDED;
      }
    }
    sum.wrong_after += Math.max(0, unasked);
  }
  sum.wrong_now += sum.wrong_after;
  return sum;
}

/** Binary fractions of a whole number come out a little above it. */
const ROUNDING = 1e-9;

/** In so many of 100 cases what is told as the most is not exceeded. */
export const SURE = 0.95;

/**
 * How many are wrong in 10,000 fields at most, in `SURE` of all cases, as far as the confidences are right (docs/accuracy.md
 * shows how they are judged): a bound on how many of these very fields are wrong (poisson.ts), rounded up. What was rounded
 * on its way here counts at its worst.
 * @param when as things stand, or when all that waits is decided
 */
export function wrongAtMost(residual: Residual, when: 'now' | 'after'): number {
  const { fields, left, wrong_now, wrong_after, rounded } = residual;
  if (fields === 0) return 0;
  const expected = when === 'after' ? wrong_after + rounded : wrong_now + rounded + left * FIELD_ROUNDED;
  return Math.max(0, Math.ceil((Math.min(fields, mostOf(expected, SURE)) / fields) * 10_000 - ROUNDING));
}
