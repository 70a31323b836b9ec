import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mostOf, poissonQuantile } from './poisson.ts';

test('the quantile is that of the tables', () => {
  // From the definition: e^-0.0512 is 0.9501, 1.355 e^-0.355 is 0.950 …
  const counts = [0, 0.0512, 0.0514, 0.35, 0.36, 1, 2, 5, 10, 20].map((expected) => poissonQuantile(expected, 0.95));
  expect(counts).toEqual([0, 0, 1, 1, 2, 3, 5, 9, 15, 28]);
  expect(poissonQuantile(10, 0.5)).toBe(10);
});

test('a batch so bad that thousands are wrong has a bound too', () => {
  // Far out it is the mean and 1.645 of its roots.
  expect(Math.abs(mostOf(10_000, 0.95) - (10_000 + 1.645 * 100))).toBeLessThan(2);
  expect(Math.abs(mostOf(1e6, 0.95) - (1e6 + 1.645 * 1000))).toBeLessThan(3);
});

test('it never falls when more is expected', () => {
  const expected = fc.double({ min: 0, max: 3000, noNaN: true });
  fc.assert(
    fc.property(expected, expected, (a, b) => {
      expect(mostOf(a + b, 0.95)).toBeGreaterThanOrEqual(mostOf(a, 0.95));
    }),
  );
});

test('whatever the chances are, no more are wrong than it says in 95 % of all cases', () => {
  const chance = fc.oneof(
    fc.double({ min: 0, max: 0.01, noNaN: true }),
    fc.double({ min: 0, max: 0.1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  );
  fc.assert(
    fc.property(fc.array(chance, { maxLength: 60 }), (chances) => {
      // How likely each count is, exactly: one field after the other.
      let likely = [1];
      for (const p of chances)
        likely = [...likely, 0].map((same, n) => same * (1 - p) + (n === 0 ? 0 : (likely[n - 1] ?? 0) * p));
      const most = mostOf(
        chances.reduce((sum, p) => sum + p, 0),
        0.95,
      );
      expect(likely.slice(0, most + 1).reduce((sum, p) => sum + p, 0)).toBeGreaterThanOrEqual(0.95 - 1e-9);
    }),
    { numRuns: 2000 },
  );
});
