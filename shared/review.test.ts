import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Correction } from './protocol/correction.ts';
import type { SheetReading } from './protocol/reading.ts';
import { type AsRead, applyCorrections, askFor, resultOf, rulings, waitingFields, wrongWith } from './review.ts';
import { marksOf } from './scoring/marks.ts';
import { notesOf, packNotes, riskOf, unpackNotes } from './scoring/notes.ts';
import { scorer } from './scoring/score.ts';

type Decision = Pick<Correction, 'field' | 'value' | 'role' | 'client_id' | 'base_rev' | 'rev' | 'username'>;

const reading: Pick<SheetReading, 'fields'> = {
  fields: [
    { label: 'roll', value: '2041_345', confidence: 0.4, flags: ['doubtful'] },
    { label: 'variant', value: 'A', confidence: 0.99, flags: [] },
    { label: 'q1', value: 'B', confidence: 0.98, flags: [] },
    { label: 'q2', value: 'A|C', confidence: 0.35, flags: ['multiple', 'doubtful'] },
    { label: 'q3', value: '', confidence: 0.97, flags: ['blank'] },
    { label: 'q4', value: 'D', confidence: 0.81, flags: ['erased'] },
  ],
};
const read: AsRead = { marks: marksOf(reading), notes: notesOf(reading) };

/** Decisions in the order the server took them: rev is the place in the list. */
const history = (...list: (Partial<Decision> & Pick<Decision, 'field' | 'value'>)[]): Decision[] =>
  list.map((one, i) => ({
    role: 'reviewer',
    client_id: `tablet ${i}`,
    base_rev: i,
    rev: i + 1,
    username: 'rea',
    ...one,
  }));

describe('what was read, with what people decided over it', () => {
  test('without a decision the final values are those read, and the doubtful ones wait', () => {
    expect(applyCorrections(read, [])).toMatchObject({ marks: read.marks, void: false, group: null, task_id: null });
    expect(read.marks.doubtful).toBe(2);
  });

  test('[S4] fixing a roll number changes no answer', () => {
    const { marks } = applyCorrections(read, history({ field: 'roll', value: '20412345' }));
    expect(marks).toEqual({ ...read.marks, roll: '20412345', doubtful: 1, doubtful_unlisted: 2 });
  });

  test('a decision settles the doubt, also when it is what was read', () => {
    const { marks, rulings } = applyCorrections(read, history({ field: 'q2', value: 'A|C' }));
    expect(marks).toEqual({ ...read.marks, doubtful: 1, doubtful_unlisted: 2 });
    expect(rulings.get('q2')).toMatchObject({ by: 'reviewer', value: 'A|C' });
  });

  test('an answer decided as blank is blank, a roll number decided as blank is none', () => {
    const { marks } = applyCorrections(read, history({ field: 'q1', value: '' }, { field: 'roll', value: '' }));
    expect([marks.values[0], marks.roll]).toEqual(['', null]);
  });

  test('what is taken back is as the machine read it, and doubtful again', () => {
    const { marks, rulings } = applyCorrections(
      read,
      history({ field: 'q2', value: 'A' }, { field: 'q2', value: null }),
    );
    expect(marks).toEqual(read.marks);
    expect(rulings.get('q2')).toMatchObject({ by: 'machine', value: null });
  });

  test('a sheet that is set aside has no score, and nobody has to look at its doubts', () => {
    const { marks, void: isVoid } = applyCorrections(read, history({ field: 'void', value: 'true' }));
    const key = { answers: { '': ['B', 'A', 'A', 'D'] }, marks: { correct: 1, wrong: 0, blank: 0 } };
    const scored = scorer(key).score(marks);
    expect(resultOf(scored, { held: false, known_task: true }, isVoid)).toMatchObject({
      score: null,
      unscored: 'void',
      doubtful: 0,
    });
    expect(resultOf(scored, { held: false, known_task: true })).toMatchObject({ score: 2, unscored: null });
    expect(resultOf(scored, { held: true, known_task: true })).toMatchObject({ score: null, unscored: 'suspect-key' });
  });

  test('a question that the sheet does not have is left alone', () => {
    expect(applyCorrections(read, history({ field: 'q9', value: 'A' })).marks).toEqual(read.marks);
    expect(wrongWith('q9', 'A', 4)).toBe('the sheet has 4 questions');
    expect(wrongWith('q1', 'A', null)).toMatch(/was not read/);
    expect([wrongWith('task', '1234', 4), wrongWith('void', 'yes', null), wrongWith('roll', 'A|B', 4)]).toEqual([
      'a task has 8 digits',
      'void is true or false',
      'roll has one value',
    ]);
  });
});

describe('several people', () => {
  test('whoever has seen the decision before replaces it', () => {
    const [ruling] = rulings(history({ field: 'q1', value: 'A' }, { field: 'q1', value: 'C' })).values();
    expect(ruling).toMatchObject({ value: 'C', against: [], overruled: [] });
  });

  test('[S3] two who did not see each other are in conflict: the first stands, the sheet waits, both are kept', () => {
    const both = history({ field: 'q1', value: 'A' }, { field: 'q1', value: 'C', base_rev: 0 });
    const { marks, rulings } = applyCorrections(read, both);
    expect(rulings.get('q1')).toMatchObject({ value: 'A', against: [{ value: 'C' }] });
    expect([marks.values[0], marks.doubtful]).toEqual(['A', 3]);
    const settled = applyCorrections(read, [
      ...both,
      ...history({ field: 'q1', value: 'C', base_rev: 2 }).map((one) => ({ ...one, rev: 3 })),
    ]);
    expect(settled.rulings.get('q1')).toMatchObject({ value: 'C', against: [] });
    expect(settled.marks.doubtful).toBe(2);
  });

  test('two who say the same agree', () => {
    const ruled = rulings(history({ field: 'q1', value: 'A' }, { field: 'q1', value: 'A', base_rev: 0 }));
    expect(ruled.get('q1')).toMatchObject({ value: 'A', against: [] });
  });

  test('different fields merge', () => {
    const { marks } = applyCorrections(
      read,
      history({ field: 'q1', value: 'A' }, { field: 'q4', value: 'B', base_rev: 0 }),
    );
    expect([marks.values[0], marks.values[3], marks.doubtful]).toEqual(['A', 'B', 2]);
  });

  test('a supervisor outweighs a reviewer, whoever came first, and the reviewer’s word is kept', () => {
    const first = history({ field: 'q1', value: 'A', role: 'supervisor' }, { field: 'q1', value: 'C', base_rev: 0 });
    const last = history({ field: 'q1', value: 'C' }, { field: 'q1', value: 'A', role: 'supervisor', base_rev: 0 });
    for (const both of [first, last])
      expect(rulings(both).get('q1')).toMatchObject({
        value: 'A',
        by: 'supervisor',
        against: [],
        overruled: [{ value: 'C' }],
      });
  });

  test('a tablet knows what it said before, though the server’s answer had not come', () => {
    const twice = history(
      { field: 'q1', value: 'A', client_id: 't', base_rev: 0 },
      { field: 'q1', value: 'D', client_id: 't', base_rev: 0 },
    );
    expect(rulings(twice).get('q1')).toMatchObject({ value: 'D', against: [] });
  });
});

const decision = fc.record({
  field: fc.constantFrom('q1', 'q2', 'q4', 'roll', 'variant', 'void', 'task', 'group'),
  value: fc.constantFrom('A', 'B', '', 'true', '10000000', '3', null),
  role: fc.constantFrom('admin' as const, 'supervisor' as const, 'reviewer' as const),
  client_id: fc.constantFrom('a', 'b', 'c'),
  username: fc.constant('x'),
  seen: fc.nat(8),
});
const decisions = fc
  .array(decision, { maxLength: 10 })
  .map((list) => list.map(({ seen, ...one }, i): Decision => ({ ...one, rev: i + 1, base_rev: Math.min(seen, i) })));

describe('for any history', () => {
  test('[S4] a decision about one field changes no other', () => {
    fc.assert(
      fc.property(decisions, decision, (before, { seen, ...one }) => {
        const next = { ...one, rev: before.length + 1, base_rev: Math.min(seen, before.length) };
        const [a, b] = [applyCorrections(read, before), applyCorrections(read, [...before, next])];
        const values = (of: typeof a) =>
          new Map<string, unknown>([
            ...of.marks.values.map((value, i): [string, unknown] => [`q${i + 1}`, value]),
            ['roll', of.marks.roll],
            ['variant', of.marks.variant],
            ['void', of.void],
            ['group', of.group],
            ['task', of.task_id],
          ]);
        for (const [field, value] of values(a)) if (field !== next.field) expect(values(b).get(field)).toEqual(value);
        for (const [field, ruling] of a.rulings) if (field !== next.field) expect(b.rulings.get(field)).toEqual(ruling);
      }),
    );
  });

  test('[S3] no decision vanishes: what does not count was replaced by somebody who knew it, or is shown beside', () => {
    fc.assert(
      fc.property(decisions, (list) => {
        const ruled = rulings(list);
        for (const one of list) {
          const ruling = ruled.get(one.field);
          const shown = ruling && [ruling.standing, ...ruling.against, ...ruling.overruled];
          const same = shown?.some(({ value }) => value === one.value);
          const replaced = list.some(
            (later) =>
              later.field === one.field &&
              later.rev > one.rev &&
              (later.base_rev >= one.rev || later.client_id === one.client_id),
          );
          expect(same || replaced).toBe(true);
        }
      }),
    );
  });

  test('a reviewer never outweighs a supervisor who still stands, and the order in which rows are handed in says nothing', () => {
    fc.assert(
      fc.property(decisions, fc.infiniteStream(fc.nat(1000)), (list, keys) => {
        const ruled = rulings(list);
        for (const { standing, against, overruled } of ruled.values())
          if (standing.role === 'reviewer')
            expect([...against, ...overruled].filter(({ role }) => role !== 'reviewer')).toEqual([]);
        const shuffled = list.map((one) => ({ one, key: keys.next().value })).sort((a, b) => a.key - b.key);
        expect(Object.fromEntries(rulings(shuffled.map(({ one }) => one)))).toEqual(Object.fromEntries(ruled));
      }),
    );
  });

  test('reading the page again changes no decision', () => {
    const again: AsRead = {
      marks: { ...read.marks, values: ['D', 'D', 'D', 'D'], roll: '9', variant: null },
      notes: [],
    };
    fc.assert(
      fc.property(decisions, (list) => {
        const [a, b] = [applyCorrections(read, list), applyCorrections(again, list)];
        for (const [field, { value }] of a.rulings) {
          expect(b.rulings.get(field)?.value).toBe(value);
          const at = Number(/^q(\d)$/.exec(field)?.[1] ?? 0) - 1;
          if (value !== null && at >= 0) expect([a.marks.values[at], b.marks.values[at]]).toEqual([value, value]);
        }
      }),
    );
  });
});

test('notes are kept as a line of text, and what nobody is asked about as a number', () => {
  expect(packNotes(read.notes)).toBe('roll:40:d q2:35:md q4:81:e');
  expect(unpackNotes(packNotes(read.notes))).toEqual(read.notes);
  expect(unpackNotes('')).toEqual([]);
  expect(riskOf(reading)).toBeCloseTo(0.01 + 0.02 + 0.03 + 0.19, 6);
});

describe('what waits for a person', () => {
  const waiting = (...list: Decision[]) => [...waitingFields(read.notes, rulings(list))];

  test('doubts that nobody has decided, disagreement, and what a supervisor was asked', () => {
    expect(waiting()).toEqual([
      ['roll', 'doubt'],
      ['q2', 'doubt'],
    ]);
    const said = history(
      { field: 'q2', value: 'A' },
      { field: 'q2', value: 'C', base_rev: 0, username: 'rob' },
      { field: askFor('q3'), value: 'true' },
      { field: 'roll', value: '20412345' },
    );
    expect(waiting(...said)).toEqual([
      ['q2', 'conflict'],
      ['q3', 'asked'],
    ]);
    expect(applyCorrections(read, said).marks.doubtful).toBe(2);
  });

  test('a question to a supervisor is open until one decides the field, and again when it is asked again', () => {
    const asked = { field: askFor('q2'), value: 'true' };
    const answer = (role: Decision['role']) => ({ field: 'q2', value: 'A', role });
    const open = (...list: Parameters<typeof history>) =>
      waiting(...history(...list)).some(([field, why]) => field === 'q2' && why === 'asked');
    expect(open(asked, answer('reviewer'))).toBe(true);
    expect(open(asked, answer('supervisor'))).toBe(false);
    expect(open(asked, { ...asked, value: null })).toBe(false);
    expect(open(asked, answer('admin'), { ...asked, base_rev: 2 })).toBe(true);
    expect(open(asked, { field: 'void', value: 'true' })).toBe(false);
  });

  test('a second reader who was not shown the first agrees, or is in conflict', () => {
    const first = { field: 'q2', value: 'A', username: 'rea' };
    const second = { field: 'q2', username: 'rob', base_rev: 0 };
    expect(rulings(history(first, { ...second, value: 'A' })).get('q2')).toMatchObject({
      value: 'A',
      against: [],
      agreeing: [{ username: 'rob' }],
    });
    expect(rulings(history(first, { ...second, value: 'C' })).get('q2')).toMatchObject({
      against: [{ username: 'rob', value: 'C' }],
      agreeing: [],
    });
  });

  test('a question is asked or taken back, about a field of the sheet', () => {
    expect(wrongWith(askFor('q4'), 'true', 4)).toBeNull();
    expect(wrongWith(askFor('q4'), null, 4)).toBeNull();
    expect(wrongWith(askFor('q4'), 'B', 4)).toMatch(/true, or taken back/);
    expect(wrongWith(askFor('q5'), 'true', 4)).toMatch(/4 questions/);
  });
});
