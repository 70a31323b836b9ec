import { expect, test } from 'vitest';
import { confidenceOf, markChances, markedAlone, markedBeside } from './confidence.ts';

const LEVELS = Array.from({ length: 80 }, (_, i) => i / 20);

test('the darker a bubble, the likelier it was marked, and nothing is certain', () => {
  for (const chance of [markedAlone, markedBeside]) {
    const chances = LEVELS.map(chance);
    expect(chances).toEqual([...chances].sort((a, b) => a - b));
    expect(Math.min(...chances)).toBeGreaterThan(0);
    expect(Math.max(...chances)).toBeLessThan(1);
  }
});

test('the same shade is likelier a mark where it stands alone than beside a darker one', () => {
  for (const level of LEVELS.filter((one) => one > 0.3)) {
    expect(markedAlone(level)).toBeGreaterThan(markedBeside(level));
  }
  const [a, b, c] = markChances([0.02, 3.1, 0.8]) as [number, number, number];
  expect(b).toBeGreaterThan(0.9999);
  expect(a).toBeLessThan(0.0001);
  expect(c).toBeGreaterThan(a);
  expect(c).toBeLessThan(markChances([0, 0, 0.8])[2]!);
});

test('confidence is what is left of certainty, and never nothing', () => {
  expect(confidenceOf(0.25)).toBe(0.75);
  expect(confidenceOf(7)).toBeGreaterThan(0);
});
