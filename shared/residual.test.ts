import { describe, expect, test } from 'vitest';
import type { Correction } from './protocol/correction.ts';
import type { SheetLine } from './protocol/sync.ts';
import { type Residual, residualOf, wrongAtMost } from './residual.ts';
import { rulings } from './review.ts';
import { waitingOn } from './sheet-line.ts';

/** A sheet of ten questions with a roll number; `risk` of the fields nobody is asked about. */
const sheet = (notes: string, risk: number, kind: SheetLine[3] = 'sheet'): SheetLine => [
  0,
  'a.jpg',
  'read',
  kind,
  0,
  '11112222',
  null,
  null,
  'sheaf-10@1',
  '12345',
  null,
  10,
  'A B C D E A B C D E',
  notes,
  risk,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
  0,
  null,
  0,
  [],
];
const decision = (field: string, value: string | null): Correction => ({
  correction_id: field,
  field,
  value,
  previous: null,
  reason: null,
  user_id: 'rea',
  username: 'rea',
  role: 'reviewer',
  client_id: 'tablet',
  base_rev: 0,
  rev: 1,
  at: '',
});
const told = (line: SheetLine, ...said: Correction[]) => {
  const ruled = rulings(said);
  return residualOf([{ line, ruled, waiting: waitingOn(line, ruled, [], null) }]);
};

describe('wrong values that are left in a batch', () => {
  test('doubts add what their confidence leaves open until somebody decides them', () => {
    const line = sheet('q1:40:d q2:70:md', 0.002);
    expect(told(line)).toMatchObject({ left: 2, fields: 11, wrong_after: 0.002 });
    expect(told(line).wrong_now).toBeCloseTo(0.902, 9);
    const one = told(line, decision('q1', 'A'));
    expect(one.left).toBe(1);
    expect(one.wrong_now).toBeCloseTo(0.302, 9);
    expect(told(line, decision('q1', 'A'), decision('q2', 'B'))).toMatchObject({ left: 0, wrong_now: 0.002 });
  });
  test('a decision that is taken back leaves the doubt where it was', () => {
    expect(told(sheet('q1:40:d', 0), decision('q1', null))).toMatchObject({ left: 1, wrong_now: 0.6 });
  });
  test('a field that nobody was asked about, and somebody decided, is right as well', () => {
    expect(told(sheet('q4:90:e', 0.11), decision('q4', 'D')).wrong_after).toBeCloseTo(0.01, 9);
    expect(told(sheet('q4:90:e', 0.05), decision('q4', 'D')).wrong_after).toBe(0);
  });
  test('covers and sheets that were set aside count for nothing', () => {
    const nothing: Residual = { left: 0, fields: 0, wrong_now: 0, wrong_after: 0, rounded: 0 };
    expect(told(sheet('', 0, 'cover'))).toEqual(nothing);
    expect(told(sheet('q1:40:d', 0.5), decision('void', 'true'))).toEqual(nothing);
  });
  test('at most is a bound in 95 of 100 batches, told for ten thousand and rounded up', () => {
    const batch = { left: 0, fields: 15_000, wrong_now: 1.5, wrong_after: 1.5, rounded: 0 };
    // Of a Poisson count of 1.5, 4 and less are 98 %, 3 and less 93 %: 4 in 15,000.
    expect(wrongAtMost(batch, 'after')).toBe(3);
    expect(wrongAtMost({ ...batch, fields: 20_000 }, 'after')).toBe(2);
    expect(wrongAtMost({ ...batch, wrong_after: 0.06 }, 'after')).toBe(1);
    expect(wrongAtMost({ ...batch, wrong_after: 0.04 }, 'after')).toBe(0);
    expect(wrongAtMost({ ...batch, wrong_after: 0.04, rounded: 0.02 }, 'after')).toBe(1);
    expect(wrongAtMost({ ...batch, fields: 3, wrong_after: 2.9 }, 'after')).toBe(10_000);
    expect(wrongAtMost({ ...batch, fields: 0, wrong_after: 0 }, 'after')).toBe(0);
    expect(wrongAtMost({ ...batch, left: 100, wrong_now: 40 }, 'now')).toBe(34);
  });
  test('a variant that the key has no answers for is one that is left', () => {
    const line = sheet('', 0.002);
    line[23] = 'variant-unread';
    expect(told(line)).toMatchObject({ left: 1, fields: 12 });
    expect(told(line, decision('variant', 'A')).left).toBe(0);
    expect(told(line, decision('variant', '')).left).toBe(0);
  });
});
