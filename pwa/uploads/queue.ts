// The verbs of the queue: every change to an upload, its chunks and their bytes is one of these, each one transaction.
// Bytes leave in three ways only: the server verified them, the upload was removed by a person, or never.
import type { OpenUpload } from '../../shared/protocol/upload.ts';
import { chunkCount } from '../../shared/protocol/upload.ts';
import {
  type Chunk,
  type IncompleteReason,
  type QueueDb,
  type ServerSide,
  type Step,
  type Upload,
  type Wait,
  write,
} from '../db.ts';

export type NewUpload = Omit<Upload, 'step' | 'server'>;

export const chunksOf = (id: string): IDBKeyRange => IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);
export const totalChunks = (upload: Pick<Upload, 'size' | 'chunk_size'>): number =>
  chunkCount(upload.size, upload.chunk_size);

/** Answers false when an upload with this id is there already: the second tap. */
export async function enqueue(queue: QueueDb, upload: NewUpload): Promise<boolean> {
  return write(
    queue,
    ['uploads'],
    async (tx) => {
      const store = tx.objectStore('uploads');
      if ((await store.getKey(upload.id)) !== undefined) return false;
      await store.add({ ...upload, step: { at: 'staging' }, server: null });
      return true;
    },
    'strict',
  );
}

export const getUpload = (queue: QueueDb, id: string): Promise<Upload | undefined> => queue.get('uploads', id);
export const allUploads = (queue: QueueDb): Promise<Upload[]> => queue.getAll('uploads');
export const chunksFor = (queue: QueueDb, id: string): Promise<Chunk[]> => queue.getAll('chunks', chunksOf(id));

/** Where the bytes of one chunk lie: under its own key, or under that key and a piece's number. */
const bytesOf = (id: string, index: number): IDBKeyRange => IDBKeyRange.bound([id, index], [id, index, []]);

export async function chunkBytes(queue: QueueDb, id: string, index: number): Promise<Blob | undefined> {
  const kept = await queue.getAll('bytes', bytesOf(id, index));
  if (kept[0] instanceof Blob) return kept[0];
  return kept.length === 0 ? undefined : new Blob(kept);
}

/** How a browser can keep a chunk's bytes: WebKit refuses Blobs, or takes them and cannot give them back. */
export type Keeping = 'blob' | 'pieces';
/** One buffer of a record, where Blobs cannot be kept: what a browser has to hold in memory at once. */
const PIECE = 8 * 2 ** 20;

/** Asks by doing: keeps a Blob, reads it, removes it. */
export async function probeKeeping(queue: QueueDb): Promise<Keeping> {
  const key: [string, number] = [`probe:${crypto.randomUUID()}`, 0];
  const wanted = crypto.getRandomValues(new Uint8Array(64 * 1024));
  try {
    await write(queue, ['bytes'], (tx) => tx.objectStore('bytes').put(new Blob([wanted]), key), 'strict');
    const kept = await queue.get('bytes', key);
    if (!(kept instanceof Blob)) return 'pieces';
    const got = new Uint8Array(await kept.arrayBuffer());
    return got.length === wanted.length && got.every((byte, i) => byte === wanted[i]) ? 'blob' : 'pieces';
  } catch (error) {
    // A full device is no verdict on Blobs.
    return error instanceof Error && error.name === 'QuotaExceededError' ? 'blob' : 'pieces';
  } finally {
    await write(queue, ['bytes'], (tx) => tx.objectStore('bytes').delete(key)).catch(() => {});
  }
}

/**
 * Stores the bytes of one chunk, which are nobody's until `putChunk` says what they are. Answers false when the upload was
 * removed meanwhile. A Blob of a picked file is copied by the browser itself: its bytes never enter this thread.
 */
export async function putBytes(
  queue: QueueDb,
  id: string,
  index: number,
  part: Blob,
  keeping: Keeping,
): Promise<boolean> {
  const put = (piece: Blob | ArrayBuffer, key: [string, number] | [string, number, number]): Promise<boolean> =>
    write(
      queue,
      ['uploads', 'bytes'],
      async (tx) => {
        if ((await tx.objectStore('uploads').getKey(id)) === undefined) return false;
        await tx.objectStore('bytes').put(piece, key);
        return true;
      },
      'strict',
    );
  // In two parts, because Chromium stores a Blob that is one whole file without ever syncing it.
  if (keeping === 'blob') return put(new Blob([part.slice(0, 1), part.slice(1)]), [id, index]);
  for (let piece = 0; piece * PIECE < part.size; piece++) {
    const bytes = await part.slice(piece * PIECE, (piece + 1) * PIECE).arrayBuffer();
    if (!(await put(bytes, [id, index, piece]))) return false;
  }
  return true;
}

/**
 * Says of bytes that were stored what they are. Durable when it returns: only then may anybody say that the chunk is safe on
 * this device. Answers false when the upload was removed meanwhile.
 */
export async function putChunk(
  queue: QueueDb,
  chunk: Pick<Chunk, 'upload' | 'index' | 'size' | 'sha256'>,
): Promise<boolean> {
  return write(
    queue,
    ['uploads', 'chunks'],
    async (tx) => {
      if ((await tx.objectStore('uploads').getKey(chunk.upload)) === undefined) return false;
      await tx.objectStore('chunks').put({ ...chunk, landed: 0, state: 'staged' });
      return true;
    },
    'strict',
  );
}

async function change(queue: QueueDb, id: string, edit: (upload: Upload) => Upload): Promise<void> {
  await write(
    queue,
    ['uploads'],
    async (tx) => {
      const store = tx.objectStore('uploads');
      const upload = await store.get(id);
      if (upload) await store.put(edit(upload));
    },
    'strict',
  );
}

export const setStep = (queue: QueueDb, id: string, step: Step): Promise<void> =>
  change(queue, id, (upload) => ({ ...upload, step }));

export const setPaused = (queue: QueueDb, id: string, paused: boolean): Promise<void> =>
  change(queue, id, (upload) => ({ ...upload, paused }));

/** Notes why nothing is sent for now; null: it is being sent again. What was sent or parked meanwhile stays so. */
export const setWait = (queue: QueueDb, id: string, wait: Wait | null): Promise<void> =>
  change(queue, id, (upload) => {
    const { at } = upload.step;
    if (at === 'passing') return { ...upload, step: { at, wait } };
    if (at !== 'queued' && at !== 'waiting') return upload;
    return { ...upload, step: wait ? { at: 'waiting', ...wait } : { at: 'queued' } };
  });

/** `null`: the server does not know the upload any more. The epoch of one upload never goes back. */
export const setServer = (queue: QueueDb, id: string, server: ServerSide | null): Promise<void> =>
  change(queue, id, (upload) => {
    const same = server !== null && upload.server?.upload_id === server.upload_id ? upload.server : null;
    return { ...upload, server: server && { ...server, epoch: Math.max(server.epoch, same?.epoch ?? 0) } };
  });

export async function setLanded(queue: QueueDb, id: string, index: number, landed: number): Promise<void> {
  await write(queue, ['chunks'], async (tx) => {
    const chunk = await tx.objectStore('chunks').get([id, index]);
    if (chunk?.state === 'staged') await tx.objectStore('chunks').put({ ...chunk, landed });
  });
}

/** The server holds these, verified: the copies on this device go, their digests stay as proof of the file. */
export async function release(queue: QueueDb, id: string, indexes: readonly number[]): Promise<void> {
  if (indexes.length === 0) return;
  await write(
    queue,
    ['chunks', 'bytes'],
    async (tx) => {
      for (const index of indexes) {
        const chunk = await tx.objectStore('chunks').get([id, index]);
        if (chunk) await tx.objectStore('chunks').put({ ...chunk, landed: chunk.size, state: 'sent' });
        await tx.objectStore('bytes').delete(bytesOf(id, index));
      }
    },
    'strict',
  );
}

/**
 * These are on this device no more, and the server does not have them. Their digests stay, to know the file again. Answers
 * false when another sender has brought them to the server meanwhile: then nothing is missing.
 */
export async function lose(
  queue: QueueDb,
  id: string,
  indexes: readonly number[],
  why: IncompleteReason,
): Promise<boolean> {
  return write(
    queue,
    ['uploads', 'chunks', 'bytes'],
    async (tx) => {
      let lost = 0;
      for (const index of indexes) {
        const chunk = await tx.objectStore('chunks').get([id, index]);
        if (chunk?.state === 'sent' && why !== 'server-lost') continue;
        lost += 1;
        if (chunk) await tx.objectStore('chunks').put({ ...chunk, landed: 0, state: 'lost' });
        await tx.objectStore('bytes').delete(bytesOf(id, index));
      }
      const upload = await tx.objectStore('uploads').get(id);
      if (upload && lost > 0) await tx.objectStore('uploads').put({ ...upload, step: { at: 'incomplete', why } });
      return lost > 0;
    },
    'strict',
  );
}

/** A person removes an upload, sent or not. The only way that unsent bytes are given up. The server hears of it when it
 *  can be reached (cancelled.ts). */
export async function remove(queue: QueueDb, id: string): Promise<void> {
  await write(
    queue,
    ['uploads', 'chunks', 'bytes', 'device'],
    async (tx) => {
      const upload = await tx.objectStore('uploads').get(id);
      if (upload?.server && upload.step.at !== 'sent') {
        const known = await tx.objectStore('device').get('cancelled');
        const before = known?.key === 'cancelled' ? known.uploads : [];
        const one = { upload_id: upload.server.upload_id, user_id: upload.owner.user_id };
        await tx.objectStore('device').put({ key: 'cancelled', uploads: [...before, one] });
      }
      await tx.objectStore('uploads').delete(id);
      await tx.objectStore('chunks').delete(chunksOf(id));
      await tx.objectStore('bytes').delete(chunksOf(id));
    },
    'strict',
  );
}

export const openBody = (upload: Upload): OpenUpload => ({
  client_upload_id: upload.id,
  upload_type: upload.upload_type,
  name: upload.name,
  size: upload.size,
  task_id: upload.task_id,
  chunk_size: upload.chunk_size,
  ...(upload.upload_type === 'images' ? { files: upload.files } : {}),
  ...(upload.grouping?.length ? { grouping: upload.grouping } : {}),
});
