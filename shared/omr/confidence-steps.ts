// What was counted about bubbles of each darkness, written by
// `npm run -s bench -- calibrate --pages 1000 --seed 11 --write`
// over 3000 worn sheets in equal parts of the three levels of the corpus.

/** Chance of being marked below each darkness, in units of the page's level. */
export type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
export const ALONE: Steps = [
  [0.1, 0.00020778501], // 1 of 7218
  [0.3, 0.00043478261], // 0 of 1149
  [0.4, 0.19166667], // 11 of 59
  [0.5, 0.49193548], // 30 of 61
  [0.6, 0.88095238], // 129 of 146
  [0.7, 0.95710784], // 390 of 407
  [1, 0.98817935], // 3636 of 3679
  [1.1, 0.99404154], // 2919 of 2936
  [1.4, 0.9961465], // 15122 of 15180
  [1.5, 0.99771183], // 7194 of 7210
  [1.6, 0.99913704], // 8683 of 8690
  [1.7, 0.99971516], // 8774 of 8776
  [1.9, 0.99992652], // 20412 of 20413
  [Number.POSITIVE_INFINITY, 0.99999865], // 371268 of 371268
];

/** Of the second darkest, beside one that is marked. */
export const BESIDE: Steps = [
  [0.4, 0.0000011618342], // 0 of 430353
  [0.5, 0.0021588946], // 2 of 1157
  [0.6, 0.006232023], // 6 of 1042
  [0.7, 0.016061453], // 11 of 715
  [0.8, 0.052184466], // 21 of 411
  [1, 0.10375817], // 63 of 611
  [1.1, 0.16366366], // 54 of 332
  [1.3, 0.28202847], // 158 of 561
  [1.5, 0.49026764], // 201 of 410
  [1.6, 0.803125], // 128 of 159
  [1.8, 0.91767068], // 228 of 248
  [1.9, 0.99025974], // 152 of 153
  [Number.POSITIVE_INFINITY, 0.99979236], // 2407 of 2407
];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: 148 of 393 were wrong. */
export const UNSEEN_ERROR = 0.3769;

/** Chance of a mistake in a field on a page that does not lie where its print is: 17 of 1064. */
export const MISALIGNED_ERROR = 0.01643;
