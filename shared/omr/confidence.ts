// How sure a reading is: the chance that a bubble was marked, by how dark it is over its page's level. Counted, not thought up:
// the steps are what `npm run -s bench -- calibrate --pages 100 --seed 11` prints, over 300 worn sheets at the three levels of
// the corpus, their cases beside them. `bench -- accuracy` judges them on sheets of other seeds.

/** Chance of being marked below each darkness, in units of the page's level. */
type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
const ALONE: Steps = [
  [0.1, 0.0019], // 1 of 799
  [0.2, 0.0068], // 0 of 72
  [0.3, 0.056], // 0 of 8
  [0.45, 0.3], // 1 of 4
  [0.6, 0.71], // 13 of 18
  [0.9, 0.985], // 233 of 236
  [1.4, 1 - 0.0063], // 1,964 of 1,976
  [1.6, 1 - 0.0015], // 1,623 of 1,625
  [1.8, 1 - 0.00029], // 1,716 of 1,716
  [2.1, 1 - 0.00012], // 4,222 of 4,222
  [Number.POSITIVE_INFINITY, 1 - 8e-6], // 63,274 of 63,274 above 1.65, on 160 pages a level
];

/** Of the second darkest, beside one that is marked. */
const BESIDE: Steps = [
  [0.1, 7.2e-6], // 0 of 68,969 below 0.6, on 160 pages a level
  [0.2, 0.00015], // 0 of 3,266
  [0.6, 0.00075], // 0 of 666
  [0.75, 0.039], // 3 of 89
  [0.9, 0.069], // 4 of 64
  [1.2, 0.14], // 12 of 91
  [1.4, 0.31], // 19 of 62
  [1.6, 0.57], // 20 of 35
  [1.8, 0.72], // 19 of 26
  [2.1, 0.99], // 41 of 41
  [Number.POSITIVE_INFINITY, 1 - 0.0022], // 227 of 227
];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: 6 of 29 were wrong. */
export const UNSEEN_ERROR = 0.21;
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
