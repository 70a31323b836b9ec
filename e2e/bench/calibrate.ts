// `bench -- calibrate --pages N --seed S [--levels 1,2,3] [--keep FILE] [--minutes M] [--write]`: counts, on worn sheets with
// known answers, how often bubbles of each darkness were marked; `--write` puts the steps where the engine takes them from.
// Judge them with `bench -- accuracy` on other seeds.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SURE_REST } from '../../shared/omr/decide.ts';
import { askedBy, seeWorn, WORN_OPTIONS } from './worn.ts';
import type { SeenPage } from './worn-pages.ts';

/** Where the classes that are counted end, in units of the page's level. */
const EDGES = [
  0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2, 2.1,
  2.2, 2.4, 2.6, 2.8, 3, 1000,
] as const;
/** Steps that differ by less than this factor, in chance and in its complement, are one. */
const ALIKE = 1.3;

interface Step {
  below: number;
  all: number;
  marked: number;
}

/** Neither 0 nor 1 whatever was counted: half a case on either side. */
const chance = ({ all, marked }: Step): number => (marked + 0.5) / (all + 1);

/** Chances that never fall with darkness: neighbours that would are joined (pool adjacent violators), then those alike. */
const rising = (steps: readonly Step[]): Step[] => {
  const pooled: Step[] = [];
  const join = (): void => {
    const [b, a] = [pooled.pop()!, pooled.pop()!];
    pooled.push({ below: b.below, all: a.all + b.all, marked: a.marked + b.marked });
  };
  for (const step of steps) {
    if (step.all === 0) {
      if (pooled.length > 0) pooled[pooled.length - 1]!.below = step.below;
      continue;
    }
    pooled.push({ ...step });
    while (pooled.length > 1 && chance(pooled.at(-2)!) >= chance(pooled.at(-1)!)) join();
  }
  for (let i = 1; i < pooled.length; ) {
    const [a, b] = [pooled[i - 1]!, pooled[i]!];
    const [p, q] = [chance(a), chance(b)];
    // where nothing was ever marked, or everything, nothing tells two classes apart
    const same = a.marked + b.marked === 0 || a.marked + b.marked === a.all + b.all;
    if (same || (q < ALIKE * p && 1 - p < ALIKE * (1 - q))) {
      pooled.splice(i - 1, 2, { below: b.below, all: a.all + b.all, marked: a.marked + b.marked });
      i = Math.max(1, i - 1);
    } else i++;
  }
  return pooled;
};

type Counts = readonly (readonly [at: number, all: number, marked: number])[];
type Wrong = readonly [all: number, wrong: number];

interface PageTally {
  alone: Counts;
  beside: Counts;
  unseen: Wrong;
  misaligned: Wrong;
}

const classOf = (level: number): number => {
  const at = EDGES.findIndex((below) => level < below);
  return at < 0 ? EDGES.length - 1 : at;
};

const countsOf = (cases: readonly { level: number; marked: boolean }[]): Counts => {
  const counts = new Map<number, [number, number]>();
  for (const { level, marked } of cases) {
    const [all, so] = counts.get(classOf(level)) ?? [0, 0];
    counts.set(classOf(level), [all + 1, so + (marked ? 1 : 0)]);
  }
  return [...counts].map(([at, [all, marked]]) => [at, all, marked]);
};

const tallyOf = ({ flags, fields, groups }: SeenPage): PageTally => {
  if (flags.includes('alignment')) {
    const wrong = fields.filter(({ value, truth }) => value !== truth).length;
    return { alone: [], beside: [], unseen: [0, 0], misaligned: [fields.length, wrong] };
  }
  const seen = groups.filter((group) => group.seen);
  const unseen = groups.filter((group) => !group.seen);
  return {
    // beside one that is nearly as dark the mistake is told by the chance of that one
    alone: countsOf(
      seen.filter(({ second }) => second < SURE_REST).map(({ top, topMarked }) => ({ level: top, marked: topMarked })),
    ),
    beside: countsOf(
      seen.filter(({ top }) => top >= 0.6).map(({ second, secondMarked }) => ({ level: second, marked: secondMarked })),
    ),
    unseen: [unseen.length, unseen.filter(({ wrong }) => wrong).length],
    misaligned: [0, 0],
  };
};

/** Below each darkness: the chance, and what it was counted from. */
type Told = readonly [below: number, chance: number, all: number, marked: number];

const stepsOf = (counts: readonly Counts[]): Told[] => {
  const steps = EDGES.map((below): Step => ({ below, all: 0, marked: 0 }));
  for (const [at, all, marked] of counts.flat()) {
    steps[at]!.all += all;
    steps[at]!.marked += marked;
  }
  return rising(steps).map((step) => [step.below, Number(chance(step).toPrecision(8)), step.all, step.marked]);
};

/** Fewer fields than this say nothing about a kind of page: then one in ten is wrong, which is on the safe side. */
const FEW = 100;
const LEAST_KNOWN = 0.1;

const errorOf = (counts: readonly Wrong[]): { error: number; all: number; wrong: number } => {
  const all = counts.reduce((sum, [some]) => sum + some, 0);
  const wrong = counts.reduce((sum, [, some]) => sum + some, 0);
  return { error: all < FEW ? LEAST_KNOWN : Number(((wrong + 0.5) / (all + 1)).toPrecision(4)), all, wrong };
};

export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({ args: [...args], options: { ...WORN_OPTIONS, write: { type: 'boolean' } } });
  const asked = askedBy(values);
  const seed = Number(values.seed ?? '11');
  if (!Number.isInteger(seed)) throw new Error('--seed is a whole number');
  const seen = await seeWorn({ template: 'sheaf-150', seed, dpi: 200 }, asked, tallyOf);
  const complete = seen.length === asked.pages * asked.levels.length;
  const tallies = seen.map(({ tally }) => tally);
  const counted = {
    alone: stepsOf(tallies.map(({ alone }) => alone)),
    beside: stepsOf(tallies.map(({ beside }) => beside)),
    unseen: errorOf(tallies.map(({ unseen }) => unseen)),
    misaligned: errorOf(tallies.map(({ misaligned }) => misaligned)),
  };
  if (values.write) {
    if (asked.levels.length < 3) throw new Error('--write is for all three levels together');
    const by = `\`npm run -s bench -- calibrate --pages ${asked.pages} --seed ${seed} --write\``;
    writeFileSync(STEPS_FILE, sourceOf(counted, by, seen.length));
  }
  return { bench: 'calibrate', pages: asked.pages, seed, complete, seen: seen.length, ...counted };
};

/** From `dist/e2e/bench`. */
const STEPS_FILE = new URL('../../../shared/omr/confidence-steps.ts', import.meta.url);

interface Counted {
  alone: readonly Told[];
  beside: readonly Told[];
  unseen: { error: number; all: number; wrong: number };
  misaligned: { error: number; all: number; wrong: number };
}

const sourceOf = ({ alone, beside, unseen, misaligned }: Counted, by: string, pages: number): string => {
  const rows = (steps: readonly Told[]): string =>
    steps
      .map(([below, likely, all, marked], i) => {
        const end = i === steps.length - 1 ? 'Number.POSITIVE_INFINITY' : below;
        return `  [${end}, ${likely}], // ${marked} of ${all}\n`;
      })
      .join('');
  return `// What was counted about bubbles of each darkness, written by
// ${by}
// over ${pages} worn sheets in equal parts of the three levels of the corpus.

/** Chance of being marked below each darkness, in units of the page's level. */
export type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
export const ALONE: Steps = [
${rows(alone)}];

/** Of the second darkest, beside one that is marked. */
export const BESIDE: Steps = [
${rows(beside)}];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: ${unseen.wrong} of ${unseen.all} were wrong. */
export const UNSEEN_ERROR = ${unseen.error};

/** Chance of a mistake in a field on a page that does not lie where its print is: ${misaligned.wrong} of ${misaligned.all}. */
export const MISALIGNED_ERROR = ${misaligned.error};
`;
};
