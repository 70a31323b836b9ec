// What was counted about bubbles of each darkness, written by
// `npm run -s bench -- calibrate --pages 1000 --seed 11 --write`
// over 3000 worn sheets in equal parts of the three levels of the corpus.

/** Chance of being marked below each darkness, in units of the page's level. */
export type Steps = readonly (readonly [below: number, chance: number])[];

/** Of the darkest bubble of a group. */
export const ALONE: Steps = [
  [0.1, 0.00020813098], // 1 of 7206
  [0.3, 0.00042955326], // 0 of 1163
  [0.4, 0.18421053], // 10 of 56
  [0.5, 0.49193548], // 30 of 61
  [0.6, 0.88562092], // 135 of 152
  [0.7, 0.9556962], // 377 of 394
  [0.8, 0.98612946], // 746 of 756
  [1, 0.99219563], // 2860 of 2882
  [1.2, 0.9976508], // 6582 of 6597
  [1.4, 0.99881931], // 11420 of 11433
  [1.5, 0.99950857], // 7118 of 7121
  [Number.POSITIVE_INFINITY, 0.99999876], // 404425 of 404425
];

/** Of the second darkest, beside one that is marked. */
export const BESIDE: Steps = [
  [0.4, 0.0000011618207], // 0 of 430358
  [0.5, 0.0021422451], // 2 of 1166
  [0.6, 0.0054401583], // 5 of 1010
  [0.7, 0.017123288], // 12 of 729
  [0.8, 0.052439024], // 21 of 409
  [1, 0.10262726], // 62 of 608
  [1.1, 0.15256798], // 50 of 330
  [1.3, 0.28886926], // 163 of 565
  [1.5, 0.49635922], // 204 of 411
  [1.6, 0.79192547], // 127 of 160
  [1.8, 0.918], // 229 of 249
  [1.9, 0.99032258], // 153 of 154
  [Number.POSITIVE_INFINITY, 0.99979219], // 2405 of 2405
];

/** Chance of a mistake in a group some of whose bubbles lie beyond the raster: 148 of 393 were wrong. */
export const UNSEEN_ERROR = 0.3769;

/** Chance of a mistake in a field on a page that does not lie where its print is: 19 of 1064. */
export const MISALIGNED_ERROR = 0.01831;
