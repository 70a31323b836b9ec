// What counts as doubtful is what somebody is offered to look at: over random sheets, keys and decisions, the server's
// count, the device's own, the queue of a supervisor and the residual error's are one number.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { waits } from '../pwa/screens/review/queue.ts';
import { readFromRow, scoring } from '../server/keys/score-batch.ts';
import type { Correction } from '../shared/protocol/correction.ts';
import type { KeyContent } from '../shared/protocol/key.ts';
import { FIELD_FLAGS, type FieldReading } from '../shared/protocol/reading.ts';
import type { SheetLine } from '../shared/protocol/sync.ts';
import { residualOf } from '../shared/residual.ts';
import { applyCorrections, rulings } from '../shared/review.ts';
import { marksOf, packValues } from '../shared/scoring/marks.ts';
import { notesOf, packNotes, riskOf } from '../shared/scoring/notes.ts';
import { pendingCorrections, viewSheet, waitingOn } from '../shared/sheet-line.ts';

const TASK = '11112222';
const field = (label: string, ...values: string[]): fc.Arbitrary<FieldReading> =>
  fc.record({
    label: fc.constant(label),
    value: fc.constantFrom(...values),
    confidence: fc.double({ min: 0, max: 1, noNaN: true }),
    flags: fc.subarray([...FIELD_FLAGS]),
  });
const reading = fc
  .tuple(
    field('roll', '123', '1_3', '___', ''),
    fc.option(field('variant', 'A', 'B', 'Z', '', 'A|B'), { nil: undefined }),
    field('q1', 'A', '', 'A|C'),
    field('q2', 'B', ''),
  )
  .map((fields) => ({ fields: fields.flatMap((one) => one ?? []) }));
const key = fc.option(
  fc.constantFrom<KeyContent['answers']>({ '': ['A', 'B'] }, { A: ['A', 'B'] }, { A: ['A', 'B'], B: ['B', 'A'] }),
);
const said = fc
  .constantFrom<[string, (string | null)[]]>(
    ['roll', ['9', '', null]],
    ['variant', ['A', 'B', 'Z', '', null]],
    ['q1', ['A', '', null]],
    ['q2', ['B', null]],
    ['void', ['true', 'false', null]],
    ['ask:variant', ['true', null]],
    ['ask:q1', ['true', null]],
  )
  .chain(([name, values]) =>
    fc.record({
      field: fc.constant(name),
      value: fc.constantFrom(...values),
      role: fc.constantFrom<Correction['role']>('reviewer', 'supervisor'),
      who: fc.nat(2),
      seen: fc.nat(8),
    }),
  );

test('a sheet is doubtful exactly when a field of it waits, and by as many, on the server and on the device, before and after decisions', () => {
  fc.assert(
    fc.property(
      reading,
      key,
      fc.record({ known: fc.boolean(), template: fc.constantFrom('t', 'other') }),
      fc.array(said, { maxLength: 8 }),
      fc.nat(3),
      (read, answers, { known, template }, decisions, unsent) => {
        const content = answers && { answers, marks: { correct: 1, wrong: 0, blank: 0 } };
        const history = decisions.map(
          ({ field, value, role, who, seen }, i): Correction => ({
            correction_id: String(i),
            field,
            value,
            previous: null,
            reason: null,
            user_id: `user ${who}`,
            username: `user ${who}`,
            role,
            client_id: `tablet ${who}`,
            base_rev: Math.min(seen, i),
            rev: i + 1,
            at: '',
          }),
        );
        // What one person said last is on its way: the server has it in the end, the device lays it over what was told.
        const mine = history.slice(Math.max(0, history.length - unsent));
        const [first] = mine;
        const pendingHere = mine.every(({ client_id, role }) => client_id === first?.client_id && role === first.role)
          ? mine
          : [];
        const taken = history.slice(0, history.length - pendingHere.length);

        const marks = marksOf(read);
        const notes = packNotes(notesOf(read));
        const row = {
          roll: marks.roll,
          variant: marks.variant,
          questions: marks.values.length,
          choices: packValues(marks.values),
          doubtful: marks.doubtful,
          variant_doubtful: marks.doubtful_unlisted === marks.doubtful ? (1 as const) : (0 as const),
          notes,
          risk: riskOf(read),
        };
        const ring = {
          keys: new Map(known ? [[TASK, content && { key_id: 'key', version: 1, content }]] : []),
          templates: new Map(known ? [[TASK, 't']] : []),
        };
        const onServer = (told: readonly Correction[]) => {
          const decided = told.length > 0 ? applyCorrections(readFromRow(row), told) : null;
          return scoring(ring)(
            {
              sheet_id: 1,
              template_id: template,
              group_index: 0,
              task_id: TASK,
              marks: () => decided?.marks ?? readFromRow(row).marks,
              void: decided?.void ?? false,
            },
            false,
          );
        };
        const onDevice = (told: readonly Correction[], pending: readonly Correction[], knows: boolean) => {
          const unscored = onServer(told).unscored as SheetLine[23];
          // biome-ignore format: as it is on the wire
          const line: SheetLine = [
            0, 'a.jpg', 'read', 'sheet', 0, TASK, null, null, `${template}@1`, marks.roll, marks.variant,
            marks.values.length, row.choices, notes, row.risk, null, null, null, null, null, null, null, 0, unscored, 0,
            [...told],
          ];
          const taskOf = () => (known ? { key: content, template_id: 't' } : undefined);
          const items = pending.map((one) => ({ ...one, sheet_id: '1' }));
          const { user_id = '', username = '', role = 'reviewer', client_id = '' } = pending[0] ?? {};
          const overlaid = pendingCorrections(line, items, { user_id, username, role, client_id });
          const ruled = rulings([...told, ...overlaid]);
          const waiting = waitingOn(line, ruled, overlaid, knows ? taskOf : null);
          const page = {
            batch: 'b',
            batch_no: 0,
            sheet_id: '1',
            line,
            pending: overlaid,
            unsent: true,
            ruled,
            waiting,
          };
          return {
            waits: waits([page], { user_id: 'me', role: 'supervisor' }).mine.length,
            left: residualOf([page]).left,
            doubtful: knows ? viewSheet(line, overlaid, taskOf)?.result?.doubtful : undefined,
          };
        };

        const before = onServer(taken).doubtful;
        const after = onServer(history).doubtful;
        const all = (doubtful: number) => ({ waits: doubtful, left: doubtful, doubtful });
        expect(onDevice(taken, [], true)).toEqual(all(before));
        expect(onDevice(taken, pendingHere, true)).toEqual(all(after));
        expect(onDevice(history, [], true)).toEqual(all(after));
        // Without the keys the server's word for it stands in the line.
        expect(onDevice(history, [], false)).toEqual({ ...all(after), doubtful: undefined });
      },
    ),
    { numRuns: 1000 },
  );
});
