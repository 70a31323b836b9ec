import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import type { Client } from '../server/cli/client.ts';
import { BatchDetail, type BatchDetail as Detail, SheetList } from '../shared/protocol/batch.ts';
import { announceExam, differences, drawExam, type Exam, packZip, type Scan } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
let exam: Exam;
let zip: Buffer;
let db: Database;

beforeAll(async () => {
  exam = await drawExam({ seed: 11, covers: 2, sheets: 40, questions: 100, dpi: 150 });
  zip = await packZip(exam.scans);
  sheaf = await startSheaf({ env: { SHEAF_WORKERS: '1' } });
  client = await sheaf.client();
  db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  await announceExam(client, exam);
});
afterAll(async () => {
  await db?.close();
  await sheaf?.stop();
});

const send = async (bytes: Buffer = zip, name = 'control.zip'): Promise<string> =>
  (await client.send(bytes, { name, upload_type: 'zip_with_qr' })).batch_id;
const status = (id: string): Promise<Detail> => client.call(BatchDetail, 'GET', `/api/batches/${id}/status`);
const post = (id: string, what: string, body: object = {}): Promise<Detail> =>
  client.call(BatchDetail, 'POST', `/api/batches/${id}/${what}`, body);
/** The exam so many times in one file: whoever acts on it while it is read has time for it. */
const copies = (n: number): Scan[] =>
  Array.from({ length: n }, (_, k) => exam.scans.map((scan) => ({ ...scan, name: `${k}/${scan.name}` }))).flat();
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a paused batch stands still, and goes on where it was', async () => {
  const id = await send(await packZip(copies(4)));
  await eventually('the first page', async () => (await status(id)).processed_sheets > 0);
  expect((await post(id, 'pause')).status).toBe('paused');
  const reading = db.sql.selectFrom('pages').where('batch_id', '=', id).where('state', '=', 'reading');
  await eventually('the pages in hand', async () => (await reading.select('sheet_id').execute()).length === 0);
  const still = await status(id);
  await pause(1500);
  expect((await status(id)).processed_sheets).toBe(still.processed_sheets);
  expect(still.processed_sheets).toBeLessThan(160);
  expect((await post(id, 'resume')).status).not.toBe('paused');
  const done = await client.waitForBatch(id, 240_000);
  expect(done).toMatchObject({ status: 'completed', total_sheets: 160, failed_sheets: 0 });
  expect(await differences(client, id, { scans: copies(4) })).toEqual([]);
});

test('what is not under way cannot be paused, what is not paused cannot be resumed', async () => {
  const id = await send();
  await client.waitForBatch(id, 240_000);
  for (const what of ['pause', 'resume', 'cancel']) {
    const answer = await client.request('POST', `/api/batches/${id}/${what}`, {});
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'CONFLICT', detail: expect.stringContaining(id) });
  }
});

test('[P3] a cancelled batch ends, its stream with it, and can be read again', async () => {
  const id = await send(await packZip(copies(4)));
  await eventually('the first page', async () => (await status(id)).processed_sheets > 0);
  const events: string[] = [];
  const watching = (async () => {
    for await (const { type } of client.stream(id)) events.push(type);
  })();
  expect((await post(id, 'cancel')).status).toBe('cancelled');
  await watching;
  expect(events.slice(-2)).toEqual(['batch.complete', 'error']);
  await post(id, 'reprocess', { what: 'all' });
  expect((await client.waitForBatch(id, 240_000)).status).toBe('completed');
  expect(await differences(client, id, { scans: copies(4) })).toEqual([]);
});

test('[P2] only what failed is read again, and nothing that was right changes', async () => {
  const broken = exam.scans.map((scan, i) => (i === 5 ? { ...scan, bytes: scan.bytes.subarray(0, 2000) } : scan));
  const id = await send(await packZip(broken), 'one-broken.zip');
  expect(await client.waitForBatch(id, 240_000)).toMatchObject({ status: 'completed_with_errors', failed_sheets: 1 });
  const before = await client.text(`/api/batches/${id}/export?format=long`);
  await post(id, 'reprocess', { what: 'failed' });
  expect(await client.waitForBatch(id, 240_000)).toMatchObject({ status: 'completed_with_errors', failed_sheets: 1 });
  expect(await client.text(`/api/batches/${id}/export?format=long`)).toBe(before);
});

test('one sheet is read again by its id; an id of another batch is refused', async () => {
  const id = await send();
  await client.waitForBatch(id, 240_000);
  const { items } = await client.call(SheetList, 'GET', `/api/batches/${id}/sheets`);
  await post(id, 'reprocess', { what: 'sheets', sheet_ids: [items[3]?.sheet_id] });
  expect((await client.waitForBatch(id, 240_000)).status).toBe('completed');
  expect(await differences(client, id, exam)).toEqual([]);
  const refused = await client.request('POST', `/api/batches/${id}/reprocess`, { what: 'sheets', sheet_ids: ['7'] });
  expect(refused.status).toBe(404);
  expect((await status(id)).status).toBe('completed');
});

test('a small batch is not stuck behind a big one', async () => {
  const big = await send(await packZip(copies(12)), 'big.zip');
  await eventually('the big batch being read', async () => (await status(big)).processed_sheets > 40);
  const small = await send();
  await client.waitForBatch(small, 240_000);
  const there = await status(big);
  expect(there.status).toBe('processing');
  await client.waitForBatch(big, 240_000);
  expect(await status(big)).toMatchObject({ total_sheets: 480, failed_sheets: 0 });
});
