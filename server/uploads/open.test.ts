// What may be opened: once for each id, within the quotas, and only as much as the disk has room for, with what other
// uploads have been promised counted as gone.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MB } from '../../shared/protocol/upload.ts';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { cancelUpload } from '../batches/bin.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import { DISK_FLOOR, type NewUpload } from './ledger.ts';
import { type OpenDeps, openUpload, uploadToken } from './open.ts';

const person = (username: string, ...centres: string[]): User => ({
  user_id: randomUUID(),
  username,
  role: 'operator',
  centres,
  must_change_password: false,
  session_id: randomUUID(),
  device: 'a tablet',
});
const OLGA = person('olga', 'north');
const OTTO = person('otto', 'north');
const PETRA = person('petra', 'south');

let folder: string;
let db: Database;
let blobs: Blobs;
let free: number;
let quota: OpenDeps['quota'];

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-open-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  // A folder like any other, on a disk that has as much room as the test says.
  blobs = { ...(await openBlobs(path.join(folder, 'blobs'))), free: async () => free };
  free = 2 ** 40;
  quota = { user: null, centre: null };
});
afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const zip = (size: number, more: Partial<NewUpload> = {}): NewUpload => ({
  client_upload_id: randomUUID(),
  upload_type: 'zip_with_qr',
  name: 'scans.zip',
  size,
  chunk_size: MB,
  task_id: null,
  files: null,
  ...more,
});
const open = (user: User, upload: NewUpload) =>
  openUpload({ db, blobs, secret: Buffer.alloc(32), quota }, user, upload);
const refusal = (code: string, detail: RegExp, more: object = {}) => ({
  name: 'RequestRefused',
  code,
  message: expect.stringMatching(detail),
  ...more,
});
const setState = (upload_id: string, state: string) =>
  db.write((tx) => tx.updateTable('uploads').set({ state }).where('upload_id', '=', upload_id).execute());
const rows = async (): Promise<number> => (await db.sql.selectFrom('uploads').select('upload_id').execute()).length;
const files = (): number => readdirSync(path.join(folder, 'blobs')).length;

describe('the same id', () => {
  test('[U4] opened again, and by two tabs at once, is one upload with one file', async () => {
    const upload = zip(3 * MB);
    const opened = await Promise.all([open(OLGA, upload), open(OLGA, upload), open(OLGA, upload)]);
    expect(new Set(opened.map((one) => one.upload.upload_id)).size).toBe(1);
    expect(opened.filter(({ created }) => created)).toHaveLength(1);
    expect([await rows(), files()]).toEqual([1, 1]);
    expect((await blobs.size(opened[0].upload.upload_id)) ?? 0).toBe(3 * MB);
    const { upload_id } = opened[0].upload;
    expect(uploadToken(Buffer.alloc(32), upload_id)).toBe(uploadToken(Buffer.alloc(32), upload_id));
    expect(uploadToken(Buffer.alloc(32, 1), upload_id)).not.toBe(uploadToken(Buffer.alloc(32), upload_id));
  });

  test('of another user is another upload', async () => {
    const upload = zip(MB);
    const [one, other] = [await open(OLGA, upload), await open(OTTO, upload)];
    expect(one.upload.upload_id).not.toBe(other.upload.upload_id);
  });

  test.each<[string, Partial<NewUpload>]>([
    ['size', { size: 4 * MB }],
    ['chunk_size', { chunk_size: 2 * MB }],
    ['upload_type', { upload_type: 'zip_without_qr', task_id: '14900113' }],
  ])('for another %s is refused: it is another file', async (field, change) => {
    const upload = zip(3 * MB);
    await open(OLGA, upload);
    await expect(open(OLGA, { ...upload, ...change })).rejects.toMatchObject(
      refusal('UPLOAD_MISMATCH', new RegExp(`another ${field}`)),
    );
  });

  test('after it was deleted is gone for good', async () => {
    const upload = zip(MB);
    await cancelUpload(db, blobs, OLGA, (await open(OLGA, upload)).upload);
    await expect(open(OLGA, upload)).rejects.toMatchObject(refusal('UPLOAD_GONE', /was deleted/));
  });
});

describe('quotas', () => {
  test('a user may fill the quota to its last byte, and not go beyond it: 507 with when to ask again', async () => {
    quota = { user: 10 * MB, centre: null };
    await open(OLGA, zip(6 * MB));
    await expect(open(OLGA, zip(4 * MB + 1))).rejects.toMatchObject(
      refusal('QUOTA_EXCEEDED', /olga may keep 4194304 more/, { status: 507, extra: { retryAfter: 300 } }),
    );
    await open(OLGA, zip(4 * MB));
    await expect(open(OLGA, zip(1))).rejects.toMatchObject(refusal('QUOTA_EXCEEDED', /olga may keep 0 more/));
    expect((await open(OTTO, zip(10 * MB))).created).toBe(true);
    expect([await rows(), files()]).toEqual([3, 3]);
  });

  test('a centre’s quota is shared by its users', async () => {
    quota = { user: null, centre: 10 * MB };
    await open(OLGA, zip(6 * MB));
    await expect(open(OTTO, zip(5 * MB))).rejects.toMatchObject(
      refusal('QUOTA_EXCEEDED', /centre north may keep 4194304 more/),
    );
    expect((await open(PETRA, zip(10 * MB))).created).toBe(true);
  });

  test('what is opened already may be opened again although the quota is full', async () => {
    quota = { user: 10 * MB, centre: 10 * MB };
    const upload = zip(10 * MB);
    await open(OLGA, upload);
    expect((await open(OLGA, upload)).created).toBe(false);
  });

  test.each([
    ['sealed', true],
    ['rejected', true],
    ['deleted', false],
    ['expired', false],
  ])('bytes of what is %s count: %s', async (state, counts) => {
    quota = { user: 10 * MB, centre: null };
    await setState((await open(OLGA, zip(10 * MB))).upload.upload_id, state);
    const again = open(OLGA, zip(MB));
    if (counts) await expect(again).rejects.toMatchObject(refusal('QUOTA_EXCEEDED', /0 more/));
    else expect((await again).created).toBe(true);
  });

  test('two requests at once do not share the last room', async () => {
    quota = { user: 10 * MB, centre: null };
    const both = await Promise.allSettled([open(OLGA, zip(6 * MB)), open(OLGA, zip(6 * MB))]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect([await rows(), files()]).toEqual([1, 1]);
  });
});

describe('the disk', () => {
  const room = (bytes: number): void => {
    free = bytes + DISK_FLOOR;
  };

  test('a file that has no room is refused before a byte of it has come, and leaves nothing', async () => {
    room(5 * MB);
    await expect(open(OLGA, zip(5 * MB + 1))).rejects.toMatchObject(
      refusal('DISK_FULL', /has room for 5242880/, { status: 507, extra: { retryAfter: 300 } }),
    );
    expect([await rows(), files()]).toEqual([0, 0]);
    expect((await open(OLGA, zip(5 * MB))).created).toBe(true);
  });

  test('what has been promised to others is not promised twice', async () => {
    room(10 * MB);
    await open(OLGA, zip(6 * MB));
    await expect(open(OTTO, zip(5 * MB))).rejects.toMatchObject(refusal('DISK_FULL', /has room for 4194304/));
    const both = await Promise.allSettled([open(OTTO, zip(3 * MB)), open(PETRA, zip(3 * MB))]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('bytes that have landed are not counted as gone and as promised', async () => {
    room(10 * MB);
    const { upload } = await open(OLGA, zip(6 * MB));
    await db.write((tx) =>
      db.insertNew(tx, 'chunks', [
        {
          upload_id: upload.upload_id,
          chunk_index: 0,
          state: 'landing',
          landed: 4 * MB,
          sha256: '0'.repeat(64),
          epoch: 1,
          contested: 0,
          lease_id: null,
          lease_until: null,
          verified_at: null,
        },
      ]),
    );
    room(6 * MB); // four of the ten are used now, and two are promised
    await expect(open(OTTO, zip(4 * MB + 1))).rejects.toMatchObject(refusal('DISK_FULL', /has room for 4194304/));
    expect((await open(OTTO, zip(4 * MB))).created).toBe(true);
  });

  test.each(['sealed', 'rejected', 'deleted', 'expired'])('what is %s is promised nothing', async (state) => {
    room(6 * MB);
    await setState((await open(OLGA, zip(6 * MB))).upload.upload_id, state);
    expect((await open(OTTO, zip(6 * MB))).created).toBe(true);
  });
});
