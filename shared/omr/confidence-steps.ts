// What was counted about bubbles of each darkness, written by
// `npm run -s bench -- calibrate --pages 300 --seed 11 --write`
// over 900 worn sheets in equal parts of the three levels of the corpus.

/** Chance of being marked below each darkness, in units of the page's level. */
export type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
export const ALONE: Steps = [
  [0.1, 0.0007068803], // 1 of 2121
  [0.3, 0.0014164306], // 0 of 352
  [0.4, 0.20588235], // 3 of 16
  [0.5, 0.42], // 10 of 24
  [0.6, 0.89], // 44 of 49
  [0.7, 0.97844828], // 113 of 115
  [0.9, 0.98867596], // 567 of 573
  [1, 0.99285714], // 486 of 489
  [1.4, 0.99507068], // 5349 of 5375
  [1.6, 0.99906716], // 4819 of 4823
  [Number.POSITIVE_INFINITY, 0.99999584], // 120304 of 120304
];

/** Of the second darkest, beside one that is marked. */
export const BESIDE: Steps = [
  [0.5, 0.0000038594541], // 0 of 129551
  [0.6, 0.0077399381], // 2 of 322
  [0.7, 0.0325], // 6 of 199
  [0.8, 0.047008547], // 5 of 116
  [1, 0.081460674], // 14 of 177
  [1.2, 0.21005917], // 35 of 168
  [1.3, 0.30246914], // 24 of 80
  [1.5, 0.45555556], // 61 of 134
  [1.6, 0.72641509], // 38 of 52
  [1.8, 0.8943662], // 63 of 70
  [Number.POSITIVE_INFINITY, 0.99938348], // 810 of 810
];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: 54 of 114 were wrong. */
export const UNSEEN_ERROR = 0.4739;

/** Chance of a mistake in a field on a page that does not lie where its print is: 8 of 456. */
export const MISALIGNED_ERROR = 0.0186;
