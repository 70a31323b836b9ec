// How sure a reading is: chances that a bubble was marked, by how dark it is, counted on worn sheets with known answers.

/** Chance of being marked below each darkness, in units of the page's level. */
type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
const ALONE: Steps = [
  [0.25, 1e-5],
  [0.6, 0.1],
  [0.95, 0.9],
  [1.5, 0.999],
  [99, 0.99999],
];
/** Of a bubble beside a darker one that is marked. */
const BESIDE: Steps = [
  [0.3, 1e-5],
  [0.78, 1e-3],
  [1.35, 0.5],
  [99, 0.99],
];

/** Chance of a mistake where bubbles lie beyond the raster, and where no outline is where it should be. */
export const UNSEEN_ERROR = 0.2;
export const MISALIGNED_ERROR = 0.1;

const chanceAt = (steps: Steps, level: number): number => steps.find(([below]) => level < below)![1];

/** Chance that the darkest bubble of a group was marked. @param level its darkness over the page's level */
export const markedAlone = (level: number): number => chanceAt(ALONE, level);

/** Chance that a bubble was marked too that lies beside a darker one. @param level its darkness over the page's level */
export const markedBeside = (level: number): number => chanceAt(BESIDE, level);

/** Confidence in a field by the chance of a mistake in it: never 1, for nothing is certain. */
export const confidenceOf = (error: number): number => Math.round((1 - Math.min(0.9, error)) * 1e6) / 1e6;
