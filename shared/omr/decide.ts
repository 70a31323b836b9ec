// From darkness to answers: one decision level for the page, then each field by its own bubbles. What falls between is
// flagged for a person.
import { FIELD_FLAGS, type FieldReading } from '../protocol/reading.ts';
import { type LaidField, optionsOf } from '../template/geometry.ts';
import { confidenceOf, markedAlone, markedBeside } from './confidence.ts';
import { UNSEEN_ERROR } from './confidence-steps.ts';
import { isOutside, isRubbed, isScribble, isTick, type Shape } from './shape.ts';

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
  const all = new Float64Array(dark.length);
  for (let i = 0; i < all.length; i++) all[i] = dark[i]! - expected[i]!;
  all.sort();
  // bubbles that are not on the raster are not numbers, and sorted last
  let seen = all.length;
  while (seen > 0 && Number.isNaN(all[seen - 1]!)) seen--;
  const raw = all.subarray(0, seen);
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

/** Net darkness of every bubble: over paper, letter and the page's own greyness, never below 0; NaN where none was seen. */
export const netDarkness = (dark: Float64Array, expected: Float64Array, offset: number): Float64Array =>
  dark.map((d, i) => Math.max(0, d - expected[i]! - offset));

type Flag = FieldReading['flags'][number];

/** A closer look at single bubbles, where the page can give one. */
export interface Look {
  shape(bubble: number): Shape;
  /** whether the outlines of a group's bubbles are there */
  printed(first: number, count: number): boolean;
}

interface Choice {
  marked: number[];
  /** chance that this is not what was marked */
  error: number;
  flags: Flag[];
}

// All in units of the page's level, which is a third of a typical mark. On worn pages of level two blanks stay under 0.15,
// what erasers leave under 0.8, and one deliberate mark in a thousand is under 0.95.
/** A lone bubble from here on is a mark beyond doubt: what erasers leave is under it. */
const SURE_MARK = 0.95;
/** A lone bubble below this may be what a bad eraser left, if it looks so. Of 4,560 questions of level two 44 were as faint, and
 *  one of them looked so. */
const MAY_BE_RUBBED = 1.15;
/** A lone bubble below that counts as a faint mark from here on … */
const FAINT = 0.6;
/** … if it leads the others by this much. */
const LEAD = 0.4;
/** Below this nothing was marked, where what is printed in the bubbles is known and where it is not; grainy paper and dark
 *  letters raise it by so many spreads of the blanks, up to a limit. */
const SURE_BLANK = { known: 0.35, guessed: 0.4 } as const;
const BLANK_GRAINS = 8;
const MOST_BLANK = 0.65;
/** Beside a mark, what stays under this is dirt or what an eraser left … */
export const SURE_REST = 0.78;
/** … and from here on, unless it is much weaker than the mark, a second mark. */
const SURE_SECOND = 1.35;
/** Beside a strong mark, one this much weaker is what an eraser left, and a person looks. */
const ERASED_SHARE = 0.4;

/** The level under which a bubble of this page is surely blank, in units of its own. */
export const blankLevel = ({ spread, threshold }: PageLevels, print: keyof typeof SURE_BLANK): number =>
  Math.min(MOST_BLANK, Math.max(SURE_BLANK[print], (BLANK_GRAINS * spread) / threshold));

/** Whatever the rules say, a likelier mistake than this goes to a person; where the print is known, as it was when mistakes
 *  were counted. */
const DOUBT = 0.1;

/** @param blankBelow as `blankLevel` gives it */
export const decideGroup = (
  net: ArrayLike<number>,
  first: number,
  count: number,
  threshold: number,
  blankBelow: number = SURE_BLANK.known,
  look: Look | null = null,
): Choice => {
  let top = 0;
  let second = 0;
  let best = 0;
  let unseen = false;
  for (let i = 0; i < count; i++) {
    const level = net[first + i]! / threshold;
    if (Number.isNaN(level)) unseen = true;
    else if (level > top) {
      second = top;
      top = level;
      best = i;
    } else if (level > second) second = level;
  }
  const choice = bySeen(net, first, count, threshold, { top, second, best, blankBelow });
  if (look) {
    for (const flag of flagsBy(look, choice.marked, first, count)) choice.flags.push(flag);
    if (choice.marked.length === 1 && top < MAY_BE_RUBBED && isRubbed(look.shape(first + best))) {
      choice.flags.push('faint', 'doubtful');
    }
  }
  if (look && choice.error > DOUBT) choice.flags.push('doubtful');
  if (unseen) {
    choice.error = Math.max(choice.error, UNSEEN_ERROR);
    choice.flags.push('doubtful');
  }
  if (choice.flags.length > 1) choice.flags = FIELD_FLAGS.filter((flag) => choice.flags.includes(flag));
  return choice;
};

const flagsBy = (look: Look, marked: readonly number[], first: number, count: number): Flag[] => {
  const flags: Flag[] = [];
  if (marked.length > 0) {
    for (const i of marked) {
      const shape = look.shape(first + i);
      if (isTick(shape)) flags.push('tick');
      // an answer taken back is no answer
      if (isScribble(shape)) flags.push('scribble', 'doubtful');
    }
    return flags;
  }
  // paper without print is no blank answer but a part of the page that is hidden
  if (!look.printed(first, count)) return ['doubtful'];
  for (let i = 0; i < count; i++) if (isOutside(look.shape(first + i))) return ['outside', 'doubtful'];
  return flags;
};

const bySeen = (
  net: ArrayLike<number>,
  first: number,
  count: number,
  threshold: number,
  { top, second, best, blankBelow }: { top: number; second: number; best: number; blankBelow: number },
): Choice => {
  if (top < FAINT || (top < SURE_MARK && top - second < LEAD)) {
    return { marked: [], error: markedAlone(top), flags: top < blankBelow ? ['blank'] : ['blank', 'doubtful'] };
  }
  if (top < SURE_MARK) return { marked: [best], error: 1 - markedAlone(top), flags: ['faint', 'doubtful'] };
  if (second < SURE_REST) {
    return { marked: [best], error: 1 - markedAlone(top) + markedBeside(second), flags: [] };
  }
  const marked: number[] = [];
  let [sure, erased, error] = [true, false, 1 - markedAlone(top)];
  for (let i = 0; i < count; i++) {
    const level = net[first + i]! / threshold;
    if (!(level >= SURE_REST)) continue;
    if (level < SURE_SECOND) sure = false;
    const weak = level < ERASED_SHARE * top;
    if (weak) erased = true;
    else if (level > 1) marked.push(i);
    if (i === best) continue;
    const chance = markedBeside(level);
    error += !weak && level > 1 ? 1 - chance : chance;
  }
  if (marked.length === 0) marked.push(best);
  const flags: Flag[] = [];
  if (erased) flags.push('erased');
  if (marked.length > 1) flags.push('multiple');
  if (erased || !sure) flags.push('doubtful');
  return { marked, error, flags };
};

/** @param blankBelow as `blankLevel` gives it */
export const decideField = (
  field: LaidField,
  net: ArrayLike<number>,
  threshold: number,
  blankBelow: number = SURE_BLANK.known,
  look: Look | null = null,
): FieldReading => {
  const groups = field.groups.map((first, i) =>
    decideGroup(net, first, optionsOf(field, i).length, threshold, blankBelow, look),
  );
  const confidence = confidenceOf(groups.reduce((sum, { error }) => sum + error, 0));
  const { label } = field;
  if (field.type === 'choice') {
    const [only] = groups as [Choice];
    return { label, value: only.marked.map((i) => field.options[i]!).join('|'), confidence, flags: only.flags };
  }
  const characters = groups.map(({ marked }, i) =>
    marked.length === 0 ? '_' : marked.length > 1 ? '?' : optionsOf(field, i)[marked[0]!]!,
  );
  const blank = groups.every(({ marked }) => marked.length === 0);
  const flags = FIELD_FLAGS.filter((flag) => {
    const some = groups.some((group) => group.flags.includes(flag));
    // a number with a gap in it is no number: someone forgot a column, or the engine missed a mark
    return flag === 'blank' ? blank : some || (flag === 'doubtful' && !blank && characters.includes('_'));
  });
  return { label, value: characters.join(''), confidence, flags };
};
