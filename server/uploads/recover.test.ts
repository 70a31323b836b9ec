// What is done about uploads apart from requests: after a crash ledger and file are made to agree, whichever of them
// knows less; what nobody sends any more is given up, and can be begun again.
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import { landChunk } from './landing.ts';
import { createLeases } from './leases.ts';
import { EXPIRY_DAYS, findUpload, holdings, type NewUpload } from './ledger.ts';
import { openUpload } from './open.ts';
import { expireUploads, recoverUploads, sealOverdue } from './recover.ts';
import { seal } from './seal.ts';

const CHUNK = SMALLEST_CHUNK;
const FILE = Buffer.from(Uint8Array.from({ length: 3 * CHUNK + 999 }, (_, i) => (i * 6151 + (i >> 9)) & 0xff));
const TOTAL = 4;
const DAY = 86_400_000;
const OLGA: User = {
  user_id: randomUUID(),
  username: 'olga',
  role: 'operator',
  centres: [],
  must_change_password: false,
  session_id: randomUUID(),
  device: 'a tablet',
};

let folder: string;
let db: Database;
let blobs: Blobs;
let asked: NewUpload;
let upload: UploadsTable;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-recover-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  blobs = await openBlobs(path.join(folder, 'blobs'));
  asked = newUpload();
  upload = (await open()).upload;
});
afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const newUpload = (): NewUpload => ({
  client_upload_id: randomUUID(),
  upload_type: 'images',
  name: '1.jpg',
  size: FILE.length,
  chunk_size: CHUNK,
  task_id: '14900113',
  files: [{ name: '1.jpg', size: FILE.length }],
});
const open = (what = asked) =>
  openUpload({ db, blobs, secret: Buffer.alloc(32), quota: { user: null, centre: null } }, OLGA, what);
const chunkOf = (index: number): Buffer => FILE.subarray(index * CHUNK, (index + 1) * CHUNK);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const find = (): Promise<UploadsTable> => findUpload(db, { kind: 'user', user: OLGA }, upload.upload_id);
const held = async () => holdings(db, await find());
const blob = (): string => blobs.path(upload.upload_id);

async function land(...indices: number[]): Promise<void> {
  const deps = { db, blobs, leases: createLeases(db, 'this process'), announce: () => undefined };
  for (const chunk_index of indices) {
    const request = {
      chunk_index,
      total_chunks: TOTAL,
      offset: 0,
      sha256: sha256(chunkOf(chunk_index)),
      epoch: undefined,
    };
    await landChunk(deps, await find(), request, Readable.from([chunkOf(chunk_index)]));
  }
}
const sealDeps = () => ({ db, blobs, announce: () => undefined, wake: () => undefined });
async function recover(): Promise<unknown[]> {
  const reported: unknown[] = [];
  await recoverUploads(sealDeps(), (error) => reported.push(error));
  return reported;
}
/** Overwrites the file in place, as a disk that lost a write would have it. */
function spoil(at: number, bytes: Buffer): void {
  const file = openSync(blob(), 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}
/** Sends what the server says is missing, and seals. */
async function finish(): Promise<void> {
  const { held: ranges } = await held();
  const missing = [0, 1, 2, 3].filter((index) => !ranges.some(([from, to]) => from <= index && index <= to));
  await land(...missing);
  await seal(sealDeps(), await find());
  expect(readFileSync(blob()).equals(FILE), '[U6]').toBe(true);
}

test('[P3] what is whole and was not sealed in its time is sealed later, and what still moves is left alone', async () => {
  const reported: unknown[] = [];
  const later = (ms: number) => sealOverdue(sealDeps(), (error) => reported.push(error), Date.now() + ms);
  await land(0, 1, 2);
  await later(60_000);
  expect((await find()).state).toBe('open');
  await land(3);
  await later(0);
  expect((await find()).state).toBe('open');
  // It had begun, and the database went away.
  await db.write((tx) => tx.updateTable('uploads').set({ sealing_at: Date.now() }).execute());
  await later(60_000);
  expect(reported).toEqual([]);
  expect((await find()).state).not.toBe('open');
});

describe('the ledger says more than the file holds', () => {
  test('[U5] a chunk that a power cut took back is asked for again, the others are not', async () => {
    await land(0, 1, 2);
    spoil(CHUNK + 5000, Buffer.alloc(4096));
    expect(await recover()).toEqual([]);
    expect((await held()).held).toEqual([
      [0, 0],
      [2, 2],
    ]);
    await finish();
  });

  test('[U5] an upload that was whole is not sealed over such a chunk', async () => {
    await land(0, 1, 2, 3);
    spoil(3 * CHUNK, Buffer.alloc(999));
    await recover();
    expect(await held()).toMatchObject({ state: 'open', held: [[0, 2]] });
    await finish();
  });

  test('what was verified long before the crash is on the disk for sure, and is not read again', async () => {
    await land(0, 1);
    await db.write((tx) =>
      tx
        .updateTable('chunks')
        .set((eb) => ({ verified_at: eb('verified_at', '-', 10 * 60_000) }))
        .where('chunk_index', '=', 0)
        .execute(),
    );
    spoil(0, Buffer.alloc(100)); // no power cut does this: it stands for what is not looked at
    await recover();
    expect((await held()).held).toEqual([[0, 1]]);
  });

  test('[U5] a file that is short or gone is made anew, and one bad upload does not keep others from being looked at', async () => {
    await land(0, 1);
    const [first, firstAsked] = [upload, asked];
    asked = newUpload();
    upload = (await open()).upload;
    await land(2);
    truncateSync(blobs.path(first.upload_id), CHUNK);
    rmSync(blob());
    expect(await recover()).toEqual([]);
    expect((await held()).held).toEqual([]);
    await finish();
    [upload, asked] = [first, firstAsked];
    expect((await held()).held).toEqual([]);
    await finish();
  });
});

describe('the file holds more than the ledger says', () => {
  test('[U5] bytes without a row do not count, and are written over', async () => {
    await land(0);
    spoil(CHUNK, chunkOf(1)); // written and synced; killed before the commit
    spoil(2 * CHUNK, Buffer.alloc(CHUNK, 'x'));
    await recover();
    expect(await held()).toMatchObject({ held: [[0, 0]], partial: {} });
    await finish();
  });

  test('a file without a row goes after an hour; before that its row may be on its way', async () => {
    const [old, fresh] = [randomUUID(), randomUUID()];
    for (const id of [old, fresh]) writeFileSync(blobs.path(id), 'left over');
    const longAgo = Date.now() / 1000 - 2 * 3600;
    utimesSync(blobs.path(old), longAgo, longAgo);
    await recover();
    expect([old, fresh].map((id) => existsSync(blobs.path(id)))).toEqual([false, true]);
    expect(existsSync(blob())).toBe(true);
  });
});

describe('expiry', () => {
  const expireIn = (days: number): Promise<number> => expireUploads({ db, blobs }, Date.now() + days * DAY);
  const status = async () =>
    await db.sql
      .selectFrom('batches')
      .select(['status', 'message', 'total_pages', 'done_pages'])
      .where('batch_id', '=', upload.batch_id)
      .executeTakeFirstOrThrow();

  test(`what has not moved for ${EXPIRY_DAYS} days goes, and not a day before`, async () => {
    await land(0);
    expect(await expireIn(EXPIRY_DAYS - 1)).toBe(0);
    expect(existsSync(blob())).toBe(true);
    expect(await expireIn(EXPIRY_DAYS + 1)).toBe(1);
    expect(existsSync(blob())).toBe(false);
    await expect(find()).rejects.toMatchObject({ code: 'UPLOAD_GONE', status: 410 });
    await expect(land(1)).rejects.toMatchObject({ code: 'UPLOAD_GONE' });
    expect(await status()).toMatchObject({ status: 'cancelled', message: expect.stringMatching(/begin again/) });
    expect(await expireIn(EXPIRY_DAYS + 2), 'once').toBe(0);
  });

  test('one that never sent a byte goes too, counted from its opening', async () => {
    expect(await expireIn(EXPIRY_DAYS - 1)).toBe(0);
    expect(await expireIn(EXPIRY_DAYS + 1)).toBe(1);
  });

  test('what is sealed never does', async () => {
    await land(0, 1, 2, 3);
    await seal(sealDeps(), await find());
    expect(await expireIn(1000)).toBe(0);
    expect(readFileSync(blob()).equals(FILE)).toBe(true);
  });

  test('a byte that comes while it is being given up keeps it', async () => {
    // Between the look and the act: the list is read, then a chunk lands, then its turn comes.
    const slow: Database = {
      ...db,
      sql: db.sql,
      write: async (work) => {
        await land(0);
        return db.write(work);
      },
    };
    await db.write((tx) =>
      tx
        .updateTable('uploads')
        .set((eb) => ({ created_at: eb('created_at', '-', 20 * DAY) }))
        .execute(),
    );
    expect(await expireUploads({ db: slow, blobs })).toBe(0);
    expect((await held()).held).toEqual([[0, 0]]);
    await finish();
  });

  test('opened again with its id it is the same upload, empty, and arrives', async () => {
    await land(0, 1);
    await expireIn(EXPIRY_DAYS + 1);
    const again = await open();
    expect(again).toMatchObject({ created: false, upload: { upload_id: upload.upload_id, batch_id: upload.batch_id } });
    expect(await held()).toMatchObject({ state: 'open', held: [], partial: {} });
    expect(await status()).toMatchObject({ status: 'uploading', total_pages: 0, done_pages: 0 });
    await finish();
    expect(await expireIn(0)).toBe(0);
  });

  test('[U5] two tabs that open it again do not empty it under each other', async () => {
    await expireIn(EXPIRY_DAYS + 1);
    await Promise.all([open(), open(), open().then(() => land(0, 1))]);
    expect((await held()).held).toEqual([[0, 1]]);
    await finish();
  });
});
