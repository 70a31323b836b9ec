// The API of the seed documents, walked by curl alone, on both databases: in through a form, a small ZIP in one request,
// a big one in chunks, everything the office asks about it, and out again through the bin.
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openDatabase } from '../server/adapters/open-database.ts';
import { parseCsv } from '../server/cli/csv.ts';
import type { DatabasePlace } from '../server/config.ts';
import { Me, TokenAnswer } from '../shared/protocol/auth.ts';
import {
  BatchDetail,
  BatchList,
  DeleteAnswer,
  GroupList,
  ProgressSnapshot,
  SheetDetail,
  SheetList,
} from '../shared/protocol/batch.ts';
import { OMITTED } from '../shared/protocol/export.ts';
import { Problem } from '../shared/protocol/problem.ts';
import { STAGES } from '../shared/protocol/stage.ts';
import {
  ChunkAnswer,
  MB,
  OpenUploadAnswer,
  SealAnswer,
  UploadAnswer,
  UploadBatchAnswer,
} from '../shared/protocol/upload.ts';
import { type CurlAnswer, curl } from './support/curl.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';
import { tracesOf } from './support/traces.ts';

let folder: string;
let exam: Exam;
/** the scans alone, a few hundred KB */
let smallZip: string;
/** the same scans with other files between them: over 100 MB, three chunks of the standard grid */
let bigZip: string;

beforeAll(async () => {
  folder = temporaryFolder();
  exam = await drawExam({ seed: 7, covers: 2, sheets: 5, questions: 40, dpi: 150 });
  smallZip = path.join(folder, 'small.zip');
  fs.writeFileSync(smallZip, await packZip(exam.scans));
  // Scans lie in each of the three chunks, and none of the paddings is like another.
  const padding = (n: number) => ({ name: `notes/${n}.bin`, bytes: Buffer.alloc(35 * MB, `padding ${n} `) });
  const [first, second, third] = [exam.scans.slice(0, 3), exam.scans.slice(3, 5), exam.scans.slice(5)];
  bigZip = path.join(folder, 'big.zip');
  fs.writeFileSync(bigZip, await packZip([...first, padding(1), padding(2), ...second, padding(3), ...third]));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The events of a stream that has been saved whole. */
const eventsIn = (stream: string): { type: string; id: string; data: unknown }[] =>
  [...stream.matchAll(/^event: (.+)\nid: (.+)\ndata: (.+)\n\n/gm)].map(([, type = '', id = '', data = '']) => ({
    type,
    id,
    data: JSON.parse(data) as unknown,
  }));

const mariadb = (): DatabasePlace => {
  const url = new URL(process.env.TEST_MARIADB_URL ?? '');
  url.pathname = `/sheaf_seeds_${process.pid}`;
  return { kind: 'mysql', url: url.href };
};

describe.each(['SQLite', 'MariaDB'] as const)('by curl alone, on %s', (kind) => {
  let sheaf: Sheaf;
  let db: Database;
  let token = '';
  let batchId = '';
  let uploadId = '';
  let streamed: Promise<CurlAnswer>;

  const api = (address: string): string => `${sheaf.url}/api${address}`;
  const bearer = (): string[] => ['-H', `Authorization: Bearer ${token}`];
  const get = (address: string): Promise<CurlAnswer> => curl(...bearer(), api(address));
  const send = (method: string, address: string, ...args: string[]): Promise<CurlAnswer> =>
    curl('-X', method, ...bearer(), ...args, api(address));
  const stream = (batch: string): Promise<CurlAnswer> => curl('-N', ...bearer(), api(`/batches/${batch}/stream`));

  beforeAll(async () => {
    const dataDir = path.join(folder, kind);
    const place: DatabasePlace =
      kind === 'MariaDB' ? mariadb() : { kind: 'sqlite', file: path.join(dataDir, 'sheaf.sqlite') };
    sheaf = await startSheaf({ dataDir, env: place.kind === 'mysql' ? { DATABASE_URL: place.url } : {} });
    db = await openDatabase(place);
    await announceExam(await sheaf.client(), exam);
  });
  afterAll(async () => {
    await sheaf?.stop();
    if (kind === 'MariaDB') await sql.raw(`drop database sheaf_seeds_${process.pid}`).execute(db.sql);
    await db?.close();
  });

  test('the login form gives a token, and the token says who it is', async () => {
    const { username, password } = sheaf.admin;
    const form = ['-d', `username=${username}`, '--data-urlencode', `password=${password}`];
    const login = await curl(...form, api('/auth/login'));
    expect(login.status).toBe(200);
    expect(login.type).toBe('application/json; charset=utf-8');
    const answer = login.json(TokenAnswer);
    expect(answer).toMatchObject({ token_type: 'bearer', expires_in: 600 });
    token = answer.access_token;
    expect((await get('/auth/me')).json(Me)).toMatchObject({ username, is_admin: true });
  });

  test('the refresh token comes as a cookie that scripts cannot read, and is good for the next token', async () => {
    const jar = path.join(folder, `${kind}.cookies`);
    const { username, password } = sheaf.admin;
    const form = ['-d', `username=${username}`, '--data-urlencode', `password=${password}`];
    const login = await curl('-i', '-c', jar, ...form, api('/auth/login'));
    expect(login.text).toMatch(/^set-cookie: sheaf_refresh=.*; Path=\/api\/auth; .*HttpOnly; SameSite=Strict\r$/im);
    const refreshed = await curl('-X', 'POST', '-b', jar, '-c', jar, api('/auth/refresh/'));
    token = refreshed.json(TokenAnswer).access_token;
    expect((await get('/auth/me/')).status).toBe(200);
  });

  test('a small ZIP goes up in one request, under the old name of its type', async () => {
    const form = ['-F', 'upload_type=zip_qr', '-F', `file=@${smallZip}`];
    const sent = await send('POST', '/batches/upload/', ...form);
    expect(sent.status).toBe(201);
    const { batch_id } = sent.json(UploadBatchAnswer);
    const events = eventsIn((await stream(batch_id)).text);
    expect(events.at(-1)).toMatchObject({ type: 'complete', data: { batch_id, status: 'completed', total_sheets: 5 } });
    const detail = (await get(`/batches/${batch_id}/status`)).json(BatchDetail);
    expect(detail).toMatchObject({ upload_type: 'zip_with_qr', name: 'small.zip', total_sheets: 5, failed_sheets: 0 });
    expect(await differences(await sheaf.client(), batch_id, exam)).toEqual([]);
  });

  test('images go up in one request, with the task typed, and are pages in their order', async () => {
    const files = exam.scans.filter((scan) => scan.task_id === exam.tasks[0]?.task_id && scan.kind === 'sheet');
    const args = files.flatMap(({ name, bytes }) => {
      fs.writeFileSync(path.join(folder, name), bytes);
      return ['-F', `files=@${path.join(folder, name)}`];
    });
    const task = ['-F', 'upload_type=images', '-F', `task_id=${exam.tasks[0]?.task_id}`];
    const { batch_id } = (await send('POST', '/batches/upload', ...task, ...args)).json(UploadBatchAnswer);
    expect(eventsIn((await stream(batch_id)).text).at(-1)?.type).toBe('complete');
    expect(await differences(await sheaf.client(), batch_id, { scans: files })).toEqual([]);
  });

  test('a ZIP over 100 MB goes up in chunks of 50 MB, the one with the directory first', async () => {
    const file = fs.readFileSync(bigZip);
    expect(file.length).toBeGreaterThan(100 * MB);
    const open = JSON.stringify({
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'big.zip',
      size: file.length,
    });
    const json = ['-H', 'Content-Type: application/json', '-d', open];
    const opened = await send('POST', '/batches/uploads', ...json);
    expect(opened.status).toBe(201);
    const upload = opened.json(OpenUploadAnswer);
    expect(upload).toMatchObject({ chunk_size: 50 * MB, total_chunks: 3, held: [], state: 'open' });
    expect((await send('POST', '/batches/uploads/', ...json)).json(OpenUploadAnswer)).toEqual(upload);
    batchId = upload.batch_id;
    uploadId = upload.upload_id;
    streamed = stream(batchId);
    streamed.catch(() => undefined); // awaited two tests on

    const at = `/batches/uploads/${uploadId}`;
    for (const [sent, index] of [2, 0, 1].entries()) {
      const bytes = file.subarray(index * upload.chunk_size, (index + 1) * upload.chunk_size);
      const chunk = path.join(folder, 'chunk');
      fs.writeFileSync(chunk, bytes);
      const fields = {
        upload_id: uploadId,
        chunk_index: index,
        total_chunks: 3,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      };
      const form = Object.entries(fields).flatMap(([name, value]) => ['-F', `${name}=${value}`]);
      const slash = index === 0 ? '/' : '';
      const answer = await send('POST', `/batches/upload-chunk${slash}`, ...form, '-F', `chunk=@${chunk}`);
      expect(answer.status, answer.text).toBe(200);
      expect(answer.json(ChunkAnswer)).toMatchObject({ verified: true, duplicate: false, chunks_verified: sent + 1 });
      if (sent === 1) {
        expect((await get(at)).json(UploadAnswer).held).toEqual([
          [0, 0],
          [2, 2],
        ]);
        const early = await send('POST', `${at}/seal`);
        expect(early.json(Problem)).toMatchObject({ status: 409, code: 'UPLOAD_INCOMPLETE' });
      }
    }
    for (const slash of ['', '/']) {
      expect((await send('POST', `${at}/seal${slash}`)).json(SealAnswer)).toEqual({
        upload_id: uploadId,
        batch_id: batchId,
        state: 'sealed',
      });
    }
    expect((await get(`${at}/`)).json(UploadAnswer)).toMatchObject({ state: 'sealed', held: [[0, 2]] });
  });

  test('[U6] what lies on the server’s disk is the file', () => {
    const blob = path.join(folder, kind, 'blobs', uploadId);
    const sha = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
    expect(sha(blob)).toBe(sha(bigZip));
  });

  test('the stream that was opened before the first byte tells every stage in its order, and closes by itself', async () => {
    const { status, type, text } = await streamed;
    expect(status).toBe(200);
    expect(type).toBe('text/event-stream; charset=utf-8');
    expect(text).toMatch(/^retry: \d+\n\n/);
    const events = eventsIn(text);
    expect(text.match(/^data: /gm)).toHaveLength(events.length); // so each has a name and an id
    const stages = events.flatMap(({ data }) => (data as { stage?: string }).stage ?? []);
    expect([...new Set(stages)]).toEqual(STAGES.filter((stage) => stage !== 'failed'));
    expect(events.slice(-2).map(({ type }) => type)).toEqual(['batch.complete', 'complete']);
  });

  test('every answer is the one that was drawn, in the wide and in the long CSV', async () => {
    expect(await differences(await sheaf.client(), batchId, exam)).toEqual([]);
    const [wide, long] = [
      await get(`/batches/${batchId}/export`),
      await get(`/batches/${batchId}/export/?format=long`),
    ];
    for (const { type } of [wide, long]) expect(type).toBe('text/csv; charset=utf-8');
    const rows = parseCsv(wide.text);
    const drawn = exam.scans.flatMap(({ name, truth, task_id }) => (truth ? [{ file: name, task_id, ...truth }] : []));
    expect(rows.map(({ file, roll, variant, task_id }) => ({ file, roll, variant, task_id }))).toEqual(
      drawn.map(({ file, roll, variant, task_id }) => ({ file, roll, variant, task_id })),
    );
    const inWide = rows.map((row) => Array.from({ length: 40 }, (_, i) => row[`Q${String(i + 1).padStart(2, '0')}`]));
    expect(inWide).toEqual(drawn.map(({ answers }) => answers.map((answer) => answer || OMITTED)));
    expect(parseCsv(long.text)).toHaveLength(5 * 40);
  });

  test('list, status, progress, groups and sheets say the same of it, with and without a slash at the end', async () => {
    const list = (await get('/batches?search=big')).json(BatchList);
    expect(list).toMatchObject({ total: 1, page: 1, pages: 1 });
    const [row] = list.items;
    expect(row).toMatchObject({ batch_id: batchId, status: 'completed', uploaded_by: 'admin', total_sheets: 5 });
    const detail = (await get(`/batches/${batchId}/status`)).json(BatchDetail);
    expect(detail).toMatchObject({ ...row, provisional: false, covers: 2, total_pages: 7, total_answers: 5 * 40 });
    expect(detail.stages.every(({ finished_at }) => finished_at !== null)).toBe(true);
    expect((await get(`/batches/${batchId}/progress`)).json(ProgressSnapshot)).toMatchObject({
      stage: 'completed',
      progress_percentage: 100,
      sheets_processed: 5,
      sheets_total_final: true,
      items: { completed_items: 5, failed_items: 0, pending_items: 0, percentage: 100 },
    });
    const groups = (await get(`/batches/${batchId}/groups`)).json(GroupList).items;
    expect(groups.map(({ task_id, sheets, state }) => ({ task_id, sheets, state }))).toEqual(
      exam.tasks.map(({ task_id }) => ({
        task_id,
        sheets: exam.scans.filter((scan) => scan.kind === 'sheet' && scan.task_id === task_id).length,
        state: 'ok',
      })),
    );
    for (const address of [
      '',
      `/${batchId}/status`,
      `/${batchId}/groups`,
      `/${batchId}/sheets`,
      `/${batchId}/export`,
    ]) {
      expect((await get(`/batches${address}/`)).text).toBe((await get(`/batches${address}`)).text);
    }
    expect((await get(`/batches/${batchId}/progress/`)).status).toBe(200);
    expect((await get(`/batches/${batchId}/stream/`)).status).toBe(200);
  });

  test('a sheet has its score by its task’s key, and its image is the ZIP’s entry, byte for byte', async () => {
    const { items } = (await get(`/batches/${batchId}/sheets`)).json(SheetList);
    for (const { sheet_id, name } of items) {
      const image = await get(`/batches/${batchId}/sheets/${sheet_id}/image`);
      expect(image.type).toBe('image/jpeg');
      expect(image.bytes.equals(exam.scans.find((scan) => scan.name === name)!.bytes), name).toBe(true);
    }
    const first = items[0]!;
    const sheet = (await get(`/batches/${batchId}/sheets/${first.sheet_id}/`)).json(SheetDetail);
    expect(sheet.answers).toHaveLength(40);
    const { truth, task_id } = exam.scans.find((scan) => scan.name === first.name)!;
    const key = exam.tasks.find((task) => task.task_id === task_id)!.key;
    const right = truth!.answers.filter((answer, i) => answer === key.answers[truth!.variant]![i]).length;
    expect(sheet).toMatchObject({ correct: right, key_version: 1, max_score: 40 });
    expect(sheet.answers.filter(({ correct }) => correct)).toHaveLength(right);
  });

  test('deleted, it is gone from the list and stands in the bin; restored, it is back as it was', async () => {
    const listed = async (query = ''): Promise<string[]> =>
      (await get(`/batches${query}`)).json(BatchList).items.map(({ batch_id }) => batch_id);
    const before = (await get(`/batches/${batchId}/status`)).json(BatchDetail);
    const deleted = (await send('DELETE', `/batches/${batchId}/`)).json(DeleteAnswer);
    expect(deleted).toEqual({ batch_id: batchId, deleted: true, purged: false });
    expect(await listed()).not.toContain(batchId);
    expect(await listed('?deleted=true')).toEqual([batchId]);

    expect((await send('POST', `/batches/${batchId}/restore`)).json(BatchDetail)).toEqual(before);
    expect(await listed()).toContain(batchId);
    expect(await listed('?deleted=true')).toEqual([]);
    expect((await send('POST', `/batches/${batchId}/restore`)).json(Problem).code).toBe('CONFLICT');
  });

  test('purged, no table has a row of it but the audit log and the change feed, and no byte of it is left', async () => {
    const { items } = (await get(`/batches/${batchId}/sheets`)).json(SheetList);
    const batch = { ids: [batchId, uploadId], numbers: items.map(({ sheet_id }) => sheet_id) };
    const before = await tracesOf(db, batch);
    // The search finds what is there: without this it could be blind.
    expect(before).toMatchObject({ batches: 1, uploads: 1, chunks: 3, pages: 7, sheet_groups: 2, results: 5 });
    expect(before).toMatchObject({ answers: 5 * 40, stages: 9 });
    expect(before.readings).toBeGreaterThanOrEqual(5);
    expect(before.events).toBeGreaterThan(20);

    await send('DELETE', `/batches/${batchId}`);
    const purged = await send('DELETE', `/batches/${batchId}?purge=true`);
    expect(purged.json(DeleteAnswer)).toEqual({ batch_id: batchId, deleted: true, purged: true });

    expect(Object.keys(await tracesOf(db, batch)).sort()).toEqual(['audit', 'changes']);
    // One line, by which devices learn that the batch is gone.
    const told = await db.sql.selectFrom('changes').select('entity_type').where('entity_id', '=', batchId).execute();
    expect(told).toEqual([{ entity_type: 'batch' }]);
    const actions = await db.sql
      .selectFrom('audit')
      .select('action')
      .where('subject', '=', `batch:${batchId}`)
      .orderBy('seq')
      .execute();
    // Exports are audited too, however many there were.
    expect(actions.map(({ action }) => action).filter((action) => action !== 'batch.export')).toEqual([
      'upload.open',
      'batch.load',
      'batch.delete',
      'batch.restore',
      'batch.delete',
      'batch.purge',
    ]);
    const blobs = fs.readdirSync(path.join(folder, kind, 'blobs'));
    expect(blobs).not.toContain(uploadId);
    expect(blobs).toHaveLength(2); // of the two batches in one request
    expect(fs.readdirSync(path.join(folder, kind, 'work'))).toEqual([]);
    expect((await get(`/batches/${batchId}/status`)).json(Problem)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect((await get('/batches?deleted=true')).json(BatchList).total).toBe(0);
  });
});
