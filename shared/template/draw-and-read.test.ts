// What is printed is read: every built-in sheet, and a form of one's own with every kind of field.
import { describe, expect, test, vi } from 'vitest';
import { drawSheet } from '../corpus/draw.ts';
import { randomContent, type SheetTruth } from '../corpus/sample.ts';
import { readPage } from '../omr/read-page.ts';
import type { Reading, SheetReading } from '../protocol/reading.ts';
import { BUILT_IN, BUILT_IN_LETTER } from './built-in.ts';
import { parseTemplate, type Template } from './template.ts';

// processes are started and pages drawn, on machines that have other things to do
vi.setConfig({ testTimeout: 60_000 });

const sheet = (reading: Reading): SheetReading => {
  if (reading.kind !== 'sheet') throw new Error(JSON.stringify(reading));
  return reading;
};

const wanted = ({ roll, variant, answers }: SheetTruth): [string, string][] => [
  ['roll', roll],
  ['variant', variant],
  ...answers.map((answer, i): [string, string] => [`q${i + 1}`, answer]),
];

describe.each([
  ['A4', BUILT_IN],
  ['Letter', BUILT_IN_LETTER],
])('%s', (_, templates) => {
  test.each(templates)('$id filled at random reads as it was filled, without a doubt', (template) => {
    for (const dpi of [120, 200]) {
      const content = randomContent(template, dpi);
      const reading = sheet(readPage(drawSheet(template, { ...content, seed: dpi }, dpi), templates));
      expect([reading.template_id, reading.flags]).toEqual([template.id, []]);
      expect(reading.fields.map(({ label, value }) => [label, value])).toEqual(wanted(content));
      expect(reading.fields.filter(({ flags }) => flags.includes('doubtful'))).toEqual([]);
    }
  });
});

test('a sheet on Letter is told from one on A4 where both are asked for', () => {
  for (const template of [BUILT_IN[1]!, BUILT_IN_LETTER[1]!]) {
    const image = drawSheet(template, { ...randomContent(template, 5), seed: 5 }, 150);
    expect(sheet(readPage(image, [...BUILT_IN, ...BUILT_IN_LETTER]))).toMatchObject({
      template_id: template.id,
      flags: [],
    });
  }
});

describe('a form of one’s own', () => {
  const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  const DIGITS = [...'0123456789'];
  const own = (): Template => {
    const parsed = parseTemplate({
      ...BUILT_IN_LETTER[0],
      id: 'own-form',
      writing: [],
      fields: [
        {
          type: 'grid',
          label: 'name',
          columns: 12,
          options: LETTERS,
          origin: [30, 60],
          option_step: [0, 5.2],
          column_step: [5.6, 0],
          bubble: [4.4, 4.4],
        },
        {
          type: 'grid',
          label: 'q1',
          columns: 4,
          options: DIGITS,
          except: [{ column: 0, options: ['+', '-'] }],
          origin: [120, 60],
          option_step: [0, 6],
          column_step: [7, 0],
        },
        {
          type: 'choice',
          labels: ['page'],
          options: ['1', '2', '3', '4'],
          origin: [160, 60],
          option_step: [0, 8],
          caption: 'PAGE',
        },
        {
          type: 'choice',
          labels: 'q2..4',
          options: LETTERS.slice(0, 10),
          origin: [115, 160],
          option_step: [8, 0],
          label_step: [0, 10],
        },
        { type: 'choice', labels: ['q5'], options: ['yes', 'no'], origin: [115, 200], option_step: [8, 0] },
      ],
      joined: [{ label: 'code', of: ['page', 'q5'] }],
    });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
    return parsed.template;
  };

  test('letters, a number with its sign, a page’s number and ten options are read', () => {
    const template = own();
    const content = {
      roll: '',
      variant: '',
      answers: ['-407', 'J', 'A|J', '', 'no'],
      other: { name: 'ZOE_QUXAV___', page: '3' },
    };
    const reading = sheet(readPage(drawSheet(template, { ...content, seed: 3 }, 200), [template]));
    expect(Object.fromEntries(reading.fields.map(({ label, value }) => [label, value]))).toEqual({
      name: 'ZOE_QUXAV___',
      q1: '-407',
      page: '3',
      q2: 'J',
      q3: 'A|J',
      q4: '',
      q5: 'no',
    });
  });

  test('another sign and other digits are other values', () => {
    const template = own();
    for (const value of ['+123', '-999', '+000']) {
      const content = { roll: '', variant: '', answers: [value], seed: 1 };
      const reading = sheet(readPage(drawSheet(template, content, 200), [template]));
      expect(reading.fields.find(({ label }) => label === 'q1')!.value).toBe(value);
    }
  });
});
