import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dealPages } from './read-pages.ts';

test('[P1] every page is dealt to exactly one job, and the same way each time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), (total) => {
      const dealt = dealPages(total);
      expect(dealt).toEqual(dealPages(total));
      let next = 0;
      for (const { first, count } of dealt) {
        expect(first).toBe(next);
        expect(count).toBeGreaterThan(0);
        next = first + count;
      }
      expect(next).toBe(total);
    }),
  );
});

test('a small batch is shared by many workers, a big one is not cut to crumbs', () => {
  expect(dealPages(54).length).toBeGreaterThanOrEqual(8);
  expect(dealPages(11_515).length).toBeLessThan(400);
});
