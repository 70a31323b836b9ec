import { expect, test, vi } from 'vitest';
import { drawBlank, drawSheet } from '../corpus/draw.ts';
import { randomContent } from '../corpus/sample.ts';
import { expose, streak, turn } from '../corpus/wear.ts';
import { BUILT_IN, builtIn, COVER } from '../template/built-in.ts';
import type { GrayImage } from './image.ts';
import { looksLikeSheet } from './look.ts';
import { readPage } from './read-page.ts';
import { findPaper, shrink } from './threshold.ts';

// whole pages are drawn and worn, which takes a busy machine seconds
vi.setConfig({ testTimeout: 60_000 });

const SIXTY = builtIn('sheaf-60')!;
const page = drawSheet(SIXTY, randomContent(SIXTY, 3), 150);
const flagsOf = (image: GrayImage): readonly string[] => readPage(image, BUILT_IN).flags;
const looks = (image: GrayImage): boolean => {
  const frame = shrink(image);
  return looksLikeSheet(frame, findPaper(image));
};

test('[R2] a line down the whole glass is a streak, a sheet’s own boxes are none', () => {
  const streaked = streak(page, 0.4, 2, 0.3);
  for (const degrees of [0, 90, 180, 270] as const) {
    expect(flagsOf(turn(streaked, degrees))).toContain('streak');
    expect(flagsOf(turn(page, degrees))).toEqual([]);
  }
});

test('[R2] print hardly darker than its paper is said to be', () => {
  expect(flagsOf(expose(page, 108, 220))).toContain('low-contrast');
});

test('a page seen from behind is read, and says so', () => {
  const data = page.data.slice();
  for (let y = 0; y < page.height; y++) data.subarray(y * page.width, (y + 1) * page.width).reverse();
  const [upright, mirrored] = [readPage(page, BUILT_IN), readPage({ ...page, data }, BUILT_IN)];
  if (upright.kind !== 'sheet' || mirrored.kind !== 'sheet') throw new Error(JSON.stringify([upright, mirrored]));
  expect(mirrored.flags).toContain('mirrored');
  expect(mirrored.fields.map(({ value }) => value)).toEqual(upright.fields.map(({ value }) => value));
});

test('a page full of bubbles looks like a sheet, a cover and an empty page do not', () => {
  expect(looks(page)).toBe(true);
  expect(looks(drawBlank(COVER, '14900113', 150))).toBe(false);
  expect(looks({ ...page, data: page.data.map(() => 250) })).toBe(false);
});
