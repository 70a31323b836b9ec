// How many wrong values are left in a batch, told from the chances that the engine gave its own readings: what review has
// still to do, and what it cannot find. A value that a person decided counts as right.
import type { SheetLine } from './protocol/sync.ts';
import { decided, type Ruling, waitingFields } from './review.ts';
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
}

/** @param pages sheets as the feed tells them, each with what people decided of its fields */
export function residualOf(pages: Iterable<{ line: SheetLine; ruled: ReadonlyMap<string, Ruling> }>): Residual {
  const sum: Residual = { left: 0, fields: 0, wrong_now: 0, wrong_after: 0 };
  for (const { line, ruled } of pages) {
    if (line[3] !== 'sheet') continue;
    const notes = unpackNotes(line[13]);
    const waiting = waitingFields(notes, ruled);
    sum.left += waiting.size;
    if (decided(ruled, 'void') === 'true') continue;
    const labels = new Set(notes.map(({ label }) => label));
    // Mostly a sheet has all of its questions, and a batch has thousands of sheets.
    const whole = !line[12].includes('|');
    sum.fields += whole ? line[11] : unpackValues(line[12], line[11]).filter((value) => value !== null).length;
    if (line[9] !== null || labels.has('roll')) sum.fields++;
    if (line[10] !== null || labels.has('variant')) sum.fields++;
    let unasked = line[14];
    for (const { label, confidence, flags } of notes) {
      const open = 1 - confidence;
      if (flags.includes('doubtful')) sum.wrong_now += waiting.has(label) ? open : 0;
      // The sheet's chance holds every field that nobody is asked about; this one somebody has looked at all the same.
      else if (decided(ruled, label) !== null) unasked -= open;
    }
    sum.wrong_after += Math.max(0, unasked);
  }
  sum.wrong_now += sum.wrong_after;
  return sum;
}

/** Binary fractions of a whole number come out a little above it. */
const ROUNDING = 1e-9;

/** Of so many fields: wrong ones to be expected at most, rounded up. */
export const wrongIn = (wrong: number, fields: number, of = 10_000): number =>
  fields === 0 ? 0 : Math.max(0, Math.ceil((wrong / fields) * of - ROUNDING));
