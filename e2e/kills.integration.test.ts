// What happens when a process is killed, Redis is wiped or the power fails in the middle of an upload or of a batch:
// after each, the batch completes by itself, and every answer is the one that was drawn.
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import type { Client } from '../server/cli/client.ts';
import { type BatchDetail, DeleteAnswer } from '../shared/protocol/batch.ts';
import { MB, OpenUploadAnswer, UploadAnswer } from '../shared/protocol/upload.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';
import { tracesOf } from './support/traces.ts';

/** A batch takes some three seconds to read; a dead worker's job is noticed in up to twenty. */
const LONGEST_MS = 240_000;
const CHUNK = 4 * MB;

let dataDir: string;
let sheaf: Sheaf;
let client: Client;
let db: Database;
let exam: Exam;
let zip: Buffer;

const start = async (): Promise<void> => {
  sheaf = await startSheaf({ dataDir, env: { SHEAF_WORKERS: '2' } });
  client = await sheaf.client();
};

beforeAll(async () => {
  dataDir = temporaryFolder();
  await start();
  db = await openSqlite(path.join(dataDir, 'sheaf.sqlite'));
  exam = await drawExam({ seed: 11, covers: 3, sheets: 51, questions: 150, dpi: 200 });
  zip = await packZip(exam.scans);
  await announceExam(client, exam);
});
afterAll(async () => {
  await sheaf?.stop();
  await db?.close();
  fs.rmSync(dataDir, { recursive: true, force: true });
});

const redis = (): Redis => new Redis(fs.readFileSync(path.join(dataDir, 'redis', 'socket-path'), 'utf8'));

/** Sends the exam, and resolves when some of its pages are read and others are being read. Where this process was kept
 *  from looking until the batch was nearly done, another one is sent. */
async function batchInTheMiddle(name: string): Promise<string> {
  for (let tries = 1; tries <= 6; tries++) {
    const { batch_id } = await client.send(zip, { name, upload_type: 'zip_with_qr' });
    const processed = async (): Promise<number> => (await client.status(batch_id)).processed_sheets;
    await eventually('some pages', async () => (await processed()) >= 8);
    const reading = db.sql.selectFrom('pages').where('batch_id', '=', batch_id).where('state', '=', 'reading');
    const inWork = await reading.select('sheet_id').limit(1).executeTakeFirst();
    if (inWork !== undefined && (await processed()) < 45) return batch_id;
    await client.waitForBatch(batch_id, LONGEST_MS);
  }
  throw new Error('the batch was nearly done whenever it was looked at');
}

/** Waits for the batch; it is whole, right, and its log tells of each page once. */
async function expectWhole(batchId: string): Promise<void> {
  const batch = await client.waitForBatch(batchId, LONGEST_MS);
  expect(batch).toMatchObject({ status: 'completed', total_sheets: 51, processed_sheets: 51, failed_sheets: 0 });
  expect(batch).toMatchObject({ covers: 3, total_pages: 54, total_answers: 51 * 150 });
  expect(await differences(client, batchId, exam)).toEqual([]);
  const told = await db.sql
    .selectFrom('events')
    .select(['type', 'data'])
    .where('batch_id', '=', batchId)
    .orderBy('seq')
    .execute();
  const items = (type: string): number[] =>
    told
      .filter((event) => event.type === type)
      .map((event) => (JSON.parse(event.data) as { item_index: number }).item_index);
  const every = Array.from({ length: 54 }, (_, i) => i);
  expect(items('item.completed').sort((a, b) => a - b)).toEqual(every);
  expect(items('item.started').sort((a, b) => a - b)).toEqual(every);
  expect(told.slice(-2).map(({ type }) => type)).toEqual(['batch.complete', 'complete']);
  expect(told.filter(({ type }) => type === 'complete')).toHaveLength(1);
}

describe('SIGKILL of the API in the middle of a chunk', () => {
  /** Sends the fields and the first half of a chunk, and leaves the request open. Resolves when it has ended, however. */
  function sendHalf(upload: OpenUploadAnswer, index: number): { ended: Promise<void> } {
    const chunk = zip.subarray(index * upload.chunk_size, (index + 1) * upload.chunk_size);
    const boundary = randomUUID();
    const fields = {
      upload_id: upload.upload_id,
      chunk_index: index,
      total_chunks: upload.total_chunks,
      sha256: createHash('sha256').update(chunk).digest('hex'),
      epoch: upload.epoch,
    };
    const request = http.request(`${sheaf.url}/api/batches/upload-chunk`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${upload.upload_token}`,
        'content-type': `multipart/form-data; boundary=${boundary}`,
      },
    });
    for (const [name, value] of Object.entries(fields)) {
      request.write(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
    }
    request.write(`--${boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk"\r\n\r\n`);
    request.write(chunk.subarray(0, chunk.length / 2));
    const ended = new Promise<void>((resolve) => {
      request.once('error', () => resolve());
      request.once('response', () => resolve());
    });
    return { ended };
  }

  test('[U5] the sender asks what is held, goes on from there, and the batch completes', async () => {
    const open = {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'api-killed.zip',
      size: zip.length,
      chunk_size: CHUNK,
    } as const;
    const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', open);
    expect(upload.total_chunks).toBeGreaterThan(5);
    for (const index of [upload.total_chunks - 1, 0, 1]) await client.sendChunk(upload, zip, index);

    const { ended } = sendHalf(upload, 2);
    const blob = path.join(dataDir, 'blobs', upload.upload_id);
    const onDisk = (from: number, to: number): Buffer => fs.readFileSync(blob).subarray(from, to);
    await eventually('bytes of the chunk', () =>
      onDisk(2 * CHUNK, 2 * CHUNK + MB).equals(zip.subarray(2 * CHUNK, 2 * CHUNK + MB)),
    );
    const former = await sheaf.kill('api');
    await ended;
    await sheaf.restarted('api', former);
    await eventually('the API', async () => (await fetch(`${sheaf.url}/healthz`).catch(() => null))?.ok);

    const held = await client.call(UploadAnswer, 'GET', `/api/batches/uploads/${upload.upload_id}`);
    expect(held.held).toEqual([
      [0, 1],
      [upload.total_chunks - 1, upload.total_chunks - 1],
    ]);
    for (const [first, last] of held.held) {
      const [from, to] = [first * CHUNK, Math.min(zip.length, (last + 1) * CHUNK)];
      expect(onDisk(from, to).equals(zip.subarray(from, to))).toBe(true);
    }
    const sent: number[] = [];
    await client.send(zip, { ...open, onChunk: ({ chunk_index }) => sent.push(chunk_index) });
    expect(sent).toEqual(Array.from({ length: upload.total_chunks - 3 }, (_, i) => i + 2));
    expect(fs.readFileSync(blob).equals(zip), '[U6] what was sealed is the file').toBe(true);
    await expectWhole(upload.batch_id);
  });

  test('[P3] the last chunk was verified and nobody was left to seal: the next start does it', async () => {
    const name = 'never-sealed.zip';
    const open = { client_upload_id: randomUUID(), upload_type: 'zip_with_qr', name, size: zip.length } as const;
    const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', open);
    // The server seals by itself after the last chunk, so the state between the two is made here, as a kill leaves it.
    expect(upload.total_chunks).toBe(1);
    const former = await sheaf.kill('api');
    fs.writeFileSync(path.join(dataDir, 'blobs', upload.upload_id), zip);
    await db.write((tx) =>
      db.insertNew(tx, 'chunks', [
        {
          upload_id: upload.upload_id,
          chunk_index: 0,
          state: 'verified',
          landed: zip.length,
          sha256: createHash('sha256').update(zip).digest('hex'),
          epoch: 1,
          contested: 0,
          lease_id: null,
          lease_until: null,
          verified_at: Date.now(),
        },
      ]),
    );
    await sheaf.restarted('api', former);
    await eventually('the API', async () => (await fetch(`${sheaf.url}/healthz`).catch(() => null))?.ok);
    await expectWhole(upload.batch_id);
  });
});

describe('in the middle of a batch', () => {
  test('[P1] SIGKILL of all workers: their pages are read again, once each', async () => {
    const batch = await batchInTheMiddle('workers-killed.zip');
    const former = await Promise.all([sheaf.kill('worker 1'), sheaf.kill('worker 2')]);
    await sheaf.restarted('worker 1', former[0]);
    await expectWhole(batch);
  });

  test('[P4] FLUSHALL: Redis knows nothing any more, and the batch completes', async () => {
    const batch = await batchInTheMiddle('flushed.zip');
    const connection = redis();
    await connection.flushall();
    connection.disconnect();
    await expectWhole(batch);
  });

  test('[P4] SIGKILL of Redis: the launcher starts it again, and the batch completes', async () => {
    const batch = await batchInTheMiddle('redis-killed.zip');
    const former = await sheaf.kill('redis');
    await sheaf.restarted('redis', former);
    await expectWhole(batch);
  });

  test('[P1][P4] SIGKILL of every process at once, and Redis’ file is gone: the next start completes it', async () => {
    const batch = await batchInTheMiddle('power-cut.zip');
    const names = ['launcher', ...sheaf.pids.keys()];
    await Promise.all(names.map((name) => sheaf.kill(name)));
    fs.rmSync(path.join(dataDir, 'redis', 'appendonlydir'), { recursive: true });
    await start();
    await expectWhole(batch);
  });
});

test.each([
  ['pages are being read', (batch: BatchDetail) => batch.processed_sheets >= 8],
  ['all is read and nothing loaded', (batch: BatchDetail) => batch.processed_sheets >= 51],
  ['results are being loaded', (batch: BatchDetail) => batch.stages.some(({ stage }) => stage === 'generating_csv')],
])('purged while %s, a batch is gone, and no worker writes a row of it afterwards', async (_, isThen) => {
  const { batch_id, upload_id } = await client.send(zip, { name: 'purged.zip', upload_type: 'zip_with_qr' });
  const pages = () => db.sql.selectFrom('pages').select('sheet_id').where('batch_id', '=', batch_id).execute();
  for (const until = Date.now() + LONGEST_MS; !isThen(await client.status(batch_id)); ) {
    if (Date.now() > until) throw new Error('the batch did not get there');
  }
  const numbers = (await pages()).map(({ sheet_id }) => String(sheet_id));
  await client.call(DeleteAnswer, 'DELETE', `/api/batches/${batch_id}?purge=true`);
  // Until whoever was at it has noticed: a few pages, or the step in hand.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  // What is left says that it is gone: to whoever looks back, and to the devices that have it.
  const traces = async () => Object.keys(await tracesOf(db, { ids: [batch_id, upload_id], numbers })).sort();
  await eventually('nothing of it', async () => (await traces()).join() === 'audit,changes');
  expect(fs.readdirSync(path.join(dataDir, 'blobs'))).not.toContain(upload_id);
});
