import { expect, test, vi } from 'vitest';
import { drawSheet } from '../corpus/draw.ts';
import { randomContent } from '../corpus/sample.ts';
import { fold } from '../corpus/wear.ts';
import { BUILT_IN, builtIn } from '../template/built-in.ts';
import { type Bubble, layOut } from '../template/geometry.ts';
import { flatten, type Off } from './flatten.ts';
import { placesOn, readPage } from './read-page.ts';
import { type Homography, project } from './warp.ts';

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

test('a reading and its raster tell where the bubbles of a folded page lie', () => {
  const template = builtIn('sheaf-150')!;
  const { bubbles } = layOut(template);
  const [dpi, at, shorter, slide] = [200, 0.5, 0.012, 0.006];
  const page = drawSheet(template, randomContent(template, 31), dpi);
  const image = fold(page, { at, down: false, shorter, slide, crease: 0.2 });
  const reading = readPage(image, BUILT_IN);
  if (reading.kind !== 'sheet') throw new Error(JSON.stringify(reading));
  const crease = at * image.height;
  /** how far the worst of the bubbles is drawn beside where the fold brought it, in millimetres */
  const worst = (places: readonly Bubble[]): number =>
    Math.max(
      ...places.map(({ x, y }, i) => {
        const beyond = Math.max(0, ((bubbles[i]!.y * dpi) / 25.4 - crease) / (1 + shorter));
        const trueX = (bubbles[i]!.x * dpi) / 25.4 - beyond * slide;
        const trueY = (bubbles[i]!.y * dpi) / 25.4 - beyond * shorter;
        const drawn = project(reading.to_image as unknown as Homography, x, y);
        return (Math.hypot(drawn.x - trueX, drawn.y - trueY) / dpi) * 25.4;
      }),
    );
  expect(worst(bubbles)).toBeGreaterThan(0.4);
  expect(worst(placesOn(image, reading, template))).toBeLessThan(0.2);
});
