// From a picked file to durable chunks: read, hash, store, one transaction each. Runs in a worker, under a Web Lock that
// dies with the tab: what was stored by then is safe, the rest is asked for again.
import { chunkLength } from '../../shared/protocol/upload.ts';
import type { PickedFile, QueueDb, Upload } from '../db.ts';
import { allUploads, chunksFor, getUpload, putChunk, setStep, totalChunks } from './queue.ts';

export type Staged =
  | { kind: 'staged' }
  /** not the file that was begun with: nothing was changed */
  | { kind: 'other-file'; detail: string }
  /** no room on this device: what is stored stays */
  | { kind: 'no-room'; safe_chunks: number }
  /** the file changed or vanished while it was read */
  | { kind: 'unreadable'; safe_chunks: number }
  /** removed from the queue meanwhile */
  | { kind: 'removed' };

const hex = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
export const sha256 = async (bytes: ArrayBuffer): Promise<string> => hex(await crypto.subtle.digest('SHA-256', bytes));

export const sameFiles = (wanted: readonly PickedFile[], picked: readonly PickedFile[]): boolean =>
  wanted.length === picked.length &&
  wanted.every((file, i) => file.name === picked[i]?.name && file.size === picked[i]?.size);

const isQuota = (error: unknown): boolean => error instanceof Error && error.name === 'QuotaExceededError';

/**
 * Copies `files` (for images: one after the other) into the queue. May be run again with the same files: what is there is
 * proven equal by its digests, the rest is added.
 */
export async function stage(queue: QueueDb, id: string, files: readonly File[]): Promise<Staged> {
  const upload = await getUpload(queue, id);
  if (!upload) return { kind: 'removed' };
  if (!sameFiles(upload.files, files)) return { kind: 'other-file', detail: 'its name or its size is another one' };
  const whole: Blob = files.length === 1 && files[0] ? files[0] : new Blob([...files]);
  const read = (index: number): Promise<ArrayBuffer> => {
    const start = index * upload.chunk_size;
    return whole.slice(start, start + chunkLength(upload.size, upload.chunk_size, index)).arrayBuffer();
  };
  const known = new Map((await chunksFor(queue, id)).map((chunk) => [chunk.index, chunk]));
  let safe = known.size;
  try {
    for (const chunk of known.values()) {
      if ((await sha256(await read(chunk.index))) !== chunk.sha256)
        return { kind: 'other-file', detail: 'it has the same name and size, but other contents' };
    }
    await setStep(queue, id, { at: 'staging' });
    for (let index = 0; index < totalChunks(upload); index++) {
      if (known.has(index)) continue;
      // One chunk at a time: reading ahead would hold the next 50 MB in memory for no gain, hashing is the slow part.
      const bytes = await read(index);
      const digest = await sha256(bytes);
      const chunk = { upload: id, index, size: bytes.byteLength, sha256: digest };
      if (!(await putChunk(queue, chunk, new Blob([bytes])))) return { kind: 'removed' };
      safe += 1;
    }
  } catch (error) {
    const why = isQuota(error) ? 'no-room' : 'file-changed';
    if (why === 'file-changed' && !isUnreadable(error)) throw error;
    await setStep(queue, id, { at: 'incomplete', why });
    return { kind: why === 'no-room' ? 'no-room' : 'unreadable', safe_chunks: safe };
  }
  await setStep(queue, id, { at: 'queued' });
  return { kind: 'staged' };
}

/** A `File` whose file was touched after it was picked refuses to be read. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'NotReadableError' || error.name === 'NotFoundError');

export const stagingLock = (id: string): string => `stage:${id}`;

/** Uploads that say `staging` although no tab copies them: that tab is gone. `isHeld` asks the lock manager. */
export async function findInterrupted(queue: QueueDb, isHeld: (lock: string) => boolean): Promise<Upload[]> {
  const stopped = (await allUploads(queue)).filter(
    (upload) => upload.step.at === 'staging' && !isHeld(stagingLock(upload.id)),
  );
  for (const upload of stopped) {
    const chunks = await chunksFor(queue, upload.id);
    // Killed between the last chunk and the step: nothing is missing.
    const whole = chunks.length === totalChunks(upload);
    await setStep(queue, upload.id, whole ? { at: 'queued' } : { at: 'incomplete', why: 'interrupted' });
  }
  return stopped;
}
