import 'fake-indexeddb/auto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { BatchRow, GroupRow } from '../../shared/protocol/batch.ts';
import { closeChannel, type Edit, openUser, type UserDb } from '../db.ts';
import { HELD_STORES, heldIn, holds, readHeld, ungrouped } from './held.ts';
import { versionOf } from './pull.ts';

let user: UserDb;
beforeEach(async () => {
  user ??= await openUser('u1');
  for (const store of HELD_STORES) await user.clear(store);
});
afterAll(() => {
  user.close();
  closeChannel();
});

const group = (first_page: number, state: GroupRow['state'], task_id: string | null = null): GroupRow => ({
  group_id: `b-${first_page}`,
  index: first_page,
  task_id,
  cover_page: null,
  first_page,
  sheets: 3,
  failed_sheets: 0,
  state,
  settled: null,
  notes: [],
  suspicion: null,
  exam: null,
  centre: null,
  template_id: null,
  key_id: null,
  expected_count: null,
  key_version: null,
});
const NOBODY = new Set<number>();

test('groups that nobody can place wait, and so do sheets of a task that does not exist; what is settled does not', () => {
  const groups = [
    group(0, 'no-cover'),
    group(4, 'ok', '11110001'),
    group(8, 'maybe-cover'),
    group(12, 'no-task', '87000231'),
    group(16, 'no-task', '87000231'),
    group(20, 'set-aside'),
    group(24, 'suspect-key', '11110001'),
  ];
  expect(heldIn(groups, NOBODY, new Set())).toEqual({
    groups: 2,
    sheets: 6,
    tasks: [{ task_id: '87000231', sheets: 6 }],
  });
  // Somebody has said where they belong, and somebody has made the task.
  const settled = heldIn(groups, new Set([0, 8]), new Set(['87000231']));
  expect([settled, holds(settled)]).toEqual([{ groups: 0, sheets: 0, tasks: [] }, false]);
});

const edit = (n: number, value: string | null, state: Edit['state']): Edit => ({
  n,
  subject: 'sheet:7000004',
  made_at: '',
  base: { on: 'nothing' },
  change: {
    kind: 'correct',
    batch_id: 'b',
    reason: null,
    items: [{ sheet_id: '7000004', field: 'opens', value, base_rev: 0 }],
  },
  state,
});

test('what was decided and made here counts at once; what the server refused, or was taken back, does not', async () => {
  await user.put('groups', {
    batch: 'b',
    items: [group(0, 'no-cover'), group(4, 'maybe-cover'), group(8, 'no-task', '87000231')],
    true_at: 0,
  });
  const held = async () => {
    const found = (await readHeld(user.transaction(HELD_STORES))).get('b');
    return [found?.groups, found?.tasks.length];
  };
  expect(await held()).toEqual([2, 1]);
  await user.put('outbox', edit(1, '11110001', { at: 'waiting' }));
  expect(await held()).toEqual([1, 1]);
  await user.put('outbox', edit(2, null, { at: 'waiting' }));
  expect(await held()).toEqual([2, 1]);
  await user.put('outbox', edit(3, 'join', { at: 'refused', code: 'CONFLICT', detail: '' }));
  expect(await held()).toEqual([2, 1]);
  const task = {
    task_id: '87000231',
    exam: 'e',
    centre: 'c',
    packet: null,
    template_id: 'sheaf-40',
    key_id: null,
    expected_count: null,
  };
  await user.put('overlays', { subject: 'task:87000231', n: 4, change: { kind: 'task', task } });
  expect(await held()).toEqual([2, 0]);
});

test('what is kept for review is newer than a list that was fetched when somebody looked', async () => {
  await user.put('groups', { batch: 'b', items: [group(0, 'no-cover')], true_at: 0 });
  await user.put('feeds', {
    scope: 'batch:b',
    cursor: 'e.1',
    generation: 1,
    building: null,
    batch_no: 7,
    true_at: 0,
  });
  const groups = [{ ...group(0, 'ok', '11110001'), settled: 'task' as const }];
  await user.put('parts', { scope: 'batch:b', generation: 1, part: -1, lines: [], groups, office: null });
  expect((await readHeld(user.transaction(HELD_STORES), 'b')).get('b')).toEqual({ groups: 0, sheets: 0, tasks: [] });
});

test('groups are looked up once for each end of a batch that nobody has opened here', () => {
  const row = (batch_id: string, status: BatchRow['status'], ended: string): BatchRow => ({
    batch_id,
    name: batch_id,
    upload_type: 'zip_with_qr',
    status,
    task_id: null,
    uploaded_by: 'amal',
    centre: null,
    size: 1,
    total_sheets: 1,
    processed_sheets: 1,
    failed_sheets: 0,
    doubtful_sheets: 0,
    created_at: ended,
    processing_started_at: null,
    processing_completed_at: ended,
    deleted_at: null,
  });
  const old = row('old', 'completed', '2026-01-01T01:00:00Z');
  const rows = [
    old,
    row('new', 'completed_with_errors', '2026-01-01T02:00:00Z'),
    row('opened', 'completed', '2026-01-01T03:00:00Z'),
    row('going', 'processing', '2026-01-01T04:00:00Z'),
  ];
  const due = (fetched: [string, { version?: string }][]): string[] =>
    ungrouped(rows, new Map(fetched), new Set(['opened'])).map(({ batch }) => batch);
  expect(due([])).toEqual(['new', 'old']);
  expect(due([['old', { version: versionOf(old) }]])).toEqual(['new']);
  expect(due([['old', { version: 'processing ' }]])).toEqual(['new', 'old']);
});
