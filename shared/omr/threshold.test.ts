import { expect, test } from 'vitest';
import type { GrayImage } from './image.ts';
import { findPaper, inkLevels, inkShare, paperAt, shrink } from './threshold.ts';

const page = (width: number, height: number, at: (x: number, y: number) => number): GrayImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))),
});

test('a page is shrunk by a whole number to about 800 pixels, keeping where things are', () => {
  const frame = shrink(page(1654, 2339, (x, y) => (x >= 900 && x < 990 && y >= 600 && y < 690 ? 0 : 255)));
  expect([frame.width, frame.height, frame.shrink]).toEqual([551, 779, 3]);
  expect(frame.data[200 * 551 + 300]).toBe(0);
  expect(frame.data[199 * 551 + 300]).toBe(255);
  expect(frame.data[229 * 551 + 329]).toBe(0);
  expect(frame.data[230 * 551 + 329]).toBe(255);
});

test('paper follows uneven light and is not fooled by a black square on it', () => {
  const light = (x: number) => 240 - Math.floor(x / 8);
  const image = page(800, 800, (x, y) => (x > 380 && x < 404 && y > 380 && y < 404 ? 5 : light(x)));
  const paper = findPaper(image);
  for (const x of [40, 392, 760]) expect(Math.abs(paperAt(paper, x, 392) - light(x))).toBeLessThan(6);
});

test('where there is no paper there is no ink: a black lid is not print', () => {
  const image = page(320, 320, (x) => (x < 160 ? 10 : 250));
  const paper = findPaper(image);
  const levels = inkLevels(paper);
  expect(levels[0]).toBe(0);
  expect(levels[paper.columns - 1]).toBeGreaterThan(100);
});

test('ink is counted on the inner page only', () => {
  const edge = page(400, 400, (x, y) => (x < 30 || y < 30 ? 0 : 250));
  expect(inkShare(shrink(edge), findPaper(edge))).toEqual({ share: 0, paper: 1 });
  const dot = page(400, 400, (x, y) => (x >= 200 && x < 210 && y >= 200 && y < 210 ? 0 : 250));
  expect(inkShare(shrink(dot), findPaper(dot)).share).toBeCloseTo(100 / 90_000, 6);
});
