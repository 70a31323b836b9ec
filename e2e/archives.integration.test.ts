// Archives as they come and as they should not: what is read while the bytes arrive is what would have been read of the
// whole file, whoever packed it; and what is hostile ends as a refusal or as a page with a reason, with Sheaf unharmed.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import { ApiRefusal, type Client } from '../server/cli/client.ts';
import { OpenUploadAnswer, SMALLEST_CHUNK, UploadBatchAnswer } from '../shared/protocol/upload.ts';
import { type Archives, type Claimed, craftZip, endOf, packBroken, packByAll } from './support/archives.ts';
import { announceExam, differences, drawExam, type Exam } from './support/exam.ts';
import { found } from './support/found.ts';
import { eventually, isAlive } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const LONGEST_MS = 240_000;
/** batches under way at once */
const AT_ONCE = 6;

let sheaf: Sheaf;
let client: Client;
let db: Database;
let exam: Exam;

beforeAll(async () => {
  sheaf = await startSheaf({ env: { SHEAF_WORKERS: '2' } });
  client = await sheaf.client();
  db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  // A cover and three sheets are what one job reads, so the first half can be read before the last page has come.
  exam = await drawExam({ seed: 21, covers: 2, sheets: 6, questions: 40, dpi: 150 });
  await announceExam(client, exam);
});
afterAll(async () => {
  await db?.close();
  await sheaf?.stop();
});

async function sendWhole(bytes: Buffer, name: string): Promise<string> {
  const form = new FormData();
  form.append('upload_type', 'zip_with_qr');
  form.append('file', new Blob([new Uint8Array(bytes)]), name);
  return (await client.call(UploadBatchAnswer, 'POST', '/api/batches/upload', form)).batch_id;
}

/** Sends the end first (as many chunks as the directory may take) and the chunk before it last of all, and that only
 *  when sheets have been read without it. */
async function sendEarly(
  bytes: Buffer,
  name: string,
  endChunks = 2,
): Promise<{ batch_id: string; readBeforeSeal: number }> {
  const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name,
    size: bytes.length,
    chunk_size: SMALLEST_CHUNK,
  });
  const last = upload.total_chunks - 1;
  const heldBack = last - endChunks;
  const end = Array.from({ length: endChunks }, (_, i) => last - i);
  for (const index of [...end, ...Array.from({ length: heldBack }, (_, i) => i)])
    await client.sendChunk(upload, bytes, index);
  const { batch_id } = upload;
  await eventually(`${name}: sheets read early`, async () => (await client.status(batch_id)).processed_sheets >= 3);
  const before = await client.status(batch_id);
  expect(before).toMatchObject({ status: 'uploading', provisional: true });
  await client.sendChunk(upload, bytes, heldBack);
  return { batch_id, readBeforeSeal: before.processed_sheets };
}

/** Runs `work` for each, some at once, and returns what it returned in their order. */
async function several<T, R>(all: Iterable<T>, work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...all].entries();
  const next = async (): Promise<void> => {
    for (const [i, one] of waiting) results[i] = await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return results;
}

describe('archives of every tool', () => {
  test('[P5] what was read while it arrived equals what is read of the whole, byte for byte', {
    timeout: 1_200_000,
  }, async () => {
    const archives: Archives = await packByAll(exam.scans);
    expect(archives.size).toBeGreaterThanOrEqual(50);
    const answers = await several(archives, async ([label, bytes]) => {
      const { batch_id: early, readBeforeSeal } = await sendEarly(bytes, label);
      const whole = await sendWhole(bytes, label);
      const batch = await client.waitForBatch(early, LONGEST_MS);
      await client.waitForBatch(whole, LONGEST_MS);
      return {
        label,
        early,
        readBeforeSeal,
        status: batch.status,
        one: await found(client, db, early),
        other: await found(client, db, whole),
      };
    });
    const first = answers[0];
    expect(await differences(client, first.early, exam), 'and both are what was drawn').toEqual([]);
    expect(first.one.long.split('\r\n').length).toBe(1 + 6 * 40 + 1);
    for (const { label, status, readBeforeSeal, one, other } of answers) {
      expect(status, label).toBe('completed');
      expect(readBeforeSeal, label).toBeGreaterThanOrEqual(3);
      expect(one, label).toEqual(other);
      // Whoever packed them, the pages are the same, and so is all that stands on them.
      expect(
        one.readings.map(({ content }) => content),
        label,
      ).toEqual(first.one.readings.map(({ content }) => content));
    }
  });
});

/** A good scan whose header claims other dimensions. */
function lie(jpeg: Buffer, width: number, height: number): Buffer {
  const bytes = Buffer.from(jpeg);
  for (let at = 2; at < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    if (bytes[at + 1] < 0xc0 || bytes[at + 1] > 0xc2) continue;
    bytes.writeUInt16BE(height, at + 5);
    bytes.writeUInt16BE(width, at + 7);
    return bytes;
  }
  throw new Error('the JPEG has no frame header');
}

function hugePng(width: number, height: number): Buffer {
  const head = Buffer.alloc(25);
  head.writeUInt32BE(13, 0);
  head.write('IHDR', 4, 'latin1');
  head.writeUInt32BE(width, 8);
  head.writeUInt32BE(height, 12);
  head[16] = 8;
  head.writeUInt32BE(crc32(head.subarray(4, 21)), 21);
  const data = Buffer.from('\0\0\0\x04IDATdata\0\0\0\0', 'latin1');
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), head, data]);
}

const workers = (): number[] => ['worker 1', 'worker 2'].map((name) => sheaf.pid(name));
/** The most memory that a process has had, in MB. */
const peakMb = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

describe('what is hostile', () => {
  test('an entry that lies is a failed page with a reason, early and whole; its neighbours are read, the workers live', async () => {
    const before = workers();
    const [good] = exam.scans.filter(({ kind }) => kind === 'sheet');
    const page = (name: string, more: Partial<Claimed> = {}): Claimed => ({ name, packed: good.bytes, ...more });
    const zeros = Buffer.alloc(64 * 2 ** 20);
    const slipped = path.join(sheaf.dataDir, '..', `slipped-${randomUUID()}.jpg`);
    const many = Array.from({ length: 4000 }, (_, i) => ({ name: `tiny/${i}.jpg`, packed: Buffer.from('x') }));
    const entries: Claimed[] = [
      page('cover.jpg', { packed: exam.scans[0].bytes }),
      page(`../../../../../../../..${slipped}`),
      page(slipped),
      page('..\\..\\windows.jpg'),
      page('bomb.png', { packed: deflateRawSync(zeros), method: 8, size: zeros.length, crc32: crc32(zeros) }),
      page('quiet-bomb.png', { packed: deflateRawSync(zeros), method: 8, size: 100_000 }),
      page('link.jpg', { packed: Buffer.from('/etc/passwd'), mode: 0o120777 }),
      page('locked.jpg', { flags: 1 }),
      page('lzma.jpg', { method: 14 }),
      page('victim.jpg'),
      page('thief.jpg', { at: 9 }),
      page('wrong-sum.jpg', { crc32: 1 }),
      page('wrong-size.jpg', { size: 5 }),
      page('vast.jpg', { packed: lie(good.bytes, 60_000, 60_000) }),
      page('stretched.jpg', { packed: lie(good.bytes, 9000, 9000) }),
      page('vast.png', { packed: hugePng(60_000, 60_000) }),
      ...many,
      page('last.jpg'),
    ];
    const bytes = craftZip(entries);
    const { batch_id: early } = await sendEarly(bytes, 'hostile, early', 6);
    const whole = await sendWhole(bytes, 'hostile, whole');
    for (const id of [early, whole]) {
      const batch = await client.waitForBatch(id, LONGEST_MS);
      expect(batch).toMatchObject({ status: 'completed_with_errors', total_pages: entries.length });
    }
    expect(await found(client, db, early), '[P5]').toEqual(await found(client, db, whole));

    const { readings } = await found(client, db, whole);
    const reason = Object.fromEntries(readings.map(({ name, kind, error_message }) => [name, error_message ?? kind]));
    expect(reason).toMatchObject({
      'cover.jpg': 'cover',
      // Names are labels: where they point is nobody's business.
      [entries[1].name]: 'sheet',
      [slipped]: 'sheet',
      '../../windows.jpg': 'sheet',
      'bomb.png': expect.stringMatching(/unpacks to far more than a scan/),
      'quiet-bomb.png': expect.stringMatching(/cannot be unpacked/),
      'link.jpg': expect.stringMatching(/is a link/),
      'locked.jpg': expect.stringMatching(/is encrypted/),
      'lzma.jpg': expect.stringMatching(/compression method 14/),
      'victim.jpg': expect.stringMatching(/overlaps another/),
      'thief.jpg': expect.stringMatching(/overlaps another/),
      'wrong-sum.jpg': expect.stringMatching(/checksum is wrong/),
      'wrong-size.jpg': expect.stringMatching(/size is not what the directory says/),
      'vast.jpg': expect.stringMatching(/60000 × 60000 pixels: more than 100 megapixels/),
      'stretched.jpg': expect.stringMatching(/damaged or cut short/),
      'vast.png': expect.stringMatching(/more than 100 megapixels/),
      'tiny/3999.jpg': expect.stringMatching(/not a JPEG, PNG, WebP or TIFF image/),
      'last.jpg': 'sheet',
    });
    expect(fs.existsSync(slipped)).toBe(false);
    expect(workers(), 'no worker was started again').toEqual(before);
    expect(before.every(isAlive)).toBe(true);
    for (const pid of before) expect(peakMb(pid)).toBeLessThan(600);
  });

  test.each<[string, () => Buffer | Promise<Buffer>, RegExp]>([
    ['zip64 marks without zip64 records', () => packBroken(exam.scans[0]), /directory/],
    [
      'a zip64 directory far beyond the file',
      () => craftZip([{ name: '1.jpg', packed: exam.scans[0].bytes }], { directoryAt: 2n ** 40n }),
      /directory/,
    ],
    [
      'a zip64 directory at no place that a number can name',
      () => craftZip([{ name: '1.jpg', packed: exam.scans[0].bytes }], { directoryAt: 2n ** 64n - 1n }),
      /./,
    ],
    [
      'an end that counts more entries than there are',
      () => {
        const zip = craftZip([{ name: '1.jpg', packed: exam.scans[0].bytes }]);
        zip.writeUInt16LE(500, zip.length - 12);
        return zip;
      },
      /./,
    ],
    ['a million images and one', millionImages, /it says that it holds 1000001 files/],
  ])('%s: 422 ZIP_REFUSED, at once and in chunks, and the API goes on', async (name, make, detail) => {
    const bytes = await make();
    const api = sheaf.pid('api');
    const refusal = await sendWhole(bytes, name).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ApiRefusal);
    const { status, problem } = refusal as ApiRefusal;
    expect({ status, code: problem.code }).toEqual({ status: 422, code: 'ZIP_REFUSED' });
    expect(problem.detail).toMatch(detail);
    expect(problem.detail).toContain(name);

    let batchId = '';
    const sent = await client
      .send(bytes, { name, upload_type: 'zip_with_qr', onOpen: ({ batch_id }) => (batchId = batch_id) })
      .catch((error: unknown) => error);
    expect(sent).toMatchObject({ status: 422, problem: { code: 'ZIP_REFUSED', detail: problem.detail } });
    expect(await client.status(batchId)).toMatchObject({
      status: 'failed',
      error_details: expect.stringMatching(detail),
    });
    expect(sheaf.pid('api')).toBe(api);
    expect(peakMb(api), 'MB of the API').toBeLessThan(400);
  });

  test('a good batch after all of that is read as ever', async () => {
    const batch = await client.waitForBatch(
      await sendWhole((await packByAll(exam.scans)).get('zip stored')!, 'good.zip'),
      LONGEST_MS,
    );
    expect(batch.status).toBe('completed');
    expect(await differences(client, batch.batch_id, exam)).toEqual([]);
  });
});

/** A directory of more entries than memory has room for, all of them the same. */
function millionImages(): Buffer {
  const one = craftZip([{ name: '1.jpg', packed: Buffer.from('x') }]);
  const local = one.subarray(0, 30 + 5 + 1);
  const record = one.subarray(local.length, one.length - 22);
  const count = 1_000_001;
  const directory = Buffer.alloc(record.length * count).fill(record);
  return Buffer.concat([local, directory, endOf(count, local.length, directory.length)]);
}
