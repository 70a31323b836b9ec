import { expect, test } from 'vitest';
import type { Correction } from '../../../shared/protocol/correction.ts';
import type { SheetLine } from '../../../shared/protocol/sync.ts';
import { askFor, rulings } from '../../../shared/review.ts';
import { waitingOn } from '../../../shared/sheet-line.ts';
import type { DecidedPage } from '../../sync/decisions.ts';
import { actionOf } from './keys.ts';
import { alike, baseOf, inOrder, ORDERS, secondReadings, waits } from './queue.ts';

type Said = Pick<Correction, 'field' | 'value'> & Partial<Correction>;

/** Page `n` with five answers, what the engine noted, and what people decided, each knowing what came before. */
function page(n: number, notes: string, ...said: Said[]): DecidedPage {
  const history = said.map(
    (one, i): Correction => ({
      correction_id: `${n}.${i}`,
      previous: null,
      reason: null,
      user_id: 'rea',
      username: 'rea',
      role: 'reviewer',
      client_id: `tablet ${i}`,
      base_rev: i,
      rev: i + 1,
      at: '',
      ...one,
    }),
  );
  const line = [
    n,
    `${n}.jpg`,
    'read',
    'sheet',
    0,
    '11112222',
    null,
    null,
    't@1',
    '123',
    'A',
    5,
    'A B C D ',
    notes,
  ] as const;
  const rest = [0, null, null, null, null, null, null, null, 0, null, 0, history] as const;
  const told = [...line, ...rest] as unknown as SheetLine;
  const ruled = rulings(history);
  return {
    batch: 'b',
    batch_no: 1,
    sheet_id: String(1_000_000 + n),
    line: told,
    pending: [],
    unsent: false,
    ruled,
    waiting: waitingOn(told, ruled, [], null),
  };
}
const rea = { user_id: 'rea', role: 'reviewer' } as const;
const rob = { user_id: 'rob', role: 'reviewer' } as const;
const sue = { user_id: 'sue', role: 'supervisor' } as const;
const told = (doubts: { page: DecidedPage; field: string; why: string }[]): string[] =>
  doubts.map((one) => `${one.page.line[0]} ${one.field} ${one.why}`);

test('worst first: what people disagree about, what a supervisor was asked, then the least sure', () => {
  const pages = [
    page(1, 'q1:70:d q2:40:md'),
    page(2, 'q5:10:fd', { field: 'q5', value: '' }),
    page(3, 'q3:90:d', { field: askFor('q3'), value: 'true' }),
    page(4, '', { field: 'q1', value: 'B' }, { field: 'q1', value: 'C', base_rev: 0, user_id: 'rob', username: 'rob' }),
  ];
  const worst = (me: typeof rea | typeof sue) => told(inOrder(waits(pages, me).mine, 'worst'));
  expect(worst(sue)).toEqual(['4 q1 conflict', '3 q3 asked', '1 q2 doubt', '1 q1 doubt']);
  expect(worst(rea)).toEqual(['4 q1 conflict', '1 q2 doubt', '1 q1 doubt']);
  expect(waits(pages, rea).elsewhere).toBe(1);
});

test('a variant that the key has no answers for waits, however sure the engine is, until somebody decides it', () => {
  const unread = (...said: Said[]): DecidedPage => {
    const blank = page(1, '', ...said);
    blank.line[10] = null;
    const keys = {
      key: { answers: { A: ['A'], B: ['B'] }, marks: { correct: 1, wrong: 0, blank: 0 } },
      template_id: 't',
    };
    return { ...blank, waiting: waitingOn(blank.line, blank.ruled, [], () => keys) };
  };
  expect(told(waits([unread()], rea).mine)).toEqual(['1 variant doubt']);
  expect(waits([unread()], rea).mine[0]).toMatchObject({ kind: 'variant', read: '', confidence: null });
  // Blank by a person's word as well: nobody has to look again, and the sheet says why it has no score.
  for (const value of ['A', 'Z', '']) expect(waits([unread({ field: 'variant', value })], rea).mine).toEqual([]);
  expect(told(waits([unread({ field: 'variant', value: null })], rea).mine)).toEqual(['1 variant doubt']);
  expect(waits([unread({ field: 'void', value: 'true' })], rea).mine).toEqual([]);
  expect(alike(waits([unread()], rea).mine)).toEqual([]);
});

test('by page in the order of the file, by kind like beside like', () => {
  const pages = [page(2, 'roll:40:d q1:50:md'), page(1, 'q4:60:fd q5:80:md')];
  const { mine } = waits(pages, rea);
  expect(told(inOrder(mine, 'page'))).toEqual(['1 q4 doubt', '1 q5 doubt', '2 roll doubt', '2 q1 doubt']);
  expect(inOrder(mine, 'kind').map(({ kind }) => kind)).toEqual(['multiple', 'multiple', 'faint', 'roll']);
});

test('every order is the same however the doubts come, so that what is undone stands where it stood', () => {
  const pages = [page(1, 'roll:50:d variant:50:d q1:50:d q2:50:d q10:50:d'), page(2, 'q1:50:d')];
  const { mine } = waits(pages, rea);
  for (const order of ORDERS) {
    const ordered = told(inOrder(mine, order));
    for (const { key } of mine) {
      const last = [...mine.filter((one) => one.key !== key), ...mine.filter((one) => one.key === key)];
      expect(told(inOrder(last, order))).toEqual(ordered);
    }
  }
});

test('what was read alike for the same reason is shown together, roll numbers and disagreement are not', () => {
  const pages = [page(1, 'q1:50:fd roll:50:d'), page(2, 'q1:60:fd q2:60:fd'), page(3, 'q1:60:ed')];
  expect(alike(waits(pages, rea).mine).map(({ name, doubts }) => [name, told(doubts)])).toEqual([
    ['faint A', ['1 q1 doubt', '2 q1 doubt']],
    ['erased A', ['3 q1 doubt']],
    ['faint B', ['2 q2 doubt']],
  ]);
});

test('a second reader gets what one other person has decided, and decides as if they had not', () => {
  const pages = [
    page(1, 'q1:50:d q2:50:d', { field: 'q2', value: 'A' }, { field: 'q1', value: 'B' }),
    page(
      2,
      'q1:50:d',
      { field: 'q1', value: 'B' },
      { field: 'q1', value: 'B', base_rev: 0, user_id: 'rob', username: 'rob' },
    ),
    page(3, 'q1:50:d', { field: 'q1', value: 'B' }, { field: 'q1', value: null }),
  ];
  expect(secondReadings(pages, rea)).toEqual([]);
  const second = secondReadings(pages, rob);
  expect(told(second)).toEqual(['1 q2 second', '1 q1 second']);
  expect(second.map(baseOf)).toEqual([0, 1]);
  expect(waits(pages, rob).mine.map(baseOf)).toEqual([2]);
});

test('keys: an option is an answer before it is anything else', () => {
  const press = (key: string, options = ['A', 'B', 'C', 'D', 'E'], more = {}) =>
    actionOf({ key, shift: false, ctrl: false, ...more }, options, 0, false);
  expect(press('b')).toEqual({ do: 'set', value: 'B' });
  expect(press('2')).toEqual({ do: 'set', value: 'B' });
  expect(press('9')).toBeNull();
  expect(press('B', undefined, { shift: true })).toEqual({ do: 'add', value: 'B' });
  expect(press('u')).toEqual({ do: 'ask' });
  expect(press('u', ['U', 'V'])).toEqual({ do: 'set', value: 'U' });
  expect(press('0', ['0', '1', '2'])).toEqual({ do: 'set', value: '0' });
  expect(press('0')).toEqual({ do: 'blank' });
  expect(press('z', undefined, { ctrl: true })).toEqual({ do: 'undo' });
  expect(press('k', undefined, { ctrl: true })).toBeNull();
  expect(press('g')).toBeNull();
  expect(actionOf({ key: '2', shift: false, ctrl: false }, [], 2, false)).toEqual({ do: 'take', index: 1 });
  expect(actionOf({ key: 'ArrowRight', shift: false, ctrl: false }, [], 0, true)).toEqual({ do: 'previous' });
});
