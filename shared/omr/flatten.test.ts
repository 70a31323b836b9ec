import { expect, test, vi } from 'vitest';
import { drawSheet } from '../corpus/draw.ts';
import { randomContent } from '../corpus/sample.ts';
import { fold } from '../corpus/wear.ts';
import { BUILT_IN, builtIn } from '../template/built-in.ts';
import type { Bubble } from '../template/geometry.ts';
import { flatten, type Off } from './flatten.ts';
import { readPage } from './read-page.ts';

// pages are drawn and folded, which takes a busy machine seconds
vi.setConfig({ testTimeout: 60_000 });

const bubble = (x: number, y: number): Bubble => ({ x, y, width: 5, height: 5, option: 'A' });
const around: readonly (readonly [number, number])[] = [
  [0, 0],
  [50, 0],
  [100, 0],
  [0, 50],
  [100, 50],
  [0, 100],
  [50, 100],
  [100, 100],
];
const offs = (dx: (x: number, y: number) => number): Off[] => around.map(([x, y]) => ({ x, y, dx: dx(x, y), dy: 0 }));
const moved = (x: number, y: number, dx: (x: number, y: number) => number): number =>
  flatten([bubble(x, y)], offs(dx))![0]!.x - x;

test('what is off along the edges is off between them', () => {
  expect(moved(30, 60, () => 0.4)).toBeCloseTo(0.4);
  expect(moved(30, 60, (x) => x / 100)).toBeCloseTo(0.3);
  // a crease across the middle, beyond which everything slides
  const slid = (_: number, y: number) => Math.max(0, (y - 50) / 100);
  expect(moved(30, 25, slid)).toBeCloseTo(0);
  expect(moved(70, 75, slid)).toBeCloseTo(0.25);
});

test('marks along one edge alone say nothing', () => {
  expect(
    flatten(
      [bubble(1, 1)],
      offs(() => 1).filter(({ x }) => x === 0),
    ),
  ).toBeNull();
});

test.each([false, true])('[R2] a folded sheet is read on the bubble (crease down the page: %s)', (down) => {
  const template = builtIn('sheaf-150')!;
  const truth = randomContent(template, 31);
  const page = drawSheet(template, truth, 200);
  for (const at of [0.35, 0.65]) {
    const reading = readPage(fold(page, { at, down, shorter: 0.012, slide: 0.006, crease: 0.2 }), BUILT_IN);
    if (reading.kind !== 'sheet') throw new Error(JSON.stringify(reading));
    expect(reading.flags).toEqual([]);
    const answers = reading.fields.filter(({ label }) => label.startsWith('q'));
    expect(answers.map(({ value }) => value)).toEqual(truth.answers);
    expect(answers.filter(({ flags }) => flags.includes('doubtful'))).toEqual([]);
  }
});
