import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KeyContent } from '../../../shared/protocol/key.ts';
import {
  addBooklet,
  blocksOf,
  bookletsOf,
  EMPTY_KEY,
  questionCount,
  removeBooklet,
  resize,
  setCell,
  shown,
} from './grid.ts';
import { differencesOf } from './view.ts';

const MARKS = { correct: 1, wrong: 0, blank: 0 };
const one = (...answers: string[]): KeyContent => ({ answers: { '': answers }, marks: MARKS });

test.each([
  ['b', 'B', 'B'],
  ['B or D', 'B D', 'B / D'],
  ['b/d', 'B D', 'B / D'],
  ['C and A', 'A|C', 'A+C'],
  ['A+C / B', 'A|C B', 'A+C / B'],
  ['-', '', ''],
  ['12.5', '12.5', '12.5'],
  ['1_3', '1_3', '1_3'],
])('%s is kept as "%s" and shown as "%s"', (typed, kept, seen) => {
  const content = setCell(one('', ''), '', 1, typed);
  expect(content?.answers['']).toEqual([kept, '']);
  expect(content && shown(content, '', 1)).toBe(seen);
});

test.each(['B D', 'hello', 'B//D', '?'])('%s cannot be read, and the key stays as it is', (typed) => {
  expect(setCell(one('A'), '', 1, typed)).toBeNull();
});

test('typing again what is shown changes nothing', () => {
  const together = fc.uniqueArray(fc.constantFrom(...'ABCDE'), { minLength: 1, maxLength: 3 });
  const accepted = fc
    .array(together, { minLength: 1, maxLength: 3 })
    .map((alternatives) => alternatives.map((marks) => marks.sort().join('|')).join(' '));
  fc.assert(
    fc.property(fc.array(accepted, { minLength: 1, maxLength: 5 }), (answers) => {
      const content = one(...answers);
      for (let q = 1; q <= answers.length; q++) expect(setCell(content, '', q, shown(content, '', q))).toEqual(content);
    }),
  );
});

test('[S4] a cell changes itself and nothing else, and its own marks stay', () => {
  const before: KeyContent = {
    answers: { A: ['A', 'B'], B: ['C', 'D'] },
    marks: MARKS,
    items: [{ variant: 'B', question: 2, marks: { correct: 3 } }],
  };
  const voided = setCell(before, 'B', 2, 'VOID');
  expect(voided).toEqual({ ...before, items: [{ variant: 'B', question: 2, marks: { correct: 3 }, kind: 'void' }] });
  expect(shown(voided!, 'B', 2)).toBe('void');
  const back = setCell(voided!, 'B', 2, 'E');
  expect(back).toEqual({ ...before, answers: { A: ['A', 'B'], B: ['C', 'E'] } });
});

test('void without anything else leaves no trace when an answer is typed again', () => {
  const voided = setCell(one('A'), '', 1, 'void');
  expect(setCell(voided!, '', 1, 'A')).toEqual(one('A'));
});

test('a first booklet takes over the answers that held for every booklet, and gives them back', () => {
  const two = addBooklet(setCell(one('A', 'B'), '', 2, 'bonus')!);
  expect(two.answers).toEqual({ A: ['A', 'B'], B: ['', ''] });
  expect(two.items).toEqual([{ variant: 'A', question: 2, kind: 'bonus' }]);
  expect(removeBooklet(two)).toEqual({ ...one('A', 'B'), items: [{ variant: '', question: 2, kind: 'bonus' }] });
  expect(bookletsOf(addBooklet(addBooklet(two)))).toEqual(['A', 'B', 'C', 'D']);
  expect(removeBooklet(one('A'))).toEqual(one('A'));
});

test('another number of questions cuts or fills every booklet, and what was said of the rest goes with it', () => {
  const content = addBooklet(setCell(one('A', 'B', 'C'), '', 3, 'void')!);
  expect(resize(content, 2)).toEqual({ answers: { A: ['A', 'B'], B: ['', ''] }, marks: MARKS });
  expect(questionCount(resize(EMPTY_KEY, 40))).toBe(40);
});

test('blocks cover every question once', () => {
  expect(blocksOf(45, 20)).toEqual([
    { from: 1, to: 20 },
    { from: 21, to: 40 },
    { from: 41, to: 45 },
  ]);
  expect(blocksOf(0, 20)).toEqual([]);
});

test('two keys are compared cell by cell', () => {
  const theirs: KeyContent = { answers: { A: ['A', 'B'], B: ['C', 'D'] }, marks: MARKS };
  const ours = setCell(setCell(theirs, 'A', 1, 'void')!, 'B', 2, 'A or D')!;
  expect(differencesOf(ours, theirs)).toEqual([
    { booklet: 'A', question: 1, ours: 'void', theirs: 'A' },
    { booklet: 'B', question: 2, ours: 'A / D', theirs: 'D' },
  ]);
  expect(differencesOf(theirs, theirs)).toEqual([]);
});
