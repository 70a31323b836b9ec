import { expect, test } from 'vitest';
import { rate } from './snapshot.ts';

test('the rate is items a minute between the oldest and the newest of the last completions', () => {
  const everySecond = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((s) => s * 1000);
  expect(rate(everySecond)).toBe(60);
});

test('one completion, or several in the same millisecond, make no rate', () => {
  expect(rate([])).toBe(0);
  expect(rate([5000])).toBe(0);
  expect(rate([5000, 5000, 5000])).toBe(0);
});
