import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitScale, fitted, focused, held, panned, pinched, type View, zoomed } from './zoom.ts';

const PAGE = { width: 1654, height: 2339 };
const BOX = { width: 800, height: 600 };
const seenAt = ({ scale, x, y }: View, px: number, py: number) => ({ x: px * scale + x, y: py * scale + y });

test('at first all of the page is seen, in the middle', () => {
  const view = fitted(PAGE, BOX);
  expect(view.scale).toBeCloseTo(600 / 2339);
  expect(view.y).toBeCloseTo(0);
  expect(view.x).toBeCloseTo((800 - 1654 * view.scale) / 2);
});

test('what is under the pointer stays there while it grows', () => {
  const near = zoomed(fitted(PAGE, BOX), 4, { x: 400, y: 300 }, PAGE, BOX);
  const before = { x: (500 - near.x) / near.scale, y: (200 - near.y) / near.scale };
  const nearer = zoomed(near, 1.5, { x: 500, y: 200 }, PAGE, BOX);
  expect(seenAt(nearer, before.x, before.y)).toEqual({ x: expect.closeTo(500, 6), y: expect.closeTo(200, 6) });
});

test('two fingers carry what is between them', () => {
  const near = zoomed(fitted(PAGE, BOX), 4, { x: 400, y: 300 }, PAGE, BOX);
  const point = { x: (400 - near.x) / near.scale, y: (300 - near.y) / near.scale };
  const moved = pinched(
    near,
    [
      { x: 350, y: 300 },
      { x: 450, y: 300 },
    ],
    [
      { x: 330, y: 320 },
      { x: 480, y: 320 },
    ],
    PAGE,
    BOX,
  );
  expect(moved.scale / near.scale).toBeCloseTo(1.5);
  expect(seenAt(moved, point.x, point.y)).toEqual({ x: expect.closeTo(405, 6), y: expect.closeTo(320, 6) });
});

test('a field is brought into the middle', () => {
  const view = focused({ x: 300, y: 900, width: 200, height: 50 }, PAGE, BOX);
  expect(seenAt(view, 400, 925)).toEqual({ x: expect.closeTo(400, 6), y: expect.closeTo(300, 6) });
});

test('whatever is done, the page covers the box or stands in its middle', () => {
  const step = fc.oneof(
    fc.record({
      does: fc.constant('zoom' as const),
      by: fc.double({ min: 0.05, max: 20, noNaN: true }),
      x: fc.nat(800),
      y: fc.nat(600),
    }),
    fc.record({
      does: fc.constant('pan' as const),
      dx: fc.integer({ min: -9e3, max: 9e3 }),
      dy: fc.integer({ min: -9e3, max: 9e3 }),
    }),
  );
  const size = fc.record({ width: fc.integer({ min: 50, max: 5000 }), height: fc.integer({ min: 50, max: 5000 }) });
  fc.assert(
    fc.property(size, size, fc.array(step, { maxLength: 12 }), (page, box, steps) => {
      let view = fitted(page, box);
      for (const one of steps)
        view = one.does === 'zoom' ? zoomed(view, one.by, one, page, box) : panned(view, one.dx, one.dy, page, box);
      expect(view.scale).toBeGreaterThanOrEqual(fitScale(page, box) - 1e-9);
      for (const [at, length, room] of [
        [view.x, page.width * view.scale, box.width],
        [view.y, page.height * view.scale, box.height],
      ] as const) {
        if (length <= room) expect(at).toBeCloseTo((room - length) / 2, 6);
        else {
          expect(at).toBeLessThanOrEqual(1e-6);
          expect(at + length).toBeGreaterThanOrEqual(room - 1e-6);
        }
      }
      expect(held(view, page, box)).toEqual(view);
    }),
  );
});
