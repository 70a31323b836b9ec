import 'fake-indexeddb/auto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { BatchRow } from '../../shared/protocol/batch.ts';
import { closeChannel, openQueue, openUser, type QueueDb, type UserDb } from '../db.ts';
import { choose } from './live.ts';
import { forgetBatch, versionOf } from './pull.ts';

let queue: QueueDb;
let user: UserDb;

beforeEach(async () => {
  queue ??= await openQueue();
  user ??= await openUser('u1');
  for (const store of ['batches', 'cursors', 'wanted', 'sheets', 'events'] as const) await user.clear(store);
  await queue.clear('uploads');
});
afterAll(() => {
  queue.close();
  user.close();
  closeChannel();
});

const NOW = Date.parse('2026-01-02T00:00:00Z');

const batch = (id: string, status: BatchRow['status'], hour: number): BatchRow & { true_at: number } => ({
  batch_id: id,
  name: id,
  upload_type: 'images',
  status,
  task_id: null,
  centre: null,
  uploaded_by: 'amal',
  size: 1,
  total_sheets: 1,
  processed_sheets: 1,
  failed_sheets: 0,
  doubtful_sheets: 0,
  created_at: `2026-01-01T${String(hour).padStart(2, '0')}:00:00Z`,
  processing_started_at: null,
  processing_completed_at: status === 'completed' ? '2026-01-01T12:00:00Z' : null,
  deleted_at: null,
  true_at: 0,
});

test('what is open on a screen is followed first, then what was sent from here, then what is alive, newest first', async () => {
  for (const row of [
    batch('old', 'processing', 1),
    batch('new', 'processing', 3),
    batch('sent', 'processing', 2),
    batch('seen', 'processing', 0),
  ])
    await user.put('batches', row);
  await user.put('wanted', { batch: 'seen', at: NOW - 60_000 });
  await queue.put('uploads', {
    id: 'a',
    owner: { user_id: 'u1', username: 'amal' },
    upload_type: 'images',
    name: 'a',
    size: 1,
    chunk_size: 1,
    task_id: null,
    files: [],
    created_at: '',
    step: { at: 'queued' },
    server: { upload_id: 'x', batch_id: 'sent', upload_token: 't', epoch: 1 },
  });
  expect(await choose(queue, user, NOW)).toEqual(['seen', 'sent', 'new', 'old']);
});

test('an ended batch is fetched until it is whole, and again when it has ended anew', async () => {
  const row = batch('done', 'completed', 1);
  await user.put('batches', row);
  expect(await choose(queue, user, NOW)).toEqual([]);
  await user.put('wanted', { batch: 'done', at: 1 });
  expect(await choose(queue, user, NOW)).toEqual(['done']);
  await user.put('cursors', { batch: 'done', last_event_id: '9', whole_for: versionOf(row) });
  expect(await choose(queue, user, NOW)).toEqual([]);
  await user.put('batches', { ...row, processing_completed_at: '2026-01-01T15:00:00Z' });
  expect(await choose(queue, user, NOW)).toEqual(['done']);
});

test('forgetting a batch forgets its log and its sheets, and no other batch’s', async () => {
  const event = { type: 'item.started' as const, data: { item_id: '', item_index: 0, started_at: '' } };
  for (const id of ['a', 'b']) {
    await user.put('batches', batch(id, 'completed', 1));
    await user.put('events', { batch: id, seq: 1, event });
  }
  await forgetBatch(user, 'a');
  expect(await user.getAllKeys('batches')).toEqual(['b']);
  expect(await user.getAllKeys('events')).toEqual([['b', 1]]);
});
