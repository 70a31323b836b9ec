// Landing over a real database and real files: chunks in any order and any number of times, lines that break, senders
// that meet, and bytes that are not what they were said to be. Whatever happens, the ledger says what is on the disk.
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ChunkAnswer, SMALLEST_CHUNK, type UploadAnswer } from '../../shared/protocol/upload.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { type Logged, readLog } from '../progress/log.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import { type ChunkRequest, landChunk } from './landing.ts';
import { createLeases, type Leases } from './leases.ts';
import { findUpload, holdings, insertUpload, unverify } from './ledger.ts';
import { recoverUploads } from './recover.ts';
import { seal } from './seal.ts';

const CHUNK = SMALLEST_CHUNK;
/** five chunks, the last of them short */
const FILE = Buffer.from(Uint8Array.from({ length: 4 * CHUNK + 12_345 }, (_, i) => (i * 7919 + (i >> 8)) & 0xff));
const TOTAL = 5;

const operator = {
  user_id: randomUUID(),
  username: 'olga',
  role: 'operator' as const,
  centres: [],
  must_change_password: false,
  session_id: randomUUID(),
  device: 'a tablet',
};
const OLGA: User = operator;

let folder: string;
let db: Database;
let blobs: Blobs;
let leases: Leases;
let upload: UploadsTable;
let announced: Logged[];

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-landing-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  blobs = await openBlobs(path.join(folder, 'blobs'));
  leases = createLeases(db, 'this process');
  announced = [];
  upload = await newUpload();
});
afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

async function newUpload(): Promise<UploadsTable> {
  const ids = { upload_id: randomUUID(), batch_id: randomUUID(), token: randomUUID() };
  const opened = {
    client_upload_id: randomUUID(),
    // Images are taken as they come: what is inside is of no matter here.
    upload_type: 'images',
    name: 'pages',
    size: FILE.length,
    chunk_size: CHUNK,
    task_id: '14900113',
    files: [{ name: '1.jpg', size: FILE.length }],
  } as const;
  await blobs.create(ids.upload_id, FILE.length);
  await db.write((tx) => insertUpload(db, tx, OLGA, { ...opened, files: [...opened.files] }, ids));
  return findUpload(db, { kind: 'user', user: OLGA }, ids.upload_id);
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const chunkOf = (index: number): Buffer => FILE.subarray(index * CHUNK, (index + 1) * CHUNK);
const refusal = (code: string, more: object = {}) => ({ name: 'RequestRefused', code, ...more });

/** A body as it comes off the wire: in pieces. */
function body(bytes: Buffer): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 10_000) pieces.push(bytes.subarray(at, at + 10_000));
  return Readable.from(pieces);
}

async function land(
  index: number,
  bytes: Readable | Buffer = chunkOf(index),
  more: Partial<ChunkRequest> & { by?: Leases } = {},
): Promise<ChunkAnswer> {
  const { by = leases, ...fields } = more;
  const request = {
    chunk_index: index,
    total_chunks: TOTAL,
    offset: 0,
    sha256: sha256(chunkOf(index)),
    epoch: undefined,
    ...fields,
  };
  const deps = { db, blobs, leases: by, announce: (events: readonly Logged[]) => void announced.push(...events) };
  return landChunk(deps, await present(), request, Buffer.isBuffer(bytes) ? body(bytes) : bytes);
}

const present = (): Promise<UploadsTable> => findUpload(db, { kind: 'user', user: OLGA }, upload.upload_id);
const held = async (): Promise<UploadAnswer> => holdings(db, await present());
const onDisk = (): Buffer => readFileSync(blobs.path(upload.upload_id));
const sealIt = async () => seal({ db, blobs, announce: () => undefined, wake: () => undefined }, await present());

describe('chunks', () => {
  test('[U4][U6] in any order and any number of times, each is landed once, and together they are the file', async () => {
    const orders = fc
      .tuple(
        fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: TOTAL }),
        fc.array(fc.nat(TOTAL - 1), { maxLength: 6 }),
        fc.integer(),
      )
      .map(([order, again, seed]) => {
        const all = [...order];
        // Repeats go in wherever chance puts them, before the first time as well as after it.
        for (const [i, index] of again.entries()) all.splice(Math.abs(seed + i * 31) % (all.length + 1), 0, index);
        return all;
      });
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        upload = await newUpload();
        const seen = new Set<number>();
        for (const index of order) {
          expect(await land(index)).toMatchObject({
            verified: true,
            duplicate: seen.has(index),
            chunks_verified: new Set([...seen, index]).size,
          });
          seen.add(index);
        }
        expect((await held()).held).toEqual([[0, TOTAL - 1]]);
        expect(onDisk().equals(FILE)).toBe(true);
        const log = await readLog(db, upload.batch_id, 0, 100);
        expect(log).toHaveLength(TOTAL); // a chunk that comes again says nothing again
        expect(await sealIt()).toMatchObject({ state: 'sealed' });
      }),
      { numRuns: 12 },
    );
  });

  test('[U4] all at once are landed side by side', async () => {
    const answers = await Promise.all([0, 1, 2, 3, 4].map((index) => land(index)));
    expect(answers.every(({ verified }) => verified)).toBe(true);
    expect(Math.max(...answers.map(({ chunks_verified }) => chunks_verified))).toBe(TOTAL);
    expect(onDisk().equals(FILE)).toBe(true);
  });

  test('[U5] what is answered as verified lies on the disk and stands in the ledger by then', async () => {
    for (const index of [3, 0]) {
      await land(index);
      expect(
        onDisk()
          .subarray(index * CHUNK, (index + 1) * CHUNK)
          .equals(chunkOf(index)),
      ).toBe(true);
    }
    expect((await held()).held).toEqual([
      [0, 0],
      [3, 3],
    ]);
    // And nothing else: the places of the others are as empty as they were made.
    expect(
      onDisk()
        .subarray(CHUNK, 3 * CHUNK)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(announced.map(({ event }) => event.data)).toMatchObject([
      { stage: 'uploading', message: 'Chunk 4/5 uploaded (0.06MB)', progress_percentage: 20 },
      { stage: 'uploading', message: 'Chunk 1/5 uploaded (0.06MB)', progress_percentage: 40 },
    ]);
  });

  test('[U4] other bytes under a verified index are refused, whatever hash they come with, and change nothing', async () => {
    await land(1);
    const other = Buffer.alloc(CHUNK, 'other');
    await expect(land(1, other, { sha256: sha256(other) })).rejects.toMatchObject(refusal('CHUNK_CONFLICT'));
    await expect(land(1, other)).rejects.toMatchObject(refusal('CHUNK_HASH_MISMATCH'));
    expect(
      onDisk()
        .subarray(CHUNK, 2 * CHUNK)
        .equals(chunkOf(1)),
    ).toBe(true);
    expect(await land(1)).toMatchObject({ verified: true, duplicate: true });
  });

  test('[U5] one that is taken back while it is sent again is not answered as verified', async () => {
    await land(1);
    const again = new PassThrough();
    const answer = land(1, again);
    again.write(chunkOf(1).subarray(0, 5000));
    await vi.waitFor(() => expect(again.readableLength).toBe(0));
    await db.write((tx) => unverify(tx, upload.upload_id, 1));
    again.end(chunkOf(1).subarray(5000));
    await expect(answer).rejects.toMatchObject(refusal('CHUNK_BUSY'));
    expect(await land(1)).toMatchObject({ verified: true, duplicate: false });
  });

  test('bytes that do not have their hash are not kept, and the chunk can be sent again', async () => {
    const flipped = Buffer.from(chunkOf(2));
    flipped[100]! ^= 1;
    await expect(land(2, flipped)).rejects.toMatchObject(refusal('CHUNK_HASH_MISMATCH', { extra: { landed: 0 } }));
    expect(await held()).toMatchObject({ held: [], partial: {} });
    expect(await land(2)).toMatchObject({ verified: true, duplicate: false });
  });

  test('more bytes than the chunk has are refused, and never reach the next chunk’s place', async () => {
    await land(1);
    const long = Buffer.concat([chunkOf(0), Buffer.alloc(500, 'x')]);
    await expect(land(0, long)).rejects.toMatchObject(refusal('CHUNK_OUT_OF_RANGE'));
    expect(
      onDisk()
        .subarray(CHUNK, 2 * CHUNK)
        .equals(chunkOf(1)),
    ).toBe(true);
    expect(onDisk()).toHaveLength(FILE.length);
    expect(await land(0)).toMatchObject({ verified: true });
  });
});

describe('a line that breaks', () => {
  /** A body that ends in an error after `bytes`. */
  const broken = (bytes: Buffer): Readable =>
    Readable.from(
      (async function* () {
        yield bytes;
        throw new Error('the line broke');
      })(),
    );

  test('[U5] what had come is kept, and the chunk goes on from there', async () => {
    await expect(land(0, broken(chunkOf(0).subarray(0, 40_000)))).rejects.toThrow('the line broke');
    expect(await held()).toMatchObject({ held: [], partial: { 0: 40_000 } });
    expect(onDisk().subarray(0, 40_000).equals(chunkOf(0).subarray(0, 40_000))).toBe(true);

    expect(await land(0, chunkOf(0).subarray(40_000), { offset: 40_000 })).toMatchObject({
      verified: true,
      landed: CHUNK,
    });
    expect(await held()).toMatchObject({ held: [[0, 0]], partial: {} });
    expect(onDisk().subarray(0, CHUNK).equals(chunkOf(0))).toBe(true);
  });

  test('however often it breaks, and wherever, the chunk arrives whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: CHUNK - 1 }), { maxLength: 5 }), async (cuts) => {
        upload = await newUpload();
        let at = 0;
        for (const cut of cuts) {
          const bytes = chunkOf(0).subarray(at, Math.min(at + cut, CHUNK - 1));
          if (bytes.length === 0) continue;
          await expect(land(0, broken(bytes), { offset: at })).rejects.toThrow('the line broke');
          at = (await held()).partial[0] ?? 0;
        }
        expect(await land(0, chunkOf(0).subarray(at), { offset: at })).toMatchObject({ verified: true });
        expect(onDisk().subarray(0, CHUNK).equals(chunkOf(0))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  test('a sender may send a chunk in parts, and each is answered with how far it is', async () => {
    const [first, second] = [chunkOf(3).subarray(0, 20_000), chunkOf(3).subarray(20_000)];
    expect(await land(3, first)).toMatchObject({ verified: false, landed: 20_000 });
    expect(await land(3, second, { offset: 20_000 })).toMatchObject({ verified: true, landed: CHUNK });
  });

  test('one that starts behind what has landed is told where to start', async () => {
    await land(3, chunkOf(3).subarray(0, 20_000));
    await expect(land(3, chunkOf(3).subarray(30_000), { offset: 30_000 })).rejects.toMatchObject(
      refusal('CONFLICT', { extra: { landed: 20_000 } }),
    );
  });

  test('parts of two different files do not make one chunk', async () => {
    const other = Buffer.alloc(CHUNK, 'another file ');
    await land(3, other.subarray(0, 20_000), { sha256: sha256(other) });
    await expect(land(3, chunkOf(3).subarray(20_000), { offset: 20_000 })).rejects.toMatchObject(
      refusal('CONFLICT', { extra: { landed: 0 } }),
    );
    expect(await land(3)).toMatchObject({ verified: true });
    expect(
      onDisk()
        .subarray(3 * CHUNK, 4 * CHUNK)
        .equals(chunkOf(3)),
    ).toBe(true);
  });

  test('half a chunk that is damaged on the disk is noticed when the other half comes', async () => {
    await land(0, chunkOf(0).subarray(0, 40_000));
    const bytes = onDisk();
    bytes[5]! ^= 1;
    writeFileSync(blobs.path(upload.upload_id), bytes);
    await expect(land(0, chunkOf(0).subarray(40_000), { offset: 40_000 })).rejects.toMatchObject(
      refusal('CHUNK_HASH_MISMATCH', { extra: { landed: 0 } }),
    );
    expect(await held()).toMatchObject({ held: [], partial: {} });
  });
});

describe('senders that meet', () => {
  /** A body that has begun and has not ended. */
  async function begun(index: number, more: Parameters<typeof land>[2] = {}) {
    const stream = new PassThrough();
    const answer = land(index, stream, more);
    answer.catch(() => undefined);
    stream.write(chunkOf(index).subarray(0, 10_000));
    const lease = db.sql.selectFrom('chunks').select('lease_id').where('upload_id', '=', upload.upload_id);
    while (!(await lease.where('chunk_index', '=', index).executeTakeFirst())?.lease_id) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return { answer, finish: () => stream.end(chunkOf(index).subarray(10_000)) };
  }

  test('a chunk that is being written is busy for another request of the same sender', async () => {
    const first = await begun(0);
    await expect(land(0)).rejects.toMatchObject(refusal('CHUNK_BUSY', { status: 423, extra: { retryAfter: 5 } }));
    expect(await land(1)).toMatchObject({ verified: true }); // others are not
    first.finish();
    expect(await first.answer).toMatchObject({ verified: true, duplicate: false });
    expect(await land(0)).toMatchObject({ duplicate: true });
  });

  test('… and for another process', async () => {
    const first = await begun(0);
    await expect(land(0, chunkOf(0), { by: createLeases(db, 'another process') })).rejects.toMatchObject(
      refusal('CHUNK_BUSY'),
    );
    first.finish();
    expect(await first.answer).toMatchObject({ verified: true });
  });

  test('a newer epoch takes over: the older one stops, and is stale from then on', async () => {
    const first = await begun(0, { epoch: 1 });
    expect(await land(0, chunkOf(0), { epoch: 2 })).toMatchObject({ verified: true });
    await expect(first.answer).rejects.toMatchObject(refusal('STALE_EPOCH', { status: 409 }));
    await expect(land(1, chunkOf(1), { epoch: 1 })).rejects.toMatchObject(refusal('STALE_EPOCH'));
    expect((await held()).epoch).toBe(2);
    expect(onDisk().subarray(0, CHUNK).equals(chunkOf(0))).toBe(true);
  });

  test('a process that was killed while it wrote frees its chunks when it starts again, and no other’s', async () => {
    const [killed, other] = [await begun(0), await begun(1, { by: createLeases(db, 'another process') })];
    const again = createLeases(db, 'this process');
    await expect(land(0, chunkOf(0), { by: again })).rejects.toMatchObject(refusal('CHUNK_BUSY'));
    await again.drop();
    expect(await land(0, chunkOf(0), { by: again })).toMatchObject({ verified: true });
    await expect(land(1, chunkOf(1), { by: again })).rejects.toMatchObject(refusal('CHUNK_BUSY'));
    // The dead one's socket may live on for a moment: what it still writes is not answered as verified.
    killed.finish();
    other.finish();
    await expect(killed.answer).rejects.toMatchObject(refusal('CHUNK_BUSY'));
    expect(await other.answer).toMatchObject({ verified: true });
  });
});

describe('sealing', () => {
  const landAll = async (): Promise<void> => {
    for (let index = 0; index < TOTAL; index++) await land(index);
  };

  test('while chunks are missing it says how many', async () => {
    await land(0);
    await expect(sealIt()).rejects.toMatchObject(
      refusal('UPLOAD_INCOMPLETE', { message: expect.stringMatching(/^4 of 5 chunks of pages/) }),
    );
  });

  test('once and for all: the answer stays, and no more bytes land', async () => {
    await landAll();
    const answer = await sealIt();
    expect(await sealIt()).toEqual(answer);
    expect(await land(0)).toMatchObject({ duplicate: true });
    const batch = await db.sql.selectFrom('batches').select(['status', 'uploaded_at']).executeTakeFirstOrThrow();
    expect(batch).toMatchObject({ status: 'uploaded', uploaded_at: expect.any(Number) });
    const log = await readLog(db, upload.batch_id, 0, 100);
    expect(log.filter(({ event }) => event.type === 'progress' && event.data.progress_percentage === 100)).toHaveLength(
      1,
    );
  });

  test('[U6] a chunk that two senders wrote to is hashed again, and asked for again when it is not what it was', async () => {
    await landAll();
    await db.write((tx) => tx.updateTable('chunks').set({ contested: 1 }).where('chunk_index', 'in', [1, 2]).execute());
    const bytes = onDisk();
    bytes[2 * CHUNK]! ^= 1;
    writeFileSync(blobs.path(upload.upload_id), bytes);
    await expect(sealIt()).rejects.toMatchObject(
      refusal('UPLOAD_INCOMPLETE', { message: expect.stringMatching(/^Chunk 2 .* Send it again/) }),
    );
    expect((await held()).held).toEqual([
      [0, 1],
      [3, 4],
    ]);
    await land(2);
    expect(await sealIt()).toMatchObject({ state: 'sealed' });
    expect(onDisk().equals(FILE)).toBe(true);
  });
});

describe('at the next start', () => {
  const recover = (): Promise<void> =>
    recoverUploads({ db, blobs, announce: () => undefined, wake: () => undefined }, (error) => {
      throw error;
    });
  const state = async (): Promise<string> => (await present()).state;

  test('[P3] what was whole and not sealed is sealed', async () => {
    for (let index = 0; index < TOTAL - 1; index++) await land(index);
    await recover();
    expect(await state()).toBe('open');
    await land(TOTAL - 1);
    await recover();
    expect(await state()).toBe('sealed');
  });

  test.each([
    ['gone', () => rmSync(blobs.path(upload.upload_id))],
    ['short', () => writeFileSync(blobs.path(upload.upload_id), FILE.subarray(0, CHUNK))],
  ])('[U5] of a file that is %s nothing is held, and the sender can send it all again', async (_, damage) => {
    await land(0);
    await land(1);
    damage();
    await recover();
    expect(await held()).toMatchObject({ state: 'open', held: [], partial: {} });
    for (let index = 0; index < TOTAL; index++) await land(index);
    expect(await sealIt()).toMatchObject({ state: 'sealed' });
    expect(onDisk().equals(FILE)).toBe(true);
  });
});
