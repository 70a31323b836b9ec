import 'fake-indexeddb/auto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createApi } from '../api.ts';
import { closeChannel, openQueue, openUser, type QueueDb, type UserDb } from '../db.ts';
import { createSession } from '../session.ts';
import { follow } from './follow.ts';
import type { LineEnd } from './line.ts';
import { eventsOf } from './pull.ts';

const BATCH = 'b1';
let queue: QueueDb;
let user: UserDb;

beforeEach(async () => {
  queue ??= await openQueue();
  user ??= await openUser('u1');
  for (const store of ['events', 'snapshots', 'cursors'] as const) await user.clear(store);
  const me = { user_id: 'u1', username: 'amal', role: 'operator' as const, is_admin: false, centres: [] };
  await queue.put('device', { key: 'identity', me: { ...me, must_change_password: false }, signed_in: true });
});
afterAll(() => {
  queue.close();
  user.close();
  closeChannel();
});

const started = (n: number) => ({ item_id: `i${n}`, item_index: n, started_at: '2026-01-01T00:00:00Z' });
const progress = {
  batch_id: BATCH,
  stage: 'processing_sheets',
  message: 'Reading',
  progress_percentage: 50,
  sheets_total: 2,
  sheets_total_final: true,
  sheets_processed: 1,
  elapsed_seconds: 1,
  stage_elapsed_seconds: 1,
  timestamp: '2026-01-01T00:00:01Z',
};
const complete = { ...progress, stage: 'completed', status: 'completed', total_sheets: 2, failed_sheets: 0 };
const line = (id: string, type: string, data: unknown): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;

/** Answers each connection with the next script: its pieces arrive one by one, then the line is cut. */
function connections(scripts: (string[] | number)[]): {
  run: () => Promise<LineEnd>;
  resumedFrom: (string | null)[];
} {
  const resumedFrom: (string | null)[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const path = String(input);
    if (path === '/api/auth/refresh')
      return Response.json({ access_token: 't', token_type: 'bearer', expires_in: 600 });
    if (path === '/api/auth/me')
      return Response.json({
        user_id: 'u1',
        username: 'amal',
        role: 'operator',
        is_admin: false,
        centres: [],
        must_change_password: false,
      });
    resumedFrom.push(new Headers(init?.headers).get('last-event-id'));
    const script = scripts.shift() ?? 204;
    if (typeof script === 'number') return new Response(null, { status: script });
    const encoder = new TextEncoder();
    const pieces = [...script];
    const body = new ReadableStream(
      {
        pull(controller) {
          const piece = pieces.shift();
          if (piece === undefined) controller.error(new TypeError('cut'));
          else controller.enqueue(encoder.encode(piece));
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
  const api = createApi({ fetch });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  const run = () =>
    follow(
      {
        user,
        api,
        session,
        now: () => 0,
        random: () => 0,
        sleep: async () => {},
        signal: new AbortController().signal,
      },
      BATCH,
    );
  return { run, resumedFrom };
}

const seqs = async (): Promise<number[]> => (await user.getAll('events', eventsOf(BATCH))).map((row) => row.seq);

test('[T1] a cut line is resumed from the last id that was stored, and nothing is there twice', async () => {
  const { run, resumedFrom } = connections([
    [line('1', 'progress', progress), line('2', 'item.started', started(0))],
    [line('3', 'item.started', started(1)), line('4', 'complete', complete)],
  ]);
  expect(await run()).toBe('ended');
  expect(resumedFrom).toEqual([null, '2']);
  expect(await seqs()).toEqual([1, 2, 3, 4]);
});

test('an event that is cut in two arrives whole or not at all', async () => {
  const whole = line('2', 'item.started', started(0));
  const { run, resumedFrom } = connections([
    [line('1', 'progress', progress), whole.slice(0, 20)],
    [whole.slice(0, 30), whole.slice(30), line('3', 'complete', complete)],
  ]);
  expect(await run()).toBe('ended');
  expect(resumedFrom).toEqual([null, '1']);
  expect(await seqs()).toEqual([1, 2, 3]);
});

test('snapshots are kept as the newest one, not in the log, and are resumed from', async () => {
  const items = { batch_id: BATCH, total_items: 2, completed_items: 1, failed_items: 0, in_progress_items: 1 };
  const snapshot = {
    ...items,
    pending_items: 0,
    percentage: 50,
    throughput_rate: 9,
    estimated_time_remaining_ms: null,
  };
  const { run, resumedFrom } = connections([
    [
      line('1', 'progress', progress),
      line('1.1', 'batch.progress', snapshot),
      line('1.2', 'batch.progress', { ...snapshot, completed_items: 2 }),
    ],
    204,
  ]);
  expect(await run()).toBe('ended');
  expect(resumedFrom).toEqual([null, '1.2']);
  expect(await seqs()).toEqual([1]);
  expect((await user.get('snapshots', BATCH))?.items?.completed_items).toBe(2);
});

test('[T1] `reset` forgets the log and starts it anew', async () => {
  const { run, resumedFrom } = connections([
    [line('7', 'progress', progress), line('8', 'item.started', started(0))],
    [line('1', 'reset', { reason: 'gone' }), line('1', 'progress', progress), line('2', 'complete', complete)],
  ]);
  expect(await run()).toBe('ended');
  expect(resumedFrom).toEqual([null, '8']);
  expect(await seqs()).toEqual([1, 2]);
});

test('unknown events and lines that do not fit are passed over', async () => {
  const { run } = connections([
    [line('1', 'fireworks', { a: 1 }), line('2', 'progress', { stage: 'nowhere' }), 'event: progress\ndata: {\n\n'],
    [line('3', 'complete', complete)],
  ]);
  expect(await run()).toBe('ended');
  expect(await seqs()).toEqual([3]);
});

test('a batch that is not there any more ends the following', async () => {
  expect(await connections([404]).run()).toBe('gone');
});

test('`shutdown` and a busy server are only pauses', async () => {
  const { run, resumedFrom } = connections([
    [line('1', 'progress', progress), 'event: shutdown\ndata: {"reason":"restart"}\n\n'],
    503,
    [line('2', 'complete', complete)],
  ]);
  expect(await run()).toBe('ended');
  expect(resumedFrom).toEqual([null, '1', '1']);
});
