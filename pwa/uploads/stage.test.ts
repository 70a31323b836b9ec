import 'fake-indexeddb/auto';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import { closeChannel, openQueue, type QueueDb } from '../db.ts';
import { chunkBytes, chunksFor, enqueue, getUpload, type NewUpload, remove } from './queue.ts';
import { findInterrupted, sha256, stage, stagingLock } from './stage.ts';

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
      if (end > limit)
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
  expect(Buffer.from(await new Blob(back as Blob[]).arrayBuffer())).toEqual(Buffer.from(await file.arrayBuffer()));
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
  expect(Buffer.from(await second!.arrayBuffer())).toEqual(whole.subarray(CHUNK, 2 * CHUNK));
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
