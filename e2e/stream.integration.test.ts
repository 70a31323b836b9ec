// The stream from outside: who watches, is cut, comes back, comes late or comes with an id from nowhere ends with the
// same log as the one who watched it all; and what the log says agrees with the times the batch's status gives.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client, StreamEvent } from '../server/cli/client.ts';
import type { BatchDetail } from '../shared/protocol/batch.ts';
import { ProgressSnapshot } from '../shared/protocol/batch.ts';
import { STAGES, type Stage } from '../shared/protocol/stage.ts';
import { isLogged, type ProgressEvent, STREAM_EVENTS, type StreamEventType } from '../shared/protocol/stream.ts';
import { MB, OpenUploadAnswer } from '../shared/protocol/upload.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
let exam: Exam;
let zip: Buffer;

beforeAll(async () => {
  sheaf = await startSheaf({ env: { SHEAF_WORKERS: '2' } });
  client = await sheaf.client();
  exam = await drawExam({ seed: 5, covers: 3, sheets: 51, questions: 60, dpi: 150 });
  zip = await packZip(exam.scans);
  await announceExam(client, exam);
});
afterAll(async () => {
  await sheaf?.stop();
});

/** Everything one connection brings, until it ends or `until` says so, or the line is cut by `signal`. */
async function watch(
  batchId: string,
  { from, until, signal }: { from?: string; until?: (event: StreamEvent) => boolean; signal?: AbortSignal } = {},
): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  const cut = new AbortController();
  signal?.addEventListener('abort', () => cut.abort());
  try {
    for await (const event of client.stream(batchId, from, cut.signal)) {
      events.push(event);
      if (until?.(event)) cut.abort();
    }
  } catch (error) {
    if (!cut.signal.aborted) throw error;
  }
  return events;
}

const logged = (events: readonly StreamEvent[]): StreamEvent[] => events.filter(({ type }) => isLogged(type));
const numbers = (events: readonly StreamEvent[]): number[] => logged(events).map(({ id }) => Number(id));
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const types = (events: readonly StreamEvent[]): string[] => events.map(({ type }) => type);
const progressOf = (events: readonly StreamEvent[]): ProgressEvent[] =>
  events.filter(({ type }) => ['progress', 'complete'].includes(type)).map(({ data }) => data as ProgressEvent);

const open = (name: string): Promise<OpenUploadAnswer> =>
  client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name,
    size: zip.length,
    chunk_size: MB,
  });

async function sendAll(upload: OpenUploadAnswer): Promise<void> {
  for (let index = 0; index < upload.total_chunks; index++) await client.sendChunk(upload, zip, index);
}

describe('one batch, watched by several', () => {
  let upload: OpenUploadAnswer;
  /** who was there from before the first byte to the end */
  let steady: StreamEvent[];
  /** what the one who was cut twice had in hand, connection by connection */
  let interrupted: StreamEvent[][];
  /** joined in the middle */
  let late: StreamEvent[];
  /** number of the newest event when it joined */
  let newestAtJoin: number;
  let status: BatchDetail;

  /** Whoever came in the middle came in the middle: this process was not kept from looking until all was over. */
  const inTime = (): boolean =>
    types(late).includes('item.completed') && types(interrupted[2] ?? []).includes('batch.progress');

  beforeAll(async () => {
    for (let tries = 1; tries === 1 || (tries <= 6 && !inTime()); tries++) await watchOne();
  });

  async function watchOne(): Promise<void> {
    upload = await open('watched.zip');
    const { batch_id } = upload;
    const whole = watch(batch_id);

    /** A client as browsers are: comes back with the last id it saw, whatever kind of event it was on. */
    const cutTwice = async (): Promise<StreamEvent[][]> => {
      const first = await watch(batch_id, { until: ({ id }) => Number(id) >= 3 });
      let seen = 0;
      const second = await watch(batch_id, {
        from: first.at(-1)!.id!,
        until: ({ type }) => type === 'item.completed' && ++seen === 10,
      });
      // Away for a while: much happens meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 500));
      return [first, second, await watch(batch_id, { from: second.at(-1)!.id! })];
    };
    const joinLate = async (): Promise<StreamEvent[]> => {
      await eventually('some pages', async () => (await client.status(batch_id)).processed_sheets >= 20);
      const snapshot = await client.call(ProgressSnapshot, 'GET', `/api/batches/${batch_id}/progress`);
      newestAtJoin = Number(snapshot.last_event_id);
      return watch(batch_id);
    };
    const all = Promise.all([whole, cutTwice(), joinLate()]);
    await sendAll(upload);
    [steady, interrupted, late] = await all;
    status = await client.status(batch_id);
  }

  test('the batch is right', async () => {
    expect(status).toMatchObject({ status: 'completed', total_sheets: 51, failed_sheets: 0 });
    expect(await differences(client, upload.batch_id, exam)).toEqual([]);
  });

  test('every event has the shape that the protocol gives its name', () => {
    for (const { type, data } of [...steady, ...interrupted.flat(), ...late]) {
      const shape = STREAM_EVENTS[type as StreamEventType];
      expect(shape, type).toBeDefined();
      expect(v.safeParse(shape, data).issues, type).toBeUndefined();
    }
  });

  test('[T1] who watched from the start has the whole log, once each and in order', () => {
    expect(numbers(steady)).toEqual(upTo(Number(logged(steady).at(-1)!.id)));
    expect(types(logged(steady)).filter((type) => type === 'item.completed')).toHaveLength(54);
  });

  test('[T1] who was cut twice and came back with the last id ends with the same events, once each', () => {
    const [first, second, third] = interrupted;
    expect(numbers(first).length).toBeGreaterThan(0);
    expect(numbers(second).length).toBeGreaterThan(0);
    expect(numbers(third).length).toBeGreaterThan(0);
    expect(logged(interrupted.flat())).toEqual(logged(steady));
  });

  test('between logged events only snapshots and signals stand, and their ids resume at the event before them', () => {
    // A newcomer's first snapshot stands after all that it was spared, so there the count begins.
    const joined = late.slice(types(late).indexOf('batch.progress'));
    for (const connection of [steady, ...interrupted.slice(1), joined]) {
      let before: string | null = null;
      let snapshots = 0;
      for (const { id, type } of connection) {
        if (isLogged(type)) before = id;
        else if (before === null) expect(id).toMatch(/^\d+\.\d+$/);
        else expect(id).toMatch(new RegExp(`^${before}\\.\\d+$`));
        if (type === 'batch.progress') snapshots++;
      }
      expect(snapshots).toBeGreaterThan(0);
    }
  });

  test('who joined late got the stage log, one snapshot, and then what was new', () => {
    const firstSnapshot = types(late).indexOf('batch.progress');
    const before = late.slice(0, firstSnapshot);
    // What the stages had said until then, without the single pages' events.
    expect(before.length).toBeGreaterThan(5);
    expect(new Set(types(before))).toEqual(new Set(['progress']));
    const joinedAt = Number(late[firstSnapshot]!.id!.split('.')[0]);
    expect(joinedAt).toBeGreaterThanOrEqual(newestAtJoin);
    const last = numbers(steady).at(-1)!;
    expect(joinedAt).toBeLessThan(last);
    expect(before).toEqual(steady.filter(({ type, id }) => type === 'progress' && Number(id) <= joinedAt));
    expect(logged(late.slice(firstSnapshot))).toEqual(logged(steady).filter(({ id }) => Number(id) > joinedAt));
    const { completed_items, total_items } = late[firstSnapshot]!.data as {
      completed_items: number;
      total_items: number;
    };
    expect(completed_items).toBeGreaterThanOrEqual(19);
    expect(total_items).toBeGreaterThanOrEqual(51);
  });

  test('the end is batch.complete, then complete, then the stream closes', () => {
    for (const events of [steady, interrupted[2], late]) {
      expect(types(events).slice(-2)).toEqual(['batch.complete', 'complete']);
      expect(events.at(-1)!.data).toMatchObject({ stage: 'completed', status: 'completed', total_sheets: 51 });
      expect(events.at(-2)!.data).toMatchObject({ status: 'completed', total_items: 51, completed_items: 51 });
    }
  });

  test('the stages begin and reach 100 % in their order, and none speaks before it began', () => {
    const told = progressOf(steady);
    const way = STAGES.filter((stage) => stage !== 'failed');
    const first = (stage: Stage): number => told.findIndex((event) => event.stage === stage);
    const whole = (stage: Stage): number =>
      told.findIndex((event) => event.stage === stage && event.progress_percentage === 100);
    const inOrder = (places: number[]): void => {
      expect(places).not.toContain(-1);
      expect(places).toEqual([...places].sort((a, b) => a - b));
    };
    inOrder(way.map(first));
    inOrder(way.map(whole));
    for (const stage of way) {
      const said = told.filter((event) => event.stage === stage).map((event) => event.progress_percentage);
      expect(said, stage).toEqual([...said].sort((a, b) => a - b));
      expect(said.indexOf(100), `${stage} says 100 % last`).toBe(said.length - 1);
    }
  });

  test('each event’s time lies within the stage it tells of, as the status gives it', () => {
    const times = new Map(status.stages.map((stage) => [stage.stage, stage]));
    const within = (at: string, stage: Stage, what: string): void => {
      const { started_at, finished_at } = times.get(stage)!;
      expect(at >= started_at && at <= finished_at!, `${what} at ${at} in ${started_at} … ${finished_at}`).toBe(true);
    };
    for (const event of progressOf(steady)) within(event.timestamp, event.stage, event.message);
    const stamps = progressOf(steady).map((event) => event.timestamp);
    expect(stamps).toEqual([...stamps].sort());
  });

  test('each page was read after the first byte came, in its own time, and before the sheets’ stage ended', () => {
    // Pages are read as soon as their bytes have landed, so the first of them while the stage is still `uploading`.
    const firstByte = status.stages.find(({ stage }) => stage === 'uploading')!.started_at;
    const allRead = status.stages.find(({ stage }) => stage === 'processing_sheets')!.finished_at!;
    const began = new Map<string, string>();
    for (const { type, data } of steady) {
      if (type === 'item.started') {
        const { item_id, started_at } = data as { item_id: string; started_at: string };
        expect(started_at >= firstByte, `${item_id} began at ${started_at}, the first byte came at ${firstByte}`).toBe(
          true,
        );
        began.set(item_id, started_at);
      } else if (type === 'item.completed') {
        const { item_id, completed_at } = data as { item_id: string; completed_at: string };
        expect(began.get(item_id)! <= completed_at && completed_at <= allRead, `${item_id} at ${completed_at}`).toBe(
          true,
        );
      }
    }
    expect(began.size).toBe(54);
    const firstRead = steady.find(({ type }) => type === 'item.started')!.data as { started_at: string };
    expect(status.processing_started_at! >= firstRead.started_at).toBe(true);
  });

  test('no event contradicts the one before: what is counted only grows, seconds only pass', () => {
    const told = progressOf(steady);
    for (const [i, event] of told.entries()) {
      const before = told[i - 1];
      if (!before) continue;
      expect(event.elapsed_seconds).toBeGreaterThanOrEqual(before.elapsed_seconds);
      if (event.stage === before.stage) {
        expect(event.stage_elapsed_seconds).toBeGreaterThanOrEqual(before.stage_elapsed_seconds);
      }
    }
    expect(told.at(-1)).toMatchObject({ sheets_processed: 51, sheets_total: 51, sheets_total_final: true });
  });

  test('back at a finished batch with its last id there is nothing more: 204', async () => {
    const { batch_id } = upload;
    const last = steady.at(-1)!.id!;
    const answer = await client.request('GET', `/api/batches/${batch_id}/stream`, undefined, { 'last-event-id': last });
    expect(answer.status).toBe(204);
    expect(await watch(batch_id, { from: last })).toEqual([]);
    // One event earlier there is one more.
    expect(types(await watch(batch_id, { from: String(Number(last) - 1) }))).toEqual(['complete']);
  });

  test.each(['999999', 'abc', '12-7', '-1'])(
    '[T1] the id %s from nowhere is answered by `reset` and the log',
    async (id) => {
      const events = await watch(upload.batch_id, { from: id });
      expect(events[0]).toMatchObject({ type: 'reset', data: { reason: expect.stringContaining(id) } });
      const newcomer = await watch(upload.batch_id);
      expect(logged(events)).toEqual(logged(newcomer));
      expect(logged(newcomer)).toEqual(steady.filter(({ type }) => isLogged(type) && !type.startsWith('item.')));
    },
  );

  test('[T1] every id that was given out can be resumed from', async () => {
    const given = steady.flatMap(({ id }) => (id === null ? [] : [id]));
    // A newcomer at the finished batch who was cut on any event still hears how it ended.
    for (const { id, type } of await watch(upload.batch_id)) {
      if (type === 'complete') break;
      const rest = await watch(upload.batch_id, { from: id! });
      expect(rest.at(-1)?.type, `after ${type} ${id}`).toBe('complete');
    }
    // A dozen of them, spread over the whole; the last is the 204 above.
    for (const id of given.slice(0, -1).filter((_, i) => i % Math.ceil(given.length / 12) === 0)) {
      const after = Number(id.split('.')[0]);
      expect(numbers(await watch(upload.batch_id, { from: id })), id).toEqual(numbers(steady).filter((n) => n > after));
    }
  });

  test('Redis holds the seeds’ keys, for a day', async () => {
    const redis = new Redis(fs.readFileSync(path.join(sheaf.dataDir, 'redis', 'socket-path'), 'utf8'));
    try {
      const key = `batch:${upload.batch_id}:progress`;
      const current = JSON.parse((await redis.get(`${key}:current`)) ?? 'null') as unknown;
      expect(current).toMatchObject({ ...(steady.at(-1)!.data as object), id: Number(steady.at(-1)!.id) });
      const kept = (await redis.lrange(`${key}:log`, 0, -1)).map((line) => JSON.parse(line) as { id: number });
      // Several processes write: the copy may be a little out of order, its numbers say how it belongs.
      kept.sort((a, b) => a.id - b.id);
      expect(kept.map(({ id: _, ...event }) => event)).toEqual(progressOf(steady));
      for (const name of [`${key}:current`, `${key}:log`]) {
        const left = await redis.ttl(name);
        expect(left).toBeGreaterThan(86_000);
        expect(left).toBeLessThanOrEqual(86_400);
      }
    } finally {
      redis.disconnect();
    }
  });
});

test('[T1] an id given out before the API was killed is good after it', async () => {
  const upload = await open('api-killed.zip');
  const first = watch(upload.batch_id, { until: ({ type }) => type === 'item.completed' });
  await sendAll(upload);
  const before = await first;
  const former = await sheaf.kill('api');
  await sheaf.restarted('api', former);
  await eventually('the API', async () => (await fetch(`${sheaf.url}/healthz`).catch(() => null))?.ok);
  const after = await watch(upload.batch_id, { from: before.at(-1)!.id! });
  expect(types(after).at(-1)).toBe('complete');
  const all = numbers([...before, ...after]);
  expect(all).toEqual(upTo(all.at(-1)!));
});

test('a stream on which nothing happens has a heartbeat at least every 15 seconds', async () => {
  const upload = await open('nothing-yet.zip');
  let beats = 0;
  const events = await watch(upload.batch_id, { until: ({ type }) => type === 'heartbeat' && ++beats === 2 });
  expect(events.at(-1)).toMatchObject({ type: 'heartbeat', data: { time: expect.stringMatching(/^\d{4}-.*Z$/) } });
  // By the server's own clock, which a busy machine may let run on for some seconds before it looks at it.
  const [first, second] = events.flatMap(({ type, data }) =>
    type === 'heartbeat' ? [Date.parse((data as { time: string }).time)] : [],
  ) as [number, number];
  expect(second - first).toBeLessThan(25_000);
  // Before the first event there is nothing to resume after but the start.
  expect(events.at(-1)!.id).toMatch(/^0\.\d+$/);
});
