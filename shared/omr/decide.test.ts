import { describe, expect, test } from 'vitest';
import type { LaidField } from '../template/geometry.ts';
import { decideField, netDarkness, pageLevels } from './decide.ts';

const T = 0.2;
const question: LaidField = { label: 'q1', type: 'choice', groups: [0], options: ['A', 'B', 'C', 'D', 'E'] };
const decide = (...net: number[]) => decideField(question, net, T);

describe('one question at a level of 0.2', () => {
  test.each([
    ['a clear mark', [0, 0.6, 0, 0, 0], 'B', []],
    ['nothing', [0, 0.01, 0, 0.02, 0], '', ['blank']],
    ['two clear marks', [0.6, 0, 0.5, 0, 0], 'A|C', ['multiple']],
    ['a lone mark under the level', [0, 0, 0, 0.15, 0], 'D', ['faint', 'doubtful']],
    ['two shades under the level', [0, 0.15, 0, 0.15, 0], '', ['blank', 'doubtful']],
    ['a mark just over the level', [0, 0.22, 0, 0, 0], 'B', []],
    ['a mark just under it', [0, 0.18, 0, 0, 0], 'B', ['faint', 'doubtful']],
    ['a little dirt beside a mark', [0.6, 0, 0.12, 0, 0], 'A', []],
    ['something beside a mark', [0.6, 0, 0.19, 0, 0], 'A', ['erased', 'doubtful']],
    ['what an eraser left beside a mark', [0.8, 0, 0.25, 0, 0], 'A', ['erased', 'doubtful']],
  ])('%s', (_, net, value, flags) => {
    expect(decide(...net)).toMatchObject({ value, flags });
  });

  test('confidence falls towards the limits, is lowest for what a person should see, and is never full', () => {
    const levels = [0.15, 0.2, 0.22, 0.5].map((dark) => decide(0, dark, 0, 0, 0).confidence);
    expect(levels).toEqual([...levels].sort((a, b) => a - b));
    expect(levels[0]).toBeLessThan(0.99);
    expect(levels[3]).toBeLessThan(1);
    expect(levels[3]).toBeGreaterThan(0.9999);
  });
});

describe('a grid of three columns', () => {
  const grid: LaidField = { label: 'roll', type: 'grid', groups: [0, 3, 6], options: ['0', '1', '2'] };
  const read = (...net: number[]) => decideField(grid, net, T);
  test('reads a character a column', () => {
    expect(read(0.6, 0, 0, 0, 0.6, 0, 0, 0, 0.6)).toMatchObject({ value: '012', flags: [] });
  });
  test('shows a column with several marks and one with none', () => {
    expect(read(0.6, 0.6, 0, 0, 0, 0, 0, 0, 0.6)).toMatchObject({ value: '?_2', flags: ['multiple', 'doubtful'] });
  });
  test('is blank only when all of it is', () => {
    expect(read(0, 0, 0, 0, 0, 0, 0, 0, 0)).toMatchObject({ value: '___', flags: ['blank'] });
  });
});

describe('the page’s own level', () => {
  const pageOf = (blank: number, mark: number, marks: number): Float64Array =>
    Float64Array.from({ length: 100 }, (_, i) => (i < marks ? mark : blank + (i % 5) * 0.004));
  const none = new Float64Array(100);

  test('[R4] a page without marks has a level far above its blanks', () => {
    const { offset, threshold } = pageLevels(pageOf(0.05, 0, 0), none);
    expect(offset).toBeGreaterThanOrEqual(0.05);
    expect(offset).toBeLessThan(0.066);
    expect(threshold).toBeGreaterThan(0.15);
  });
  test('goes down with the marks, so that a faint hand is read', () => {
    expect(pageLevels(pageOf(0, 0.9, 20), none).threshold).toBeGreaterThan(0.3);
    expect(pageLevels(pageOf(0, 0.25, 20), none).threshold).toBeLessThan(0.1);
  });
  test('what letters print is not a mark', () => {
    const letters = Float64Array.from({ length: 100 }, (_, i) => (i % 3) * 0.05);
    const { offset } = pageLevels(letters, letters);
    expect(Math.max(...netDarkness(letters, letters, offset))).toBe(0);
  });
});
