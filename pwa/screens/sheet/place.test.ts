import { expect, test } from 'vitest';
import type { Homography } from '../../../shared/omr/warp.ts';
import { builtIn } from '../../../shared/template/built-in.ts';
import { layOut } from '../../../shared/template/geometry.ts';
import { around, fieldAt, fieldFrame, place } from './place.ts';

const FORTY = builtIn('sheaf-40')!;
/** 10 px a millimetre on a raster of 2100 × 2970, or of 2970 × 2100 when it lies on its side. */
const upright: Homography = [10, 0, 0, 0, 10, 0, 0, 0, 1];
const poses: [number, Homography, { width: number; height: number }][] = [
  [0, upright, { width: 2100, height: 2970 }],
  // The scan has to be turned clockwise by so much to stand upright.
  [90, [0, 10, 0, -10, 0, 2100, 0, 0, 1], { width: 2970, height: 2100 }],
  [180, [-10, 0, 2100, 0, -10, 2970, 0, 0, 1], { width: 2100, height: 2970 }],
  [270, [0, -10, 2970, 10, 0, 0, 0, 0, 1], { width: 2970, height: 2100 }],
];

test.each(poses)(
  'a scan that must be turned by %i° is shown upright, with every bubble in its place',
  (turn, to, raster) => {
    const placed = place(FORTY, to, raster);
    expect(placed.turn).toBe(turn);
    expect(placed.size).toEqual({ width: 2100, height: 2970 });
    expect(placed.mm).toBeCloseTo(10);
    for (const { x, y } of layOut(FORTY).bubbles) {
      const seen = placed.at(x, y);
      expect([seen.x, seen.y]).toEqual([expect.closeTo(x * 10, 6), expect.closeTo(y * 10, 6)]);
      const back = placed.back(seen.x, seen.y)!;
      expect([back.x, back.y]).toEqual([expect.closeTo(x, 6), expect.closeTo(y, 6)]);
    }
  },
);

test('a page seen from behind keeps its top at the top', () => {
  const behind: Homography = [-10, 0, 2100, 0, 10, 0, 0, 0, 1];
  expect(place(FORTY, behind, { width: 2100, height: 2970 }).turn).toBe(0);
});

test('a tap finds the field that it is on or beside, and no field far from all', () => {
  const labels = layOut(FORTY).fields.map(({ label }) => label);
  for (const label of labels) {
    const box = fieldFrame(FORTY, label)!;
    expect(fieldAt(FORTY, labels, { x: box.x + box.width / 2, y: box.y + box.height / 2 })).toBe(label);
  }
  expect(fieldAt(FORTY, labels, { x: 1, y: 1 })).toBeNull();
  expect(fieldAt(FORTY, [], { x: 44, y: 102 })).toBeNull();
  expect(fieldFrame(FORTY, 'q99')).toBeNull();
});

test('a field’s rectangle on the picture holds its bubbles', () => {
  const { at } = place(FORTY, upright, { width: 2100, height: 2970 });
  expect(around(at, { x: 1, y: 2, width: 3, height: 4 })).toEqual({ x: 10, y: 20, width: 30, height: 40 });
});
