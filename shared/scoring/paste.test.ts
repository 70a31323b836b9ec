import { describe, expect, test } from 'vitest';
import type { KeyContent } from '../protocol/key.ts';
import { BUILT_IN } from '../template/built-in.ts';
import { keyCsv, parseKeyCsv, parseKeyText } from './paste.ts';
import { shapeOfTemplate } from './sheet-shape.ts';
import { type SheetShape, validateKey } from './validate-key.ts';

const answers = (text: string) => {
  const { content, problems } = parseKeyText(text);
  return { answers: content?.answers, problems: problems.map(({ message }) => message) };
};

describe('loose text', () => {
  test.each<[string, string, KeyContent['answers']]>([
    ['numbered lines', '1. B\n2. C\n3. A', { '': ['B', 'C', 'A'] }],
    ['other ways to number', '1) b\n2: C\nQ3 = A\n4 - D\n5 E', { '': ['B', 'C', 'A', 'D', 'E'] }],
    ['many to a line', '1. B  2. C, 3. A; 4.D', { '': ['B', 'C', 'A', 'D'] }],
    ['number and letter without anything between', '1B 2C 3A', { '': ['B', 'C', 'A'] }],
    ['one run', 'BCADE', { '': ['B', 'C', 'A', 'D', 'E'] }],
    ['runs of five on two lines', 'BCADE BC-DE\nAAAAA', { '': [...'BCADEBC', '', ...'DEAAAAA'] }],
    ['letters apart', 'B C A D E', { '': ['B', 'C', 'A', 'D', 'E'] }],
    ['small letters', 'bcade', { '': ['B', 'C', 'A', 'D', 'E'] }],
    ['any of two', '1. B or D\n2. A/C\n3. E', { '': ['B D', 'A C', 'E'] }],
    ['all of two', '1. C and A\n2. A|D\n3. B+E', { '': ['A|C', 'A|D', 'B|E'] }],
    ['several booklets', 'Booklet A\nBCADE\n\nBooklet B:\n1. E\n2. D', { A: [...'BCADE'], B: ['E', 'D'] }],
    ['booklets before their answers', 'Set A: BCA\nSet B: CAB', { A: [...'BCA'], B: [...'CAB'] }],
    ['columns', 'Q\tA\tB\n1\tB\tC\n2\tD\tA or B', { A: ['B', 'D'], B: ['C', 'A B'] }],
    ['columns apart by spaces', 'No. A B C\n1 B C D\n2 A A A', { A: ['B', 'A'], B: ['C', 'A'], C: ['D', 'A'] }],
    ['a column without booklets', 'Question,Answer\n1,B\n2,C', { '': ['B', 'C'] }],
    ['Windows line ends and a byte order mark', '\uFEFF1. B\r\n2. C\r\n', { '': ['B', 'C'] }],
  ])('%s', (_, text, expected) => {
    expect(answers(text)).toEqual({ answers: expected, problems: [] });
  });

  test.each([
    ['a question twice', '1. B\n1. C', 'Line 2: question 1 is there twice.'],
    ['a gap', '1. B\n3. C', 'Question 2 is missing, 3 is there.'],
    ['prose', '1. B\nsee the attached file', 'Line 2 cannot be read from here: see the attached file'],
    ['a cell that is no answer', 'Q A B\n1 B maybe', 'Line 2 cannot be read: 1 B maybe'],
    ['a booklet without its answer', 'Q A B\n1 B', 'Line 2: booklet B has no answer to question 1.'],
    ['nothing', ' \n', 'There is nothing to read.'],
  ])('%s is said, with its line', (_, text, message) => {
    expect(answers(text).problems).toEqual([message]);
  });
});

const full: KeyContent = {
  answers: { A: ['B', 'A|C B', '', '42 43'], B: ['C', 'D', 'A', '7'] },
  marks: { correct: 4, wrong: -1, blank: 0, multiple: -2 },
  sections: [
    { name: 'Physics, part 1', from: 1, to: 2, marks: { correct: 3 }, partial: { rule: 'subset', each: 1 } },
    { name: 'Numbers', from: 3, to: 4 },
  ],
  items: [
    { variant: 'A', question: 3, kind: 'bonus', marks: { correct: 2.5 } },
    { variant: 'A', question: 4, tolerance: 0.5 },
    { variant: 'B', question: 1, kind: 'void' },
    { variant: 'B', question: 2, partial: { rule: 'balance' } },
  ],
};

test('a key survives its own CSV', () => {
  expect(parseKeyCsv(keyCsv(full))).toEqual({ content: full, problems: [] });
  expect(parseKeyText(keyCsv(full)).content).toEqual(full);
});

test('a CSV of three columns is enough, and what is odd in it is said', () => {
  expect(parseKeyText('variant,question,answer\n,1,B\n,2,C\n').content?.answers).toEqual({ '': ['B', 'C'] });
  const odd = parseKeyText('variant,question,answer,wrong,colour\n,1,B,much,red\n,x,C,,\n');
  expect(odd.problems.map(({ message }) => message)).toEqual([
    'Line 1: there is no column colour. Known: variant, question, answer, kind, correct, wrong, blank, multiple, partial, each, tolerance, section.',
    "Line 2: wrong cannot be 'much'.",
    "Line 3: question cannot be 'x'.",
  ]);
});

describe('what is wrong with a key', () => {
  const sheet: SheetShape = {
    questions: new Map(
      [1, 2, 3].map((question) => [question, { kind: 'choice', options: ['A', 'B', 'C', 'D', 'E'], columns: 1 }]),
    ),
    variants: ['A', 'B'],
  };
  sheet.questions.set(4, { kind: 'grid', options: [...'0123456789'], columns: 3 });
  const marks = { correct: 1, wrong: 0, blank: 0 };
  const key = (list: string[], rest: Partial<KeyContent> = {}): KeyContent => ({
    answers: { '': list },
    marks,
    ...rest,
  });

  test.each<[string, KeyContent, string[]]>([
    ['nothing', key(['A', 'B', 'C', '042']), []],
    ['no answers', key([]), ['empty error', 'question-missing warning']],
    ['a question that the sheet does not have', key(['A', 'B', 'C', '042', 'A']), ['question-beyond-sheet error']],
    ['an option that the sheet does not have', key(['F', 'B', 'C', '042']), ['option-unknown error']],
    ['a gap', key(['A', '', 'C', '042']), ['question-missing error']],
    ['an end that is missing', key(['A', 'B', 'C']), ['question-missing warning']],
    ['an option twice', key(['A|A', 'B', 'C', '042']), ['question-duplicate error']],
    ['the same alternative twice', key(['A A', 'B', 'C', '042']), ['question-duplicate warning']],
    ['a number too short for its grid', key(['A', 'B', 'C', '42']), ['option-unknown error']],
    [
      'the same with a tolerance',
      key(['A', 'B', 'C', '42'], { items: [{ variant: '', question: 4, tolerance: 0 }] }),
      [],
    ],
    [
      'a number that is none',
      key(['A', 'B', 'C', 'x'], { items: [{ variant: '', question: 4, tolerance: 0 }] }),
      ['number-unreadable error'],
    ],
    [
      'a booklet that the sheet does not have',
      { answers: { A: ['A', 'A', 'A', '001'], C: ['A', 'A', 'A', '001'] }, marks },
      ['variant-unknown error', 'variant-missing warning'],
    ],
    [
      'sections that overlap',
      key(['A', 'B', 'C', '042'], {
        sections: [
          { name: 'x', from: 1, to: 2 },
          { name: 'y', from: 2, to: 4 },
        ],
      }),
      ['section-overlap error'],
    ],
    [
      'a section beyond the key',
      key(['A', 'B', 'C', '042'], { sections: [{ name: 'x', from: 1, to: 9 }] }),
      ['section-range error'],
    ],
    [
      'rules twice',
      key(['A', 'B', 'C', '042'], {
        items: [
          { variant: '', question: 1 },
          { variant: '', question: 1 },
        ],
      }),
      ['item-duplicate error'],
    ],
    [
      'rules for nothing',
      key(['A', 'B', 'C', '042'], { items: [{ variant: 'Z', question: 1 }] }),
      ['item-unknown error'],
    ],
    [
      'points for wrong answers',
      key(['A', 'B', 'C', '042'], { marks: { correct: 1, wrong: 1, blank: 0 } }),
      ['marks-odd warning'],
    ],
    [
      'a void question needs no answer',
      key(['A', '', 'C', '042'], { items: [{ variant: '', question: 2, kind: 'void' }] }),
      [],
    ],
  ])('%s', (_, content, expected) => {
    expect(validateKey(content, sheet).map(({ code, level }) => `${code} ${level}`)).toEqual(expected);
  });

  test('a question whose columns are fields of their own is answered as one', () => {
    const joined = [{ label: 'q41', of: ['q1', 'q2', 'q3'] }];
    const { questions } = shapeOfTemplate({ ...BUILT_IN[0]!, joined });
    expect(questions.get(41)).toEqual({ kind: 'grid', options: [...'ABCDE'], columns: 3 });
  });

  test('it is said in the words of the sheet', () => {
    const said = (content: KeyContent) => validateKey(content, sheet).map(({ message }) => message);
    expect(said(key(['A', 'B', 'C', '042', 'E']))).toEqual(['question 5 of 4: the sheet has no such question.']);
    expect(said(key(['F', 'B', 'C', '042']))).toEqual(['question 1: option F of A–E.']);
    expect(said(key(['A']))).toEqual(['questions 2–4 have no answer and will not count.']);
    expect(said({ answers: { A: ['A', 'B', 'C'], B: ['A', 'B', 'C', '042'] }, marks })).toEqual([
      'Booklet A: question 4 has no answer and will not count.',
    ]);
  });
});
