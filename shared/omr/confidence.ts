// How sure a reading is: the chance that a bubble was marked, by how dark it is over its page's level. Counted, not thought up:
// the steps are what `npm run -s bench -- calibrate --pages 160 --seed 11` prints, over 480 worn sheets at the three levels of
// the corpus, their cases beside them. `bench -- accuracy` judges them on sheets of other seeds.

/** Chance of being marked below each darkness, in units of the page's level. */
type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
const ALONE: Steps = [
  [0.1, 1 / 818], // 1 of 1,226
  [0.3, 1 / 244], // 0 of 121
  [0.5, 0.38], // 6 of 16
  [0.6, 0.84], // 13 of 15
  [0.85, 0.98], // 266 of 271
  [1.4, 0.9936], // 3,186 of 3,206
  [1.65, 0.9992], // 3,182 of 3,184
  [Number.POSITIVE_INFINITY, 1 - 8e-6], // 63,274 of 63,274
];

/** Of the second darkest, beside one that is marked. */
const BESIDE: Steps = [
  [0.6, 7.2e-6], // 0 of 68,969
  [0.65, 0.028], // 1 of 53
  [0.95, 0.083], // 16 of 198
  [1.2, 0.21], // 21 of 100
  [1.45, 0.37], // 38 of 103
  [1.6, 0.71], // 35 of 49
  [1.75, 0.83], // 22 of 26
  [Number.POSITIVE_INFINITY, 0.9989], // 437 of 437
];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: 8 of 78 were wrong. */
export const UNSEEN_ERROR = 0.1;
/** On a page that does not lie where its print is. Too few of the worn sheets are such; an estimate on the safe side. */
export const MISALIGNED_ERROR = 0.1;

const chanceAt = (steps: Steps, level: number): number => {
  for (const [below, chance] of steps) if (level < below) return chance;
  return 1;
};

/** Chance that the darkest bubble of a group was marked. @param level its darkness over the page's level */
export const markedAlone = (level: number): number => chanceAt(ALONE, level);

/** Chance that a bubble was marked too that lies beside a darker one. @param level its darkness over the page's level */
export const markedBeside = (level: number): number => chanceAt(BESIDE, level);

/** Darker than this the darkest bubble of a group is likelier marked than not. */
const LIKELY = 0.5;

/**
 * Chance of each bubble of a group that it was marked.
 * @param levels their darkness over the page's level: `fills` over `threshold` of a reading, so that it can be asked of
 *   readings that were kept
 */
export const markChances = (levels: readonly number[]): number[] => {
  const darkest = levels.indexOf(Math.max(...levels));
  const alone = markedAlone(levels[darkest] ?? 0);
  return levels.map((level, i) => (i === darkest || alone < LIKELY ? markedAlone(level) : markedBeside(level)));
};

/** Confidence in a field by the chance of a mistake in it: never 1, for nothing is certain. */
export const confidenceOf = (error: number): number => Math.round((1 - Math.min(0.9, error)) * 1e6) / 1e6;
