import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { homography, inverse, type Point, project } from './warp.ts';

const square = (s: number): Point[] => [
  { x: 0, y: 0 },
  { x: s, y: 0 },
  { x: s, y: s },
  { x: 0, y: s },
];

describe('homography', () => {
  test('four points go where they are sent, whatever the quadrilateral', () => {
    const shift = fc.double({ min: -40, max: 40, noNaN: true });
    fc.assert(
      fc.property(fc.tuple(shift, shift, shift, shift, shift, shift, shift, shift), (d) => {
        const to = square(200).map(({ x, y }, i) => ({ x: 500 + 4 * x + d[2 * i]!, y: 300 + 4 * y + d[2 * i + 1]! }));
        const h = homography(square(200), to)!;
        square(200).forEach(({ x, y }, i) => {
          const at = project(h, x, y);
          expect(at.x).toBeCloseTo(to[i]!.x, 6);
          expect(at.y).toBeCloseTo(to[i]!.y, 6);
          const back = project(inverse(h)!, at.x, at.y);
          expect(back.x).toBeCloseTo(x, 6);
          expect(back.y).toBeCloseTo(y, 6);
        });
      }),
    );
  });

  test('of five points one that is off pulls little when it weighs little', () => {
    const from = [...square(100), { x: 50, y: 50 }];
    const to = [...square(100), { x: 53, y: 50 }];
    const light = project(homography(from, to, [10, 10, 10, 10, 0.01])!, 50, 50);
    const heavy = project(homography(from, to, [1, 1, 1, 1, 100])!, 50, 50);
    expect(light.x - 50).toBeLessThan(0.1);
    expect(heavy.x - 50).toBeGreaterThan(2);
  });

  test('points on a line give none', () => {
    const line = [0, 1, 2, 3].map((i) => ({ x: i, y: i }));
    expect(homography(line, square(1))).toBeNull();
    expect(
      homography(
        [0, 0, 0, 0].map(() => ({ x: 1, y: 1 })),
        square(1),
      ),
    ).toBeNull();
  });
});
