import { describe, expect, test } from 'vitest';
import type { Correction } from './protocol/correction.ts';
import type { SheetLine } from './protocol/sync.ts';
import { residualOf, wrongIn } from './residual.ts';
import { rulings } from './review.ts';

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
const told = (line: SheetLine, ...said: Correction[]) => residualOf([{ line, ruled: rulings(said) }]);

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
    const nothing = { left: 0, fields: 0, wrong_now: 0, wrong_after: 0 };
    expect(told(sheet('', 0, 'cover'))).toEqual(nothing);
    expect(told(sheet('q1:40:d', 0.5), decision('void', 'true'))).toEqual(nothing);
  });
  test('it is told for ten thousand, rounded up: nothing is promised that is not known', () => {
    expect(wrongIn(0.002, 11)).toBe(2);
    expect(wrongIn(0.0011, 11)).toBe(1);
    expect(wrongIn(0, 11)).toBe(0);
    expect(wrongIn(0, 0)).toBe(0);
    expect(wrongIn(0.0000001, 100_000)).toBe(1);
  });
});
