import 'fake-indexeddb/auto';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import { closeChannel, openQueue, type QueueDb } from '../db.ts';
import { sha256 } from './digest.ts';
import {
  chunkBytes,
  chunksFor,
  enqueue,
  getUpload,
  lose,
  type NewUpload,
  probeKeeping,
  release,
  remove,
  setStep,
} from './queue.ts';
import { findInterrupted, type StageDeps, stage, stagingLock } from './stage.ts';

const CHUNK = SMALLEST_CHUNK;
let queue: QueueDb;
let made = 0;

beforeEach(async () => {
  queue ??= await openQueue();
});
afterAll(() => {
  queue.close();
  closeChannel();
});

const pick = (size: number, name = 'scans.zip'): File => new File([randomBytes(size)], name);

async function queued(files: File[]): Promise<NewUpload> {
  const upload: NewUpload = {
    id: `0000000${made++}-0000-4000-8000-000000000000`,
    owner: { user_id: 'u1', username: 'amal' },
    upload_type: 'zip_with_qr',
    name: files[0]?.name ?? '',
    size: files.reduce((sum, file) => sum + file.size, 0),
    chunk_size: CHUNK,
    task_id: null,
    files: files.map(({ name, size }) => ({ name, size })),
    created_at: new Date().toISOString(),
  };
  await enqueue(queue, upload);
  return upload;
}

/** A file that can be read up to `limit` and then is gone, as when a stick is pulled out. */
function pulledOutAt(file: File, limit: number): File {
  const slice = file.slice.bind(file);
  return Object.assign(file, {
    slice(start = 0, end = file.size) {
      const part = slice(start, end);
      if (end <= limit) return part;
      // As in Chromium: the copy fails without a reason, and the file gives it when it is read.
      part.slice = () => {
        throw new DOMException('Failed to write blobs', 'DataError');
      };
      part.arrayBuffer = () => Promise.reject(Object.assign(new Error('gone'), { name: 'NotReadableError' }));
      return part;
    },
  });
}

test('[U1] staged means that every chunk is stored, and stored as it was hashed', async () => {
  const file = pick(2.5 * CHUNK);
  const { id } = await queued([file]);
  expect(await stage(queue, id, [file])).toEqual({ kind: 'staged' });
  const chunks = await chunksFor(queue, id);
  expect(chunks.map((chunk) => [chunk.index, chunk.size, chunk.state])).toEqual([
    [0, CHUNK, 'staged'],
    [1, CHUNK, 'staged'],
    [2, CHUNK / 2, 'staged'],
  ]);
  const back = await Promise.all(chunks.map((chunk) => chunkBytes(queue, id, chunk.index)));
  const whole = Buffer.from(await file.arrayBuffer());
  expect(Buffer.from(await new Blob(back as Blob[]).arrayBuffer()).equals(whole)).toBe(true);
  for (const [i, chunk] of chunks.entries()) expect(await sha256(await back[i]!.arrayBuffer())).toBe(chunk.sha256);
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'queued' });
});

test('[U1] chunks and what says that they are there are written to the disk, not only to memory', async () => {
  const file = pick(CHUNK);
  const { id } = await queued([file]);
  const opened = vi.spyOn(queue, 'transaction');
  await stage(queue, id, [file]);
  const writes = opened.mock.calls.filter(([, mode]) => mode === 'readwrite');
  expect(writes.length).toBeGreaterThan(2);
  expect(writes.every(([, , options]) => options?.durability === 'strict')).toBe(true);
  opened.mockRestore();
});

test('[U1] a chunk is what was stored, even if the file was written to while it was copied', async () => {
  const file = pick(2 * CHUNK);
  const { id } = await queued([file]);
  const put = IDBObjectStore.prototype.put;
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
    this: IDBObjectStore,
    value: unknown,
    key?: IDBValidKey,
  ) {
    const copied = this.name === 'bytes' && Array.isArray(key) && key[1] === 1 ? new Blob([randomBytes(CHUNK)]) : value;
    return put.call(this, copied, key);
  });
  expect(await stage(queue, id, [file])).toEqual({ kind: 'staged' });
  for (const { index, sha256: said } of await chunksFor(queue, id)) {
    const kept = await chunkBytes(queue, id, index);
    expect(await sha256(await kept!.arrayBuffer())).toBe(said);
  }
});

test('[U3] when the file goes away half-way, what was copied stays, and the same file completes it', async () => {
  const file = pick(3 * CHUNK);
  const bytes = await file.arrayBuffer();
  const { id } = await queued([file]);
  expect(await stage(queue, id, [pulledOutAt(file, 2 * CHUNK)])).toEqual({ kind: 'unreadable', safe_chunks: 2 });
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'incomplete', why: 'file-changed' });
  expect(await chunksFor(queue, id)).toHaveLength(2);

  expect(await stage(queue, id, [new File([bytes], 'scans.zip')])).toEqual({ kind: 'staged' });
  expect(await chunksFor(queue, id)).toHaveLength(3);
});

test('[U4] a file with the same name and size but other bytes is refused, and nothing changes', async () => {
  const file = pick(3 * CHUNK);
  const { id } = await queued([file]);
  await stage(queue, id, [pulledOutAt(file, 2 * CHUNK)]);
  const before = await chunksFor(queue, id);
  expect(await stage(queue, id, [pick(3 * CHUNK)])).toMatchObject({ kind: 'other-file' });
  expect(await stage(queue, id, [pick(3 * CHUNK, 'other.zip')])).toMatchObject({ kind: 'other-file' });
  expect(await chunksFor(queue, id)).toEqual(before);
  expect((await getUpload(queue, id))?.step.at).toBe('incomplete');
});

test('several images are one row of bytes', async () => {
  const files = [pick(CHUNK - 10, '1.jpg'), pick(30, '2.jpg'), pick(CHUNK, '3.jpg')];
  const { id } = await queued(files);
  expect(await stage(queue, id, files)).toEqual({ kind: 'staged' });
  const second = await chunkBytes(queue, id, 1);
  const whole = Buffer.from(await new Blob(files).arrayBuffer());
  expect(Buffer.from(await second!.arrayBuffer()).equals(whole.subarray(CHUNK, 2 * CHUNK))).toBe(true);
});

test('an upload that was removed while it was copied leaves no bytes behind', async () => {
  const file = pick(2 * CHUNK);
  const { id } = await queued([file]);
  const copying = stage(queue, id, [file]);
  await remove(queue, id);
  expect(await copying).toEqual({ kind: 'removed' });
  expect(await queue.getAllKeys('bytes', IDBKeyRange.bound([id, 0], [id, 9]))).toEqual([]);
});

test('[U1] a tab that died while copying: its upload asks for the file; one that is being copied does not', async () => {
  const [dead, alive] = [await queued([pick(CHUNK)]), await queued([pick(CHUNK)])];
  const found = await findInterrupted(queue, (lock) => lock === stagingLock(alive.id));
  expect(found.map((upload) => upload.id)).toContain(dead.id);
  expect((await getUpload(queue, dead.id))?.step).toEqual({ at: 'incomplete', why: 'interrupted' });
  expect((await getUpload(queue, alive.id))?.step).toEqual({ at: 'staging' });
});

test('a tab that died after its last chunk left nothing to ask for', async () => {
  const file = pick(CHUNK);
  const { id } = await queued([file]);
  await stage(queue, id, [file]);
  await queue.put('uploads', { ...(await getUpload(queue, id))!, step: { at: 'staging' } });
  await findInterrupted(queue, () => false);
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'queued' });
});

test('two taps are one upload', async () => {
  const upload = await queued([pick(CHUNK)]);
  expect(await enqueue(queue, upload)).toBe(false);
  expect((await queue.getAll('uploads')).filter(({ id }) => id === upload.id)).toHaveLength(1);
});

/** A device that keeps `most` chunks: a write beyond that is refused. */
function smallDevice(most: number) {
  const device = { used: 0, refused: 0 };
  const put = IDBObjectStore.prototype.put;
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
    this: IDBObjectStore,
    value: unknown,
    key?: IDBValidKey,
  ) {
    if (this.name !== 'bytes') return put.call(this, value, key);
    if (device.used >= most) {
      device.refused += 1;
      throw new DOMException('full', 'QuotaExceededError');
    }
    device.used += 1;
    return put.call(this, value, key);
  });
  return device;
}
afterEach(() => {
  vi.restoreAllMocks();
});

const passingDeps = (more: Partial<StageDeps>): StageDeps => ({
  keeping: 'blob',
  hasRoom: async () => true,
  freed: async () => undefined,
  ...more,
});

test('[U1] [U3] a file larger than the device passes through it, its directory first, and the sender is told so', async () => {
  for (const store of ['uploads', 'chunks', 'bytes'] as const) await queue.clear(store);
  const file = pick(6 * CHUNK);
  const { id } = await queued([file]);
  const device = smallDevice(2);
  const order: number[] = [];
  const steps = new Set<string>();
  const staged = await stage(
    queue,
    id,
    [file],
    passingDeps({
      // The whole is known not to fit; whether one more chunk does, only the write tells.
      hasRoom: async (bytes) => bytes !== 6 * CHUNK,
      async freed() {
        // The sender, in one line: what is here is sent, verified and let go of.
        steps.add((await getUpload(queue, id))?.step.at ?? '');
        const here = (await chunksFor(queue, id)).filter(({ state }) => state === 'staged').map(({ index }) => index);
        order.push(...here);
        await release(queue, id, here);
        device.used -= here.length;
      },
    }),
  );
  expect(staged).toEqual({ kind: 'staged' });
  expect(device.refused).toBeGreaterThan(0);
  // The last MiB of the file is all of it here, so it goes in file order; every chunk was there once.
  expect([...steps]).toEqual(['passing']);
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'queued' });
  const chunks = await chunksFor(queue, id);
  expect(chunks).toHaveLength(6);
  expect(chunks.filter(({ state }) => state === 'sent').map(({ index }) => index)).toEqual(order.sort((a, b) => a - b));
});

test('[U3] where nothing can be freed, what is stored stays and the person is told', async () => {
  for (const store of ['uploads', 'chunks', 'bytes'] as const) await queue.clear(store);
  const file = pick(3 * CHUNK);
  const { id } = await queued([file]);
  smallDevice(0);
  expect(await stage(queue, id, [file], passingDeps({}))).toEqual({ kind: 'no-room', safe_chunks: 0 });
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'incomplete', why: 'no-room' });
});

test('[U3] a server that refuses what passes through ends the copying and has the last word', async () => {
  for (const store of ['uploads', 'chunks', 'bytes'] as const) await queue.clear(store);
  const file = pick(3 * CHUNK);
  const { id } = await queued([file]);
  smallDevice(1);
  const staged = await stage(
    queue,
    id,
    [file],
    passingDeps({ freed: () => setStep(queue, id, { at: 'parked', code: 'FORBIDDEN', detail: 'no' }) }),
  );
  expect(staged).toEqual({ kind: 'removed' });
  expect((await getUpload(queue, id))?.step.at).toBe('parked');
  expect((await chunksFor(queue, id)).filter(({ state }) => state === 'staged')).toHaveLength(1);
});

test('a browser that cannot keep Blobs keeps buffers, and gives back the same bytes', async () => {
  expect(await probeKeeping(queue)).toBe('blob');
  const put = IDBObjectStore.prototype.put;
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
    this: IDBObjectStore,
    value: unknown,
    key?: IDBValidKey,
  ) {
    // As WebKit does: the request is taken, the transaction fails without a word.
    const request = put.call(this, value, key);
    if (value instanceof Blob) this.transaction.abort();
    return request;
  });
  expect(await probeKeeping(queue)).toBe('pieces');
  const file = pick(2.5 * CHUNK);
  const { id } = await queued([file]);
  expect(await stage(queue, id, [file], passingDeps({ keeping: 'pieces' }))).toEqual({ kind: 'staged' });
  const whole = Buffer.from(await file.arrayBuffer());
  for (const index of [0, 1, 2]) {
    const stored = await chunkBytes(queue, id, index);
    expect(Buffer.from(await stored!.arrayBuffer()).equals(whole.subarray(index * CHUNK, (index + 1) * CHUNK))).toBe(
      true,
    );
  }
  await release(queue, id, [0, 1]);
  expect(await queue.getAllKeys('bytes', IDBKeyRange.bound([id, 0], [id, 9]))).toEqual([[id, 2, 0]]);
  await remove(queue, id);
  expect(await queue.getAllKeys('bytes', IDBKeyRange.bound([id, 0], [id, 9]))).toEqual([]);
});

test('[U4] what was sent and lost is still proof of the file: only the same one is taken again', async () => {
  const file = pick(2 * CHUNK);
  const bytes = await file.arrayBuffer();
  const { id } = await queued([file]);
  await stage(queue, id, [file]);
  await lose(queue, id, [0, 1], 'server-lost');
  expect(await stage(queue, id, [pick(2 * CHUNK)])).toMatchObject({ kind: 'other-file' });
  expect((await getUpload(queue, id))?.step).toEqual({ at: 'incomplete', why: 'server-lost' });
  expect(await stage(queue, id, [new File([bytes], 'scans.zip')])).toEqual({ kind: 'staged' });
  expect((await chunksFor(queue, id)).map(({ state }) => state)).toEqual(['staged', 'staged']);
});
