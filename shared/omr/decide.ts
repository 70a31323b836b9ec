// From darkness to answers: one decision level for the page, then each field by its own bubbles. What falls between is
// flagged for a person.
import type { FieldReading } from '../protocol/reading.ts';
import type { LaidField } from '../template/geometry.ts';

export interface PageLevels {
  /** what an unmarked bubble measures on this page beyond its letter: the paper's own greyness */
  offset: number;
  /** net darkness above which a bubble counts as marked */
  threshold: number;
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
  return { offset, threshold };
};

/** Net darkness of every bubble: over paper, letter and the page's own greyness, never below 0. */
export const netDarkness = (dark: Float64Array, expected: Float64Array, offset: number): Float64Array =>
  dark.map((d, i) => Math.max(0, d - expected[i]! - offset));

type Flag = FieldReading['flags'][number];

interface Choice {
  marked: number[];
  /** 0 to 1: distance of the nearest bubble to the level, in units of the level */
  margin: number;
  flags: Flag[];
}

/** Under this margin a person looks: 1.5 % of real rows, and nearly all that were read wrong. */
const DOUBTFUL_MARGIN = 0.35;
/** A lone bubble below the level counts as a faint mark from here on … */
const FAINT = 0.6;
/** … if it leads the others by this much (both in units of the level). */
const LEAD = 0.5;
/** Beside a strong mark, one this much weaker (and near the level) is what an eraser left. */
const ERASED_SHARE = 0.4;
const ERASED_MOST = 1.5;

export const decideGroup = (net: ArrayLike<number>, first: number, count: number, threshold: number): Choice => {
  let marked: number[] = [];
  let [top, second, best] = [0, 0, 0];
  let margin = 1;
  for (let i = 0; i < count; i++) {
    const level = net[first + i]! / threshold;
    if (level > 1) marked.push(i);
    if (level > top) [top, second, best] = [level, top, i];
    else if (level > second) second = level;
    margin = Math.min(margin, Math.abs(level - 1));
  }
  const flags: Flag[] = [];
  if (marked.length === 0 && top > FAINT && top - second > LEAD) {
    marked = [best];
    flags.push('faint');
  } else if (marked.length > 1) {
    const kept = marked.filter((i) => {
      const level = net[first + i]! / threshold;
      return level >= ERASED_SHARE * top || level >= ERASED_MOST;
    });
    if (kept.length < marked.length) flags.push('erased');
    marked = kept;
  }
  if (marked.length === 0) flags.push('blank');
  if (marked.length > 1) flags.push('multiple');
  if (margin < DOUBTFUL_MARGIN || flags.includes('faint') || flags.includes('erased')) flags.push('doubtful');
  return { marked, margin, flags };
};

/** Even odds at the level itself, certain one level away from it. A first, uncalibrated measure. */
const confidenceOf = (margin: number): number => Math.round((0.5 + 0.5 * Math.min(1, margin)) * 1000) / 1000;

export const decideField = (field: LaidField, net: ArrayLike<number>, threshold: number): FieldReading => {
  const groups = field.groups.map((first) => decideGroup(net, first, field.options.length, threshold));
  const confidence = confidenceOf(Math.min(...groups.map(({ margin }) => margin)));
  const { label } = field;
  if (field.type === 'choice') {
    const [only] = groups as [Choice];
    return { label, value: only.marked.map((i) => field.options[i]!).join('|'), confidence, flags: only.flags };
  }
  const characters = groups.map(({ marked }) =>
    marked.length === 0 ? '_' : marked.length > 1 ? '?' : field.options[marked[0]!]!,
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
