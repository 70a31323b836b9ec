import { expect, test } from 'vitest';
import type { Bubble } from '../template/geometry.ts';
import { measureBubbles } from './bubbles.ts';
import type { GrayImage } from './image.ts';
import { findPaper } from './threshold.ts';

/** A bubble of eight characters is then as wide as it is in a frame. */
const CELL = 3;

/** A small picture: '#' ink, '+' half, anything else paper; each character CELL pixels wide and high. */
const picture = (rows: string[]): GrayImage => {
  const width = rows[0]!.length * CELL;
  const data = new Uint8Array(width * rows.length * CELL);
  for (let i = 0; i < data.length; i++) {
    const character = rows[Math.floor(i / width / CELL)]![Math.floor((i % width) / CELL)];
    data[i] = character === '#' ? 0 : character === '+' ? 120 : 240;
  }
  return { width, height: rows.length * CELL, data };
};
const one: Bubble = { x: 24, y: 21, width: 24, height: 24, option: 'A' };
const darkness = (rows: string[]): number => {
  const image = picture(rows);
  return measureBubbles(image, findPaper(image), [1, 0, 0, 0, 1, 0, 0, 0, 1], [one])[0]!;
};
const around = (inside: string[]): string[] => [
  '................',
  '................',
  '................',
  ...inside.map((row) => `....${row}....`),
  '................',
  '................',
  '................',
];
const RING = ['..####..', '.#....#.', '#......#', '#......#', '#......#', '#......#', '.#....#.', '..####..'];
const FULL = ['..####..', '.######.', '########', '########', '########', '########', '.######.', '..####..'];
const EMPTY = FULL.map((row) => row.replaceAll('#', '.'));

test('[R4] a ring without ink inside counts as empty', () => {
  expect(darkness(around(RING))).toBeLessThan(0.1);
});

test('a filled bubble is dark, a grey one as dark as its grey', () => {
  expect(darkness(around(FULL))).toBeGreaterThan(0.95);
  expect(darkness(around(FULL.map((row) => row.replaceAll('#', '+'))))).toBeCloseTo(0.5, 1);
});

test('a bubble off the raster is not a number, and no other is harmed', () => {
  const image = picture(around(EMPTY));
  const paper = findPaper(image);
  const far: Bubble = { ...one, x: 5000, y: -300 };
  expect(measureBubbles(image, paper, [1, 0, 0, 0, 1, 0, 0, 0, 1], [far])[0]).toBeNaN();
});
