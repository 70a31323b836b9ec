import { describe, expect, test } from 'vitest';
import type { KeyContent } from '../protocol/key.ts';
import type { FieldReading, SheetReading } from '../protocol/reading.ts';
import { scoreSheet } from './score.ts';

const field = (label: string, value: string, flags: FieldReading['flags'] = []): FieldReading => ({
  label,
  value,
  confidence: 1,
  flags,
});
const sheet = (variant: string, answers: string[], roll = '12345678'): SheetReading => ({
  kind: 'sheet',
  template_id: 'tiny',
  template_version: 1,
  qr: null,
  orientation: 0,
  to_image: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  fields: [field('roll', roll), field('variant', variant), ...answers.map((value, i) => field(`q${i + 1}`, value))],
  fills: '',
  threshold: 50,
  flags: [],
});
const marks = { correct: 4, wrong: -1, blank: 0 };
const key: KeyContent = { answers: { A: ['A', 'B', 'C', 'D'], B: ['D', 'C', 'B', 'A'] }, marks };

describe('counts and points worked out by hand', () => {
  const rows: [string, string[], number, number, number, number, number][] = [
    // answers of variant A         score correct wrong blank multiple
    ['all right', ['A', 'B', 'C', 'D'], 16, 4, 0, 0, 0],
    ['all wrong', ['B', 'C', 'D', 'A'], -4, 0, 4, 0, 0],
    ['all blank', ['', '', '', ''], 0, 0, 0, 4, 0],
    ['one of each', ['A', 'C', '', 'A|D'], 2, 1, 1, 1, 1],
    ['a double mark that holds the right answer is not right', ['A|B', 'B', 'C', 'D'], 11, 3, 0, 0, 1],
  ];
  test.each(rows)('%s', (_, answers, score, correct, wrong, blank, multiple) => {
    expect(scoreSheet(sheet('A', answers), key)).toMatchObject({
      score,
      max_score: 16,
      correct,
      wrong,
      blank,
      multiple,
      doubtful: 0,
      unscored: null,
    });
  });
});

test('the key of the booklet that was read is used', () => {
  expect(scoreSheet(sheet('B', ['D', 'C', 'C', 'D']), key)).toMatchObject({ score: 6, correct: 2, wrong: 2 });
});

test('without a key answers are listed and nothing is scored', () => {
  const scored = scoreSheet(sheet('A', ['A', '', 'B|C', 'D']), null);
  expect(scored).toMatchObject({ score: null, max_score: null, correct: null, wrong: null, unscored: 'no-key' });
  expect(scored).toMatchObject({ blank: 1, multiple: 1, doubtful: 0, roll: '12345678', variant: 'A' });
  expect(scored.answers.map((row) => row.value)).toEqual(['A', '', 'B|C', 'D']);
  expect(scored.answers.every((row) => row.correct === null && row.points === null)).toBe(true);
});

test.each([
  ['', 'variant-unread'],
  ['A|B', 'variant-unread'],
  ['C', 'variant-unknown'],
])('[R2] a sheet of variant "%s" is not scored by a guess among several keys', (variant, unscored) => {
  const scored = scoreSheet(sheet(variant, ['A', 'B', 'C', 'D']), key);
  expect(scored).toMatchObject({ score: null, max_score: null, correct: null, wrong: null, unscored, doubtful: 1 });
  expect(scored.answers.every((row) => row.correct === null)).toBe(true);
});

test.each([
  ['A', '', 8],
  ['A', 'A', 8],
  ['', '', 8],
  ['', 'C', 8],
])('a key whose only variant is "%s" scores a sheet whose booklet reads "%s"', (name, variant, score) => {
  const only: KeyContent = { answers: { [name]: ['A', 'B'] }, marks };
  expect(scoreSheet(sheet(variant, ['A', 'B']), only)).toMatchObject({ score, unscored: null });
});

test('[R2] a key for booklet A alone does not score a sheet of booklet B', () => {
  const only: KeyContent = { answers: { A: ['A', 'B'] }, marks };
  expect(scoreSheet(sheet('B', ['A', 'B']), only)).toMatchObject({ score: null, unscored: 'variant-unknown' });
});

test('a question without an accepted answer is outside the score, and so is one beyond the key', () => {
  const short: KeyContent = { answers: { A: ['A', ''] }, marks };
  const scored = scoreSheet(sheet('A', ['A', 'B', 'C']), short);
  expect(scored).toMatchObject({ score: 4, max_score: 4, correct: 1, wrong: 0 });
  expect(scored.answers.map(({ accepted, correct, points }) => [accepted, correct, points])).toEqual([
    ['A', true, 4],
    [null, null, null],
    [null, null, null],
  ]);
});

test('a key may ask for two marks, in either order', () => {
  const both: KeyContent = { answers: { A: ['C|A', 'B'] }, marks };
  expect(scoreSheet(sheet('A', ['A|C', 'B']), both)).toMatchObject({ score: 8, correct: 2, multiple: 0 });
  expect(scoreSheet(sheet('A', ['A', 'B']), both)).toMatchObject({ score: 3, correct: 1, wrong: 1 });
});

test('doubtful fields are counted, the roll number among them', () => {
  const reading = sheet('A', ['A', 'B', 'C', 'D']);
  reading.fields[0]!.flags = ['doubtful'];
  reading.fields[3]!.flags = ['faint', 'doubtful'];
  expect(scoreSheet(reading, key)).toMatchObject({ score: 16, doubtful: 2 });
});

test('a blank roll number is none at all', () => {
  expect(scoreSheet(sheet('A', [], '________'), key).roll).toBeNull();
  expect(scoreSheet(sheet('A', [], '1234_67?'), key).roll).toBe('1234_67?');
});

test('points that binary fractions cannot hold add up to what a person writes', () => {
  const tenths: KeyContent = { answers: { '': ['A', 'A', 'A'] }, marks: { correct: 0.1, wrong: -0.05, blank: 0 } };
  expect(scoreSheet(sheet('', ['A', 'A', 'A']), tenths).score).toBe(0.3);
});
