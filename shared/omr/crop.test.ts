import { expect, test } from 'vitest';
import { drawSheet } from '../corpus/draw.ts';
import { randomContent } from '../corpus/sample.ts';
import { bend, turn } from '../corpus/wear.ts';
import { builtIn } from '../template/built-in.ts';
import { fieldBubbles, isMarked, SNIPPET_PX_PER_MM, snippetBox } from '../template/snippet-box.ts';
import { cropUpright } from './crop.ts';
import { readPage } from './read-page.ts';
import type { Homography } from './warp.ts';

const HUNDRED = builtIn('sheaf-100')!;

/** Mean darkness of the middle of a bubble in a cut picture, 0 to 255. */
const darknessAt = (
  { width, data }: { width: number; data: Uint8Array },
  x: number,
  y: number,
  half: number,
): number => {
  let sum = 0;
  let n = 0;
  for (let py = Math.round(y - half); py < y + half; py++)
    for (let px = Math.round(x - half); px < x + half; px++) {
      sum += 255 - (data[py * width + px] ?? 255);
      n++;
    }
  return sum / n;
};

test.each([
  [0, 150, 0],
  [0, 600, 0],
  [90, 200, 0],
  [180, 200, 0],
  [270, 150, 0],
  [0, 200, 3],
] as const)(
  'turned by %i° at %i dpi and %i° askew, a snippet stands upright and each bubble lies where its box says',
  (degrees, dpi, skew) => {
    const truth = { ...randomContent(HUNDRED, 7), seed: 5 };
    const image = bend(turn(drawSheet(HUNDRED, truth, dpi), degrees), { skew });
    const reading = readPage(image, [HUNDRED]);
    if (reading.kind !== 'sheet') throw new Error('not read');
    for (const label of ['q1', 'q26', 'q100', 'roll', 'variant']) {
      const box = snippetBox(HUNDRED, label)!;
      const cut = cropUpright(image, reading.to_image as unknown as Homography, box, SNIPPET_PX_PER_MM);
      expect([cut.width, cut.height]).toEqual(
        [box.width, box.height].map((side) => Math.round(side * SNIPPET_PX_PER_MM)),
      );
      const { type, bubbles } = fieldBubbles(HUNDRED, label)!;
      const value = reading.fields.find((field) => field.label === label)!.value;
      const at = ({ bubble }: (typeof bubbles)[number]): number =>
        darknessAt(
          cut,
          (bubble.x - box.x) * SNIPPET_PX_PER_MM,
          (bubble.y - box.y) * SNIPPET_PX_PER_MM,
          bubble.width * SNIPPET_PX_PER_MM * 0.2,
        );
      const marked = bubbles.filter((one) => isMarked(type, value, one)).map(at);
      const rest = bubbles.filter((one) => !isMarked(type, value, one)).map(at);
      if (marked.length > 0) expect(Math.min(...marked), label).toBeGreaterThan(Math.max(...rest));
    }
  },
);

test('a box that leaves the raster is white there', () => {
  const black = { width: 10, height: 10, data: new Uint8Array(100) };
  const identity: Homography = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const { width, height, data } = cropUpright(black, identity, { x: 5, y: 0, width: 10, height: 10 }, 1);
  expect([width, height]).toEqual([10, 10]);
  expect([...data.slice(0, 10)]).toEqual([0, 0, 0, 0, 0, 255, 255, 255, 255, 255]);
});

test('a field that the template has not has no box', () => {
  expect([snippetBox(HUNDRED, 'q101'), fieldBubbles(HUNDRED, 'nothing')]).toEqual([null, null]);
});

test('a box stays on its page', () => {
  for (const label of ['q1', 'q100', 'roll']) {
    const { x, y, width, height } = snippetBox(HUNDRED, label)!;
    expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
    expect([x + width <= HUNDRED.page.width, y + height <= HUNDRED.page.height]).toEqual([true, true]);
  }
});
