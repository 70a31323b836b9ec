import { expect, test } from 'vitest';
import type { SamplePage } from '../../shared/corpus/sample.ts';
import type { SheetRow } from '../../shared/protocol/batch.ts';
import { compare } from './demo.ts';

const draw = () => ({ width: 1, height: 1, data: new Uint8Array(1) });
const pages: SamplePage[] = [
  { name: '0001.jpg', kind: 'cover', task_id: '14900113', draw },
  {
    name: '0002.jpg',
    kind: 'sheet',
    task_id: '14900113',
    truth: { roll: '20412345', variant: 'A', answers: ['B', '', 'A|C'] },
    draw,
  },
];
const sheet: SheetRow = {
  sheet_id: 's1',
  page_index: 1,
  name: 'scans/0002.jpg',
  status: 'read',
  group_id: 'g1',
  task_id: '14900113',
  roll: '20412345',
  variant: 'A',
  score: 1,
  max_score: 3,
  correct: 1,
  wrong: 1,
  blank: 1,
  multiple: 1,
  doubtful: 0,
  unscored: null,
  provisional: false,
  error_message: null,
};
const long = (...values: string[]): string =>
  ['sheet_id,page_index,roll,question,value', ...values.map((value, i) => `s1,1,20412345,${i + 1},${value}`)].join(
    '\r\n',
  );
const wide = 'sheet_id,roll\r\ns1,20412345\r\n';

test('a batch that was read as it was drawn has no differences', () => {
  expect(compare(pages, [sheet], long('B', '-', 'A|C'), wide)).toEqual({ compared: 3, wrong: [] });
});

test.each([
  ['an answer', compare(pages, [sheet], long('C', '-', 'A|C'), wide), "question 1, drawn 'B', read 'C'"],
  ['a mark on a blank', compare(pages, [sheet], long('B', 'D', 'A|C'), wide), "question 2, drawn '', read 'D'"],
  ['a missing line', compare(pages, [sheet], long('B', '-'), wide), "question 3, drawn 'A|C', read 'no line'"],
  [
    'a roll number',
    compare(pages, [{ ...sheet, roll: '20412346' }], long('B', '-', 'A|C'), wide),
    'roll number 20412345 was read as 20412346',
  ],
  ['a variant', compare(pages, [{ ...sheet, variant: 'D' }], long('B', '-', 'A|C'), wide), 'variant A was read as D'],
  [
    'a failed sheet',
    compare(pages, [{ ...sheet, status: 'failed', error_message: 'no corners' }], long('B', '-', 'A|C'), wide),
    'not read (no corners)',
  ],
  ['a sheet that is not there', compare(pages, [], long('B', '-', 'A|C'), wide), 'not read'],
])('%s that differs is told', (_what, { wrong }, line) => {
  expect(wrong).toEqual([`0002.jpg: ${line}`]);
});

test('a wide CSV that lacks a sheet is told', () => {
  const { wrong } = compare(pages, [sheet], long('B', '-', 'A|C'), 'sheet_id,roll\r\n');
  expect(wrong).toHaveLength(2);
  expect(wrong.join()).toContain('the wide CSV has 0 lines instead of 1');
});
