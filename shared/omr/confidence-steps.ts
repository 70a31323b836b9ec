// What was counted about bubbles of each darkness.

/** Chance of being marked below each darkness, in units of the page's level. */
export type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
export const ALONE: Steps = [
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
export const BESIDE: Steps = [
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
