import { expect, test } from 'vitest';
import { createPace, FIRST_PART, type Pace } from './pace.ts';

const MiB = 2 ** 20;

/** Sends `total` bytes over a line that carries `perLane` bytes a second in each of up to `useful` lanes. */
function over(pace: Pace, total: number, perLane: number, useful: number): void {
  let now = 0;
  for (let left = total; left > 0; ) {
    const lanes = pace.lanes();
    const part = pace.part();
    const took = ((part * lanes) / (perLane * Math.min(lanes, useful))) * 1000;
    for (let lane = 0; lane < lanes; lane++) pace.sent(part, now, now + took);
    now += took;
    left -= part * lanes;
  }
}

test('parts grow until they take some seconds, and no longer than a chunk', () => {
  const fast = createPace();
  over(fast, 2_000 * MiB, 100 * MiB, 1);
  expect(fast.part()).toBe(50 * MiB);
  const slow = createPace();
  over(slow, 200 * MiB, MiB, 1);
  expect(slow.part() / MiB).toBe(8);
  const crawling = createPace();
  over(crawling, 20 * MiB, 16 * 1024, 1);
  expect(crawling.part() / 1024).toBeGreaterThanOrEqual(64);
  expect(crawling.part() / 1024).toBeLessThanOrEqual(512);
});

test('another lane is kept only when it brings more', () => {
  const shared = createPace();
  over(shared, 3_000 * MiB, 4 * MiB, 1);
  expect(shared.lanes()).toBe(1);
  const wide = createPace();
  over(wide, 3_000 * MiB, 4 * MiB, 8);
  expect(wide.lanes()).toBe(3);
  const two = createPace();
  over(two, 3_000 * MiB, 4 * MiB, 2);
  expect(two.lanes()).toBe(2);
});

test('after a part broke off it is one at a time, and of a size that is soon sent again', () => {
  const pace = createPace();
  over(pace, 3_000 * MiB, 20 * MiB, 8);
  expect(pace.part()).toBeGreaterThan(FIRST_PART);
  pace.failed();
  expect([pace.lanes(), pace.part()]).toEqual([1, FIRST_PART]);
  over(pace, 1_000 * MiB, 20 * MiB, 8);
  expect(pace.lanes()).toBe(1);
});

test('what a proxy refused is not tried again in that size', () => {
  const pace = createPace();
  expect(pace.tooBig()).toBe(true);
  over(pace, 500 * MiB, 100 * MiB, 1);
  expect(pace.part()).toBe(4 * MiB);
  let tries = 0;
  while (pace.tooBig()) tries += 1;
  expect(tries).toBe(6);
  expect(pace.part()).toBe(64 * 1024);
});

test('a line that the browser knows to be slow begins with small parts', () => {
  expect(createPace(0.5).part()).toBeLessThanOrEqual(512 * 1024);
  expect(createPace(10).part()).toBe(FIRST_PART);
});
