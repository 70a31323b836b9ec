import 'fake-indexeddb/auto';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { SheetRow } from '../../../shared/protocol/batch.ts';
import type { SheetLine } from '../../../shared/protocol/sync.ts';
import { closeChannel, forgetUser, openUser, type UserDb } from '../../db.ts';
import { decide } from '../../sync/decisions.ts';
import { scopeOf } from '../../sync/feed.ts';
import { readRows } from './rows.ts';

const rea = { user_id: 'rea', username: 'rea', role: 'reviewer' as const };
const TASK = '12345678';
const row = (page_index: number): SheetRow & { batch: string } => ({
  batch: 'b',
  sheet_id: String(1_000_000 + page_index),
  page_index,
  name: `${page_index}.jpg`,
  status: 'read',
  group_id: '0',
  task_id: TASK,
  roll: '77',
  variant: null,
  score: 1,
  max_score: 2,
  correct: 1,
  wrong: 1,
  blank: 0,
  multiple: 0,
  doubtful: 1,
  unscored: null,
  provisional: false,
  error_message: null,
});
/** Read as A and C, the second in doubt; the key wants A and B. */
const line = (page: number): SheetLine => [
  page,
  `${page}.jpg`,
  'read',
  'sheet',
  0,
  TASK,
  null,
  'sha',
  't@1',
  '77',
  null,
  2,
  'A C',
  'q2:40:fd',
  0,
  'key@1',
  1,
  2,
  1,
  1,
  0,
  0,
  1,
  null,
  0,
  [],
];
let user: UserDb;
const told = (lines: SheetLine[]) =>
  user.put('parts', { scope: scopeOf('b'), generation: 1, part: 0, lines, groups: [], office: null });

beforeEach(async () => {
  user = await openUser('rea');
  await user.put('feeds', {
    scope: scopeOf('b'),
    cursor: 'e.1',
    generation: 1,
    batch_no: 1,
    true_at: 1,
    building: null,
  });
  await told([line(0), line(1)]);
  for (const page of [0, 1]) await user.put('sheets', row(page));
  await user.put('tasks', {
    task_id: TASK,
    exam: 'Exam',
    centre: 'North',
    packet: null,
    template_id: 't',
    key_id: 'key',
    expected_count: null,
    rev: 1,
    true_at: 1,
  } as never);
  const content = { answers: { '': ['A', 'B'] }, marks: { correct: 1, wrong: 0, blank: 0 } };
  await user.put('keys', { key_id: 'key', published: [{ version: 1, content }] } as never);
  await user.put('pulls', { place: 'keys', true_at: 1 });
});
afterEach(async () => {
  user.close();
  await forgetUser('rea');
});
afterAll(closeChannel);

const shown = async (keys = true) =>
  (await readRows(user, rea, 'b', keys)).map(({ score, doubtful, roll, pending }) => ({
    score,
    doubtful,
    roll,
    pending,
  }));
const asRead = { score: 1, doubtful: 1, roll: '77', pending: false };

test('a decision counts in the list as soon as it is made here, and says that the server has not shown it', async () => {
  expect(await shown()).toEqual([asRead, asRead]);
  await decide(user, 'b', [{ sheet_id: '1000001', field: 'q2', value: 'B', base_rev: 0 }]);
  expect(await shown()).toEqual([asRead, { score: 2, doubtful: 0, roll: '77', pending: true }]);
  // The doubts and the roll number are told where answer keys are not, and the score is the server's until it says another.
  await decide(user, 'b', [{ sheet_id: '1000000', field: 'roll', value: '78', base_rev: 0 }]);
  expect((await shown(false))[0]).toEqual({ ...asRead, roll: '78', pending: true });
});

test('[S2] when the feed brings the decision the score stays, though the list was fetched before it', async () => {
  await decide(user, 'b', [{ sheet_id: '1000001', field: 'q2', value: 'B', base_rev: 0 }]);
  const after = line(1);
  [after[16], after[18], after[19], after[22]] = [2, 2, 0, 0];
  const decision = { correction_id: 'c', field: 'q2', value: 'B', previous: 'C', reason: null, client_id: 'tablet' };
  after[25] = [{ ...rea, ...decision, base_rev: 0, rev: 1, at: '' }];
  const tx = user.transaction(['outbox', 'parts'], 'readwrite');
  await tx.objectStore('outbox').clear();
  await tx
    .objectStore('parts')
    .put({ scope: scopeOf('b'), generation: 1, part: 0, lines: [line(0), after], groups: [], office: null });
  await tx.done;
  expect(await shown()).toEqual([asRead, { score: 2, doubtful: 0, roll: '77', pending: false }]);
});

test('a batch whose pages are not on this device is listed as the server did', async () => {
  await user.clear('feeds');
  expect(await shown()).toEqual([asRead, asRead]);
});
