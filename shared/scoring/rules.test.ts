// Every rule of the marking schemes beside what a person works out by hand, and a second implementation, written from
// the rules' words alone, that must agree on random keys and sheets.
import { describe, expect, test } from 'vitest';
import { type Random, seeded } from '../corpus/random.ts';
import type { KeyContent } from '../protocol/key.ts';
import { type Marks, packValues, unpackValues } from './marks.ts';
import { numberOf, scorer } from './score.ts';

const sheet = (values: (string | null)[], variant: string | null = null): Marks => ({
  roll: null,
  variant,
  values,
  doubtful: 0,
  doubtful_unlisted: 1,
});
const base = { correct: 4, wrong: -1, blank: 0 };
const one = (accepted: string, rest: Partial<KeyContent> = {}): KeyContent => ({
  answers: { '': [accepted] },
  marks: base,
  ...rest,
});
const item = (rule: Omit<NonNullable<KeyContent['items']>[number], 'variant' | 'question'>) => ({
  items: [{ variant: '', question: 1, ...rule }],
});
const subset = item({ partial: { rule: 'subset' } });
const balance = item({ partial: { rule: 'balance' } });

describe('one question, worked out by hand', () => {
  // 4 for right, -1 for wrong, 0 for blank, unless the row says otherwise
  const rows: [rule: string, key: KeyContent, marked: string, outcome: string, points: number | null, most: number][] =
    [
      ['right', one('B'), 'B', 'correct', 4, 4],
      ['wrong', one('B'), 'C', 'wrong', -1, 4],
      ['blank', one('B'), '', 'blank', 0, 4],
      ['several marks count as wrong', one('B'), 'B|C', 'multiple', -1, 4],
      [
        'several marks have points of their own',
        one('B', { marks: { ...base, multiple: -2 } }),
        'B|C',
        'multiple',
        -2,
        4,
      ],
      ['blank may cost', one('B', { marks: { correct: 4, wrong: -1, blank: -0.5 } }), '', 'blank', -0.5, 4],
      ['any of two: the first', one('B D'), 'B', 'correct', 4, 4],
      ['any of two: the second', one('B D'), 'D', 'correct', 4, 4],
      ['any of two: both at once is several', one('B D'), 'B|D', 'multiple', -1, 4],
      ['all of two', one('A|C'), 'A|C', 'correct', 4, 4],
      ['all of two, the key in another order', one('C|A'), 'A|C', 'correct', 4, 4],
      ['all of two: one is wrong without partial credit', one('A|C'), 'A', 'wrong', -1, 4],
      ['all of two: three are several', one('A|C'), 'A|B|C', 'multiple', -1, 4],
      ['all of two or one alone', one('A|C B'), 'B', 'correct', 4, 4],
      ['subset: half of two is half', one('A|C', subset), 'C', 'partial', 2, 4],
      ['subset: all is all', one('A|C', subset), 'A|C', 'correct', 4, 4],
      ['subset: a wrong mark beside it is wrong', one('A|C', subset), 'A|B', 'multiple', -1, 4],
      ['subset: a third of three', one('A|B|C', subset), 'B', 'partial', 1.333333, 4],
      [
        'subset: a point for each of three, two marked',
        one('A|B|C', item({ partial: { rule: 'subset', each: 1 } })),
        'A|C',
        'partial',
        2,
        4,
      ],
      [
        'a part is never more than all',
        one('A|B|C', item({ partial: { rule: 'subset', each: 3 } })),
        'A|C',
        'partial',
        4,
        4,
      ],
      ['balance: two right less one wrong of three', one('A|B|C', balance), 'A|B|D', 'partial', 1.333333, 4],
      ['balance: one right less one wrong is nothing, so wrong', one('A|C', balance), 'A|B', 'multiple', -1, 4],
      ['balance: a single wrong mark', one('A|C', balance), 'B', 'wrong', -1, 4],
      ['partial: the better alternative counts', one('A|B|C|D A|B', subset), 'A', 'partial', 2, 4],
      ['void, answered right', one('B', item({ kind: 'void' })), 'B', 'void', null, 0],
      ['void, answered wrong', one('B', item({ kind: 'void' })), 'C', 'void', null, 0],
      ['bonus, answered wrong', one('B', item({ kind: 'bonus' })), 'C', 'bonus', 4, 4],
      ['bonus, left blank', one('B', item({ kind: 'bonus' })), '', 'bonus', 4, 4],
      ['bonus, without an answer in the key', one('', item({ kind: 'bonus' })), 'A', 'bonus', 4, 4],
      ['bonus with points of its own', one('B', item({ kind: 'bonus', marks: { correct: 2 } })), '', 'bonus', 2, 2],
      ['nothing accepted', one(''), 'A', 'outside', null, 0],
      ['points of its own', one('B', item({ marks: { correct: 10, wrong: -5 } })), 'C', 'wrong', -5, 10],
      ['number, exact', one('42', item({ tolerance: 0 })), '0042', 'correct', 4, 4],
      ['number, blank columns around it', one('42', item({ tolerance: 0 })), '_42_', 'correct', 4, 4],
      ['number, at the edge of its tolerance', one('0.3', item({ tolerance: 0.1 })), '0.2', 'correct', 4, 4],
      ['number, just beyond it', one('0.3', item({ tolerance: 0.1 })), '.199', 'wrong', -1, 4],
      ['number, a comma for the point', one('1.5', item({ tolerance: 0 })), '1,5', 'correct', 4, 4],
      ['number, a fraction', one('0.5', item({ tolerance: 0 })), '1/2', 'correct', 4, 4],
      ['number, negative', one('-7', item({ tolerance: 1 })), '-8', 'correct', 4, 4],
      ['number, one of two', one('10 20', item({ tolerance: 1 })), '19', 'correct', 4, 4],
      ['number with a doubly marked column', one('42', item({ tolerance: 100 })), '4?', 'multiple', -1, 4],
      ['number with a blank column inside', one('402', item({ tolerance: 1000 })), '4_2', 'wrong', -1, 4],
      ['no tolerance said: letter by letter', one('42'), '042', 'wrong', -1, 4],
    ];
  test.each(rows)('%s', (_, key, marked, outcome, points, most) => {
    const by = scorer(key);
    expect(by.judge(sheet([marked]))[0]).toMatchObject({ outcome, points });
    expect(by.score(sheet([marked]))).toMatchObject({ score: points ?? 0, max_score: most, unscored: null });
  });
});

test('sections set the points of their questions, a question may differ from its section, and subtotals add up', () => {
  const key: KeyContent = {
    answers: { '': ['A', 'A', 'A', 'A', 'A'] },
    marks: { correct: 1, wrong: 0, blank: 0 },
    sections: [
      { name: 'Physics', from: 1, to: 2, marks: { correct: 4, wrong: -1 } },
      { name: 'Chemistry', from: 3, to: 4, marks: { correct: 2 } },
    ],
    items: [{ variant: '', question: 4, marks: { correct: 6 } }],
  };
  const marks = sheet(['A', 'B', 'A', 'A', 'A']);
  // physics 4 − 1 of 8, chemistry 2 + 6 of 8, and question 5 has the key's own point
  expect(scorer(key).score(marks)).toMatchObject({ score: 12, max_score: 17, correct: 4, wrong: 1 });
  expect(scorer(key).sections(marks)).toEqual([
    { name: 'Physics', score: 3, max_score: 8 },
    { name: 'Chemistry', score: 8, max_score: 8 },
  ]);
});

test('a question is void in the booklet where it stands, not under its number in every booklet', () => {
  const key: KeyContent = {
    answers: { A: ['A', 'B'], B: ['B', 'A'] },
    marks: { correct: 1, wrong: 0, blank: 0 },
    items: [
      { variant: 'A', question: 1, kind: 'void' },
      { variant: 'B', question: 2, kind: 'void' },
    ],
  };
  expect(scorer(key).score(sheet(['A', 'B'], 'A'))).toMatchObject({ score: 1, max_score: 1, correct: 1 });
  expect(scorer(key).score(sheet(['B', 'A'], 'B'))).toMatchObject({ score: 1, max_score: 1, correct: 1 });
});

test('only questions that are scored count as blank or multiple, and all of them where nothing is scored', () => {
  const key: KeyContent = {
    answers: { '': ['B', 'B', '', 'B'] },
    marks: base,
    items: [{ variant: '', question: 4, kind: 'void' }],
  };
  const marks = sheet(['', 'A|C', '', '', 'A|B', '']);
  expect(scorer(key).score(marks)).toMatchObject({ max_score: 8, correct: 0, wrong: 0, blank: 1, multiple: 1 });
  expect(scorer(null).score(marks)).toMatchObject({ max_score: null, blank: 4, multiple: 2 });
});

test('a question that the sheet does not have is neither blank nor in the maximum', () => {
  const key: KeyContent = { answers: { '': ['A', 'A', 'A'] }, marks: base };
  expect(scorer(key).score(sheet(['A', null, 'A']))).toMatchObject({ score: 8, max_score: 8, blank: 0 });
  expect(
    scorer(key)
      .judge(sheet(['A', null, 'A']))
      .map(({ question }) => question),
  ).toEqual([1, 3]);
});

test.each([
  ['007', 7],
  ['_12', 12],
  ['.5', 0.5],
  ['-_3', -3],
  ['3/4', 0.75],
  ['1/0', null],
  ['1.5/2', null],
  ['.', null],
  ['', null],
  ['_', null],
  ['1_2', null],
  ['?2', null],
  ['B', null],
])('the number %j is %j', (text, number) => {
  expect(numberOf(text)).toBe(number);
});

test.each([[[]], [['']], [[null]], [['A', '', null, 'B|C', '']], [['', '', '']]])(
  'the values %j survive being packed',
  (values) => {
    expect(unpackValues(packValues(values), values.length)).toEqual(values);
  },
);

describe('a second implementation', () => {
  // Written from the words of the rules, another way round: it scores a sheet as a sum over questions of points looked
  // up from sets, in millionths, and shares no line with score.ts.
  const million = (x: number) => Math.round(x * 1e6);
  type Total = { score: number; max: number; correct: number; wrong: number; blank: number; multiple: number };
  function again(key: KeyContent, { values, variant }: Marks): Total | null {
    const booklets = Object.entries(key.answers);
    const own = booklets.find(([name]) => name === variant);
    const single = booklets.length === 1 && (booklets[0]![0] === '' || variant === null) ? booklets[0] : undefined;
    const entry = single ?? own;
    if (!entry) return null;
    const [name, list] = entry;
    const total: Total = { score: 0, max: 0, correct: 0, wrong: 0, blank: 0, multiple: 0 };
    for (const [index, value] of values.entries()) {
      if (value === null) continue;
      const question = index + 1;
      const isMany = /[|?]/.test(value);
      const seen = () => {
        if (value === '') total.blank += 1;
        else if (isMany) total.multiple += 1;
      };
      const wanted = list[index];
      const special = key.items?.find((i) => i.variant === name && i.question === question);
      const part = key.sections?.find((s) => question >= s.from && question <= s.to);
      const worth = (of: 'correct' | 'wrong' | 'blank'): number =>
        special?.marks?.[of] ?? part?.marks?.[of] ?? key.marks[of];
      const many = special?.marks?.multiple ?? part?.marks?.multiple ?? key.marks.multiple ?? worth('wrong');
      if (wanted === undefined || special?.kind === 'void' || (wanted === '' && special?.kind !== 'bonus')) continue;
      total.max += million(worth('correct'));
      if (special?.kind === 'bonus') {
        seen();
        total.score += million(worth('correct'));
        continue;
      }
      if (value === '') {
        total.blank += 1;
        total.score += million(worth('blank'));
        continue;
      }
      const chosen = new Set(value.split('|'));
      const choices = wanted.split(' ');
      let share = 0; // of full points, in points
      let full = false;
      if (special?.tolerance !== undefined) {
        const digits = value.replace(/^_+|_+$/g, '');
        if (/^\d+$/.test(digits)) {
          full = choices.some((c) => Math.abs(Number(c) - Number(digits)) <= special.tolerance!);
        }
      } else {
        const rule = special?.partial ?? part?.partial;
        for (const choice of choices) {
          const all = new Set(choice.split('|'));
          const hit = [...chosen].filter((c) => all.has(c)).length;
          const miss = chosen.size - hit;
          if (hit === all.size && miss === 0) full = true;
          const gain = !rule || (rule.rule === 'subset' && miss > 0) ? 0 : Math.max(0, hit - miss);
          share = Math.max(share, Math.min(worth('correct'), gain * (rule?.each ?? worth('correct') / all.size)));
        }
      }
      if (full) {
        total.correct += 1;
        total.score += million(worth('correct'));
      } else if (share > 0) total.score += million(share);
      else {
        if (isMany) total.multiple += 1;
        else total.wrong += 1;
        total.score += million(isMany ? many : worth('wrong'));
      }
    }
    return total;
  }

  const OPTIONS = ['A', 'B', 'C', 'D', 'E'];
  const some = (random: Random, most: number): string[] =>
    OPTIONS.filter(() => random.chance(most / OPTIONS.length)).slice(0, most);
  const points = (random: Random) => random.pick([0, 0.25, 0.5, 1, 2, 3, 4]);
  function randomKey(random: Random): KeyContent {
    const questions = 1 + random.int(60);
    const variants = random.pick([[''], ['A'], ['A', 'B'], ['A', 'B', 'C', 'D']]);
    const items: NonNullable<KeyContent['items']> = [];
    const answers = Object.fromEntries(
      variants.map((variant) => [
        variant,
        Array.from({ length: questions }, (_, i) => {
          const roll = random.next();
          const question = i + 1;
          if (roll < 0.05) {
            items.push({ variant, question, kind: random.pick(['void', 'bonus'] as const) });
            return random.pick(['', 'A']);
          }
          if (roll < 0.15) {
            items.push({ variant, question, tolerance: random.int(4) });
            return random.chance(0.5) ? String(random.int(50)) : `${random.int(50)} ${random.int(50)}`;
          }
          if (roll < 0.35) {
            if (random.chance(0.7)) {
              const rule = random.pick(['subset', 'balance'] as const);
              items.push({
                variant,
                question,
                partial: random.chance(0.5) ? { rule } : { rule, each: 0.5 + random.int(3) },
                ...(random.chance(0.3) ? { marks: { correct: 1 + points(random), multiple: -points(random) } } : {}),
              });
            }
            const sets = Array.from({ length: 1 + random.int(2) }, () => some(random, 3).join('|') || 'A');
            return sets.join(' ');
          }
          if (roll < 0.45) return some(random, 2).join(' ');
          return random.pick(OPTIONS);
        }),
      ]),
    );
    const middle = Math.ceil(questions / 2);
    const sections = random.chance(0.5)
      ? [
          { name: 'one', from: 1, to: middle, marks: { correct: 1 + points(random) } },
          ...(middle < questions
            ? [{ name: 'two', from: middle + 1, to: questions, partial: { rule: 'subset' as const } }]
            : []),
        ]
      : undefined;
    return {
      answers,
      marks: {
        correct: 1 + points(random),
        wrong: -points(random),
        blank: random.pick([0, 0, 0.25, -0.25]),
        ...(random.chance(0.5) ? { multiple: -points(random) } : {}),
      },
      ...(sections ? { sections } : {}),
      items,
    };
  }
  const randomValue = (random: Random): string | null => {
    const roll = random.next();
    if (roll < 0.01) return null;
    if (roll < 0.1) return '';
    if (roll < 0.25) return some(random, 4).join('|');
    if (roll < 0.4) return random.pick(['', '_', '0']) + String(random.int(55)) + random.pick(['', '_']);
    if (roll < 0.42) return random.pick(['4?', '1_2', '??']);
    return random.pick(OPTIONS);
  };

  test('agrees on 10,000 random sheets', { timeout: 180_000 }, () => {
    const random = seeded(60);
    let compared = 0;
    let unscored = 0;
    const met = new Set<string>();
    while (compared < 10_000) {
      const key = randomKey(random);
      const by = scorer(key);
      const length = Math.max(1, Object.values(key.answers)[0]!.length + random.int(5) - 2);
      for (let i = 0; i < 20; i++) {
        const marks = sheet(
          Array.from({ length }, () => randomValue(random)),
          random.pick([null, 'A', 'B', 'C']),
        );
        const own = by.score(marks);
        const other = again(key, marks);
        compared++;
        for (const { outcome } of by.judge(marks)) met.add(outcome);
        if (other === null) {
          unscored++;
          expect(own.score).toBeNull();
          continue;
        }
        const { score, max_score, correct, wrong, blank, multiple } = own;
        expect([score, max_score, correct, wrong, blank, multiple], JSON.stringify({ key, marks })).toEqual([
          expect.closeTo(other.score / 1e6, 4),
          expect.closeTo(other.max / 1e6, 4),
          other.correct,
          other.wrong,
          other.blank,
          other.multiple,
        ]);
      }
    }
    expect(unscored).toBeGreaterThan(100);
    expect(met.size, 'every outcome has been met').toBe(8);
  });
});
