// From darkness to answers: one decision level for the page, then each field by its own bubbles. What falls between is
// flagged for a person.
import type { FieldReading } from '../protocol/reading.ts';
import { type LaidField, optionsOf } from '../template/geometry.ts';

export interface PageLevels {
  /** what an unmarked bubble measures on this page beyond its letter: the paper's own greyness */
  offset: number;
  /** net darkness above which a bubble counts as marked */
  threshold: number;
  /** how far unmarked bubbles spread around that: the middle of their distances */
  spread: number;
}

/** Middle of sorted numbers. */
const median = (sorted: ArrayLike<number>): number => sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;

/** Less than this above its surroundings is no mark at all, whatever the page looks like. */
const LEAST_MARK = 0.15;
/** Unmarked paper is never darker than this beyond its print, not even where most bubbles are marked. */
const MOST_OFFSET = 0.12;
/** Net darkness taken for typical when a page has fewer than three marks: a fully blank sheet stays blank. */
const TYPICAL_MARK = 0.5;

/**
 * The page's level: a third of the way from what blanks measure to what marks measure, and beyond the spread of the
 * blanks. Blanks are the lower 70 % of bubbles, for at most one option in three is ever marked. The constants were the
 * flat optimum over 73,995 bubbles of 147 real pages (0.3 to 0.4 of the way, 3 to 5 deviations).
 */
export const pageLevels = (dark: Float64Array, expected: Float64Array): PageLevels => {
  const raw = new Float64Array(dark.length);
  for (let i = 0; i < raw.length; i++) raw[i] = dark[i]! - expected[i]!;
  raw.sort();
  const lower = raw.slice(0, Math.max(1, Math.ceil(raw.length * 0.7)));
  const offset = Math.min(MOST_OFFSET, median(lower));
  for (let i = 0; i < lower.length; i++) lower[i] = Math.abs(lower[i]! - offset);
  const spread = median(lower.sort());
  const least = offset + Math.max(LEAST_MARK, 6 * spread);
  let first = raw.length;
  while (first > 0 && raw[first - 1]! > least) first--;
  const marked = raw.subarray(first);
  const typical = marked.length < 3 ? TYPICAL_MARK : median(marked) - offset;
  const threshold = Math.min(0.35, Math.max(0.05, 0.35 * typical, 4 * spread));
  return { offset, threshold, spread };
};

/** Net darkness of every bubble: over paper, letter and the page's own greyness, never below 0. */
export const netDarkness = (dark: Float64Array, expected: Float64Array, offset: number): Float64Array =>
  dark.map((d, i) => Math.max(0, d - expected[i]! - offset));

type Flag = FieldReading['flags'][number];

interface Choice {
  marked: number[];
  /** 0 to 1: how far the bubbles are from the nearest limit; 0 when a person should look */
  margin: number;
  flags: Flag[];
}

// All in units of the page's level, which is a third of a typical mark.
/** A lone bubble from here on is a mark beyond doubt: what erasers leave is under it. */
const SURE_MARK = 0.95;
/** A lone bubble below that counts as a faint mark from here on … */
const FAINT = 0.6;
/** … if it leads the others by this much. */
const LEAD = 0.4;
/** Below this nothing was marked; grainy paper and dark letters raise it, up to the second figure. */
const SURE_BLANK = [0.4, 0.65] as const;
/** Beside a mark, what stays under this is dirt or what an eraser left … */
const SURE_REST = 0.78;
/** … and from here on, unless it is much weaker than the mark, a second mark. */
const SURE_SECOND = 1.35;
/** Beside a strong mark, one this much weaker is what an eraser left, and a person looks. */
const ERASED_SHARE = 0.4;

/** How far a level is from a limit, 0 at it and 1 far away, on a scale that is the same on both sides. */
const clearance = (level: number, limit: number): number => Math.min(1, Math.abs(level - limit) / limit);

/** @param grain how far blanks spread, in units of the level */
export const decideGroup = (
  net: ArrayLike<number>,
  first: number,
  count: number,
  threshold: number,
  grain = 0,
): Choice => {
  let [top, second, best] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const level = net[first + i]! / threshold;
    if (level > top) [top, second, best] = [level, top, i];
    else if (level > second) second = level;
  }
  const blankBelow = Math.min(SURE_BLANK[1], Math.max(SURE_BLANK[0], 8 * grain));
  if (top < FAINT || (top < SURE_MARK && top - second < LEAD)) {
    const sure = top < blankBelow;
    return {
      marked: [],
      margin: sure ? clearance(top, blankBelow) : 0,
      flags: sure ? ['blank'] : ['blank', 'doubtful'],
    };
  }
  if (top < SURE_MARK) return { marked: [best], margin: 0, flags: ['faint', 'doubtful'] };
  if (second < SURE_REST) {
    return { marked: [best], margin: Math.min(clearance(top, SURE_MARK), clearance(second, SURE_REST)), flags: [] };
  }
  const marked: number[] = [];
  let [sure, erased, margin] = [true, false, 1];
  for (let i = 0; i < count; i++) {
    const level = net[first + i]! / threshold;
    if (level < SURE_REST) continue;
    if (level < SURE_SECOND) sure = false;
    if (level < ERASED_SHARE * top) erased = true;
    else if (level > 1) marked.push(i);
    margin = Math.min(margin, clearance(level, SURE_SECOND));
  }
  const flags: Flag[] = [];
  if (erased) flags.push('erased');
  if (marked.length > 1) flags.push('multiple');
  if (erased || !sure) flags.push('doubtful');
  if (marked.length === 0) marked.push(best);
  return { marked, margin: erased || !sure ? 0 : margin, flags };
};

/** An ordering, not yet a calibration: doubtful fields were wrong about one time in 60 on a few worn sheets, the other
 *  steps are estimates, to be fitted on a corpus that the rules were not tuned on. Never 1: nothing is certain. */
const confidenceOf = (margin: number): number => {
  const error = margin === 0 ? 1 / 60 : margin < 0.1 ? 3e-4 : margin < 0.3 ? 3e-5 : 5e-6;
  return Math.round((1 - error) * 1e6) / 1e6;
};

/** @param grain how far the page's blanks spread, in units of the level */
export const decideField = (field: LaidField, net: ArrayLike<number>, threshold: number, grain = 0): FieldReading => {
  const groups = field.groups.map((first, i) => decideGroup(net, first, optionsOf(field, i).length, threshold, grain));
  const confidence = confidenceOf(Math.min(...groups.map(({ margin }) => margin)));
  const { label } = field;
  if (field.type === 'choice') {
    const [only] = groups as [Choice];
    return { label, value: only.marked.map((i) => field.options[i]!).join('|'), confidence, flags: only.flags };
  }
  const characters = groups.map(({ marked }, i) =>
    marked.length === 0 ? '_' : marked.length > 1 ? '?' : optionsOf(field, i)[marked[0]!]!,
  );
  const some = (flag: Flag): boolean => groups.some(({ flags }) => flags.includes(flag));
  const blank = groups.every(({ marked }) => marked.length === 0);
  const flags: Flag[] = [];
  if (blank) flags.push('blank');
  for (const flag of ['multiple', 'faint', 'erased'] as const) if (some(flag)) flags.push(flag);
  // a number with a gap in it is no number: someone forgot a column, or the engine missed a mark
  if (some('doubtful') || (!blank && characters.includes('_'))) flags.push('doubtful');
  return { label, value: characters.join(''), confidence, flags };
};
