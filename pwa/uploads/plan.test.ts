import { expect, test } from 'vitest';
import { inRanges, sendingOrder } from './plan.ts';

const MiB = 2 ** 20;

test('the end of the file goes first, then the rest from the start', () => {
  expect(sendingOrder(10 * MiB, 2 * MiB, [])).toEqual([4, 0, 1, 2, 3]);
});

test('a directory that begins in the chunk before the last makes both go first', () => {
  // The last MiB of 8.5 MiB begins at 7.5 MiB, in chunk 3.
  expect(sendingOrder(8.5 * MiB, 2 * MiB, [])).toEqual([3, 4, 0, 1, 2]);
});

test('what the server holds is left out', () => {
  expect(
    sendingOrder(10 * MiB, 2 * MiB, [
      [0, 1],
      [4, 4],
    ]),
  ).toEqual([2, 3]);
});

test('a file of one chunk is that chunk', () => {
  expect(sendingOrder(5, MiB, [])).toEqual([0]);
});

test('ranges include both of their ends', () => {
  expect([0, 1, 2, 3, 4].map((i) => inRanges([[1, 3]], i))).toEqual([false, true, true, true, false]);
});
