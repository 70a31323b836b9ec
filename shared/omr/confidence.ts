// How sure a reading is: the chance that a bubble was marked, by how dark it is over its page's level. Counted, not thought up:
// confidence-steps.ts is what `bench -- calibrate` wrote, and `bench -- accuracy` judges it on sheets of other seeds.
import { ALONE, BESIDE, type Steps } from './confidence-steps.ts';

const chanceAt = (steps: Steps, level: number): number => {
  for (let i = 0; i < steps.length; i++) if (level < steps[i]![0]) return steps[i]![1];
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
