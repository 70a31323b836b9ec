// Pages are read while their upload arrives: of a ZIP, of images, and of an archive that can only be read when it is
// whole. What is known by then is provisional, and the bytes never wait for the readers.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import type { Client } from '../server/cli/client.ts';
import { type BatchDetail, SheetList } from '../shared/protocol/batch.ts';
import { type OpenUpload, OpenUploadAnswer, SealAnswer, SMALLEST_CHUNK } from '../shared/protocol/upload.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const LONGEST_MS = 240_000;

let sheaf: Sheaf;
let client: Client;
let db: Database;
let exam: Exam;
let zip: Buffer;

beforeAll(async () => {
  sheaf = await startSheaf();
  client = await sheaf.client();
  db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  exam = await drawExam({ seed: 41, covers: 2, sheets: 14, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  zip = await packZip(exam.scans);
});
afterAll(async () => {
  await db?.close();
  await sheaf?.stop();
});

const open = (bytes: Buffer, more: Partial<OpenUpload> = {}): Promise<OpenUploadAnswer> =>
  client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: 'early.zip',
    size: bytes.length,
    chunk_size: SMALLEST_CHUNK,
    ...more,
  });
async function send(upload: OpenUploadAnswer, bytes: Buffer, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index++) await client.sendChunk(upload, bytes, index);
}
/** Stops the worker, but not in the middle of a write: it would keep the database to itself. */
const stopWorker = (): Promise<true> =>
  eventually('a worker that stands still and holds nothing', async () => {
    process.kill(sheaf.pid('worker 1'), 'SIGSTOP');
    const free = await Promise.race([
      db.write((tx) => tx.selectFrom('settings').select('name').limit(1).execute()).then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 2000)),
    ]);
    if (!free) process.kill(sheaf.pid('worker 1'), 'SIGCONT');
    return free;
  });
const untilRead = (upload: OpenUploadAnswer, sheets: number): Promise<BatchDetail> =>
  eventually(
    `${sheets} sheets`,
    async () => {
      const batch = await client.status(upload.batch_id);
      return batch.processed_sheets >= sheets ? batch : null;
    },
    LONGEST_MS,
  );
const events = async (upload: OpenUploadAnswer) =>
  (
    await db.sql
      .selectFrom('events')
      .select(['type', 'data'])
      .where('batch_id', '=', upload.batch_id)
      .orderBy('seq')
      .execute()
  ).map(({ type, data }) => ({ type, ...(JSON.parse(data) as { stage?: string; progress_percentage?: number }) }));

describe('a ZIP whose directory came first', () => {
  test('results come while the stage is uploading, are provisional and unscored, and final when it is whole', async () => {
    const upload = await open(zip);
    const last = upload.total_chunks - 1;
    await send(upload, zip, last - 1, last);
    await send(upload, zip, 0, Math.floor(last / 2));
    const early = await untilRead(upload, 5);
    expect(early).toMatchObject({ status: 'uploading', stage: 'uploading', provisional: true, total_pages: 16 });
    expect(early.processing_started_at).not.toBeNull();
    const { items } = await client.call(SheetList, 'GET', `/api/batches/${upload.batch_id}/sheets`);
    const read = items.filter(({ status }) => status === 'read');
    expect(read.length).toBeGreaterThanOrEqual(5);
    for (const sheet of read) {
      expect(sheet).toMatchObject({ provisional: true, score: null });
      const { truth } = exam.scans[sheet.page_index];
      expect([sheet.roll, sheet.variant]).toEqual([truth?.roll, truth?.variant]);
    }
    expect(items.filter(({ status }) => status === 'waiting').length).toBeGreaterThan(0);
    const csv = await client.request('GET', `/api/batches/${upload.batch_id}/export?format=long`);
    const lines = (await csv.text()).trim().split('\n');
    if (csv.ok) expect(lines.length, 'no answers of record before the final load').toBe(1);

    await send(upload, zip, Math.floor(last / 2) + 1, last - 2);
    const done = await client.waitForBatch(upload.batch_id, LONGEST_MS);
    expect(done).toMatchObject({ status: 'completed', provisional: false, total_sheets: 14 });
    expect(await differences(client, upload.batch_id, exam)).toEqual([]);
    const order = await events(upload);
    const firstItem = order.findIndex(({ type }) => type === 'item.completed');
    const wholeUpload = order.findIndex(
      ({ stage, progress_percentage }) => stage === 'uploading' && progress_percentage === 100,
    );
    const extracting = order.findIndex(({ stage }) => stage === 'extracting');
    expect(firstItem).toBeGreaterThan(-1);
    expect(firstItem).toBeLessThan(wholeUpload);
    expect(wholeUpload).toBeLessThan(extracting);
  });

  test('landing waits for no reader: with the worker stopped every chunk is verified all the same', async () => {
    const upload = await open(zip);
    await stopWorker();
    try {
      const last = upload.total_chunks - 1;
      await send(upload, zip, last, last);
      await send(upload, zip, 0, last - 1);
      // The server seals by itself after the last chunk; asked once more, it says the same.
      await eventually('the seal', async () => (await client.status(upload.batch_id)).status === 'uploaded');
      await client.call(SealAnswer, 'POST', `/api/batches/uploads/${upload.upload_id}/seal`);
      expect(await client.status(upload.batch_id)).toMatchObject({
        status: 'uploaded',
        processed_sheets: 0,
        upload: { chunks_verified: upload.total_chunks, state: 'sealed' },
      });
    } finally {
      process.kill(sheaf.pid('worker 1'), 'SIGCONT');
    }
    expect(await client.waitForBatch(upload.batch_id, LONGEST_MS)).toMatchObject({ status: 'completed' });
    expect(await differences(client, upload.batch_id, exam)).toEqual([]);
  });

  test('taken back in the middle, nothing that was read of it is left', async () => {
    const upload = await open(zip);
    const last = upload.total_chunks - 1;
    await send(upload, zip, last - 1, last);
    await send(upload, zip, 0, Math.floor(last / 2));
    await untilRead(upload, 5);
    const { status } = await client.request('DELETE', `/api/batches/uploads/${upload.upload_id}`);
    expect(status).toBe(204);
    for (const table of ['pages', 'results'] as const) {
      const rows = await db.sql.selectFrom(table).select('sheet_id').where('batch_id', '=', upload.batch_id).execute();
      expect(rows, table).toEqual([]);
    }
    const late = await client.request('GET', `/api/batches/uploads/${upload.upload_id}`);
    expect(late.status).toBe(410);
  });
});

test('a ZIP whose directory comes last is read when it has come', async () => {
  const upload = await open(zip);
  const last = upload.total_chunks - 1;
  await send(upload, zip, 0, last - 1);
  expect(await client.status(upload.batch_id)).toMatchObject({
    status: 'uploading',
    total_pages: 0,
    processed_sheets: 0,
  });
  await send(upload, zip, last, last);
  expect(await client.waitForBatch(upload.batch_id, LONGEST_MS)).toMatchObject({ status: 'completed' });
  expect(await differences(client, upload.batch_id, exam)).toEqual([]);
});

test('images: each is read as it lands', async () => {
  // As many as one job reads, and then some: a job goes out when all of its pages are there.
  const sheets = exam.scans.filter(({ kind, task_id }) => kind === 'sheet' && task_id === exam.tasks[0].task_id);
  const pages = sheets.slice(0, 6);
  const bytes = Buffer.concat(pages.map((page) => page.bytes));
  const upload = await open(bytes, {
    upload_type: 'images',
    name: 'captures',
    task_id: exam.tasks[0].task_id,
    files: pages.map((page) => ({ name: page.name, size: page.bytes.length })),
  });
  const lastPage = bytes.length - pages[5].bytes.length;
  const firstOfLast = Math.floor(lastPage / SMALLEST_CHUNK);
  await send(upload, bytes, 0, firstOfLast);
  const early = await untilRead(upload, 4);
  expect(early).toMatchObject({ status: 'uploading', provisional: true, total_pages: 6 });
  await send(upload, bytes, firstOfLast + 1, upload.total_chunks - 1);
  expect(await client.waitForBatch(upload.batch_id, LONGEST_MS)).toMatchObject({
    status: 'completed',
    total_sheets: 6,
  });
  expect(await differences(client, upload.batch_id, { scans: pages })).toEqual([]);
});
