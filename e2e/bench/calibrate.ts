// `bench -- calibrate --pages N --seed S`: counts, on worn sheets with known answers, how often bubbles of each darkness were
// marked, and prints the steps that `shared/omr/confidence.ts` holds. Judge them with `bench -- accuracy` on other seeds.
import { parseArgs } from 'node:util';
import { seeWorn } from './accuracy-threads.ts';

/** Width of the classes that are counted, in units of the page's level, and where they end. */
const FINEST = 0.05;
const MOST = 6;
/** Steps that differ by less than this factor, in chance or in its complement, are one. */
const ALIKE = 1.6;

interface Step {
  below: number;
  all: number;
  marked: number;
}

const classes = (): Step[] =>
  Array.from({ length: Math.round(MOST / FINEST) }, (_, i) => ({ below: (i + 1) * FINEST, all: 0, marked: 0 }));

const count = (steps: Step[], level: number, marked: boolean): void => {
  const step = steps[Math.min(steps.length - 1, Math.floor(level / FINEST))]!;
  step.all++;
  if (marked) step.marked++;
};

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
  // on plain counts: half a case more or less is all that parts small classes
  for (let i = 1; i < pooled.length; ) {
    const [a, b] = [pooled[i - 1]!, pooled[i]!];
    const [p, q] = [chance(a), chance(b)];
    const few = a.marked === 0 && b.marked === 0;
    const full = a.marked === a.all && b.marked === b.all;
    if (few || full || (q < ALIKE * p && 1 - p < ALIKE * (1 - q))) {
      pooled.splice(i - 1, 2, { below: b.below, all: a.all + b.all, marked: a.marked + b.marked });
      i = Math.max(1, i - 1);
    } else i++;
  }
  return pooled;
};

const told = (steps: readonly Step[]): (readonly [below: number, chance: number, all: number, marked: number])[] =>
  rising(steps).map((step) => [
    Math.round(step.below * 100) / 100,
    Number(chance(step).toPrecision(6)),
    step.all,
    step.marked,
  ]);

export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pages: { type: 'string', default: '200' },
      seed: { type: 'string', default: '11' },
      json: { type: 'boolean' },
    },
  });
  const [pages, seed] = [Number(values.pages), Number(values.seed)];
  if (!Number.isInteger(pages) || pages < 1 || !Number.isInteger(seed))
    throw new Error('--pages and --seed are numbers');
  const [alone, beside] = [classes(), classes()];
  const unseen = { all: 0, wrong: 0 };
  const misaligned = { all: 0, wrong: 0 };
  for (const level of [1, 2, 3] as const) {
    await seeWorn({ template: 'sheaf-150', level, seed, dpi: 200, pages }, ({ flags, fields, groups }) => {
      if (flags.includes('alignment')) {
        misaligned.all += fields.length;
        misaligned.wrong += fields.filter(({ value, truth }) => value !== truth).length;
        return;
      }
      for (const { top, topMarked, second, secondMarked, seen } of groups) {
        if (!seen) {
          unseen.all++;
          if (topMarked !== top >= 1 || secondMarked !== second >= 1) unseen.wrong++;
          continue;
        }
        count(alone, top, topMarked);
        if (top >= 0.6) count(beside, second, secondMarked);
      }
    });
    process.stderr.write(`level ${level}\n`);
  }
  return { bench: 'calibrate', pages, seed, alone: told(alone), beside: told(beside), unseen, misaligned };
};
