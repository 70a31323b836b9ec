// From a picked file to durable chunks: the browser copies one into the store, it is read back and hashed, and only then it
// is a chunk. Runs in a worker, under a Web Lock that dies with the tab: what was stored by then is safe, the rest is asked
// for again. A file larger than what the device lets us keep passes through it: a chunk is copied, sent, freed, and makes
// room for the next.
import { chunkLength } from '../../shared/protocol/upload.ts';
import type { PickedFile, QueueDb, Upload } from '../db.ts';
import { createDigester } from './digest.ts';
import { sendingOrder } from './plan.ts';
import {
  allUploads,
  chunkBytes,
  chunksFor,
  getUpload,
  type Keeping,
  putBytes,
  putChunk,
  setStep,
  totalChunks,
} from './queue.ts';

export type Staged =
  | { kind: 'staged' }
  /** not the file that was begun with: nothing was changed */
  | { kind: 'other-file'; detail: string }
  /** no room on this device, and nothing that could be sent to make some: what is stored stays */
  | { kind: 'no-room'; safe_chunks: number }
  /** the file changed or vanished while it was read */
  | { kind: 'unreadable'; safe_chunks: number }
  /** removed from the queue, or refused by the server, meanwhile */
  | { kind: 'removed' };

export interface StageDeps {
  keeping: Keeping;
  /** whether so many more bytes would fit on this device */
  hasRoom: (bytes: number) => Promise<boolean>;
  /** resolves when bytes may have left the device, or after some seconds */
  freed: () => Promise<void>;
}

/** Nothing is asked: every file is taken to fit until a write is refused. */
const TRY_AND_SEE: StageDeps = {
  keeping: 'blob',
  hasRoom: async () => true,
  freed: () => new Promise((resolve) => setTimeout(resolve, 1_000)),
};

export const sameFiles = (wanted: readonly PickedFile[], picked: readonly PickedFile[]): boolean =>
  wanted.length === picked.length &&
  wanted.every((file, i) => file.name === picked[i]?.name && file.size === picked[i]?.size);

const isQuota = (error: unknown): boolean => error instanceof Error && error.name === 'QuotaExceededError';

/**
 * Copies `files` (for images: one after the other) into the queue. May be run again with the same files: what is known of
 * them, also what was sent already, is proven equal by its digests, the rest is added.
 */
export async function stage(
  queue: QueueDb,
  id: string,
  files: readonly File[],
  deps: StageDeps = TRY_AND_SEE,
): Promise<Staged> {
  const upload = await getUpload(queue, id);
  if (!upload) return { kind: 'removed' };
  if (!sameFiles(upload.files, files)) return { kind: 'other-file', detail: 'its name or its size is another one' };
  const whole: Blob = files.length === 1 && files[0] ? files[0] : new Blob([...files]);
  const partAt = (index: number): Blob => {
    const start = index * upload.chunk_size;
    return whole.slice(start, start + chunkLength(upload.size, upload.chunk_size, index));
  };
  const digest = createDigester();
  const known = new Map((await chunksFor(queue, id)).map((chunk) => [chunk.index, chunk]));
  const safe = new Set([...known.values()].filter(({ state }) => state !== 'lost').map(({ index }) => index));
  const missing = (order: readonly number[]): number[] => order.filter((index) => !safe.has(index));
  const inFileOrder = Array.from({ length: totalChunks(upload) }, (_, index) => index);
  const size = (indexes: readonly number[]): number =>
    indexes.reduce((sum, index) => sum + chunkLength(upload.size, upload.chunk_size, index), 0);

  try {
    for (const chunk of known.values()) {
      if ((await digest(partAt(chunk.index))) !== chunk.sha256)
        return { kind: 'other-file', detail: 'it has the same name and size, but other contents' };
    }
    let passing = !(await deps.hasRoom(size(missing(inFileOrder))));
    // What passes through is sent while it is copied: its directory first, as always.
    const pass = (): number[] => missing(sendingOrder(upload.size, upload.chunk_size, []));
    await setStep(queue, id, passing ? { at: 'passing', wait: null } : { at: 'staging' });
    let order = passing ? pass() : missing(inFileOrder);
    for (let index = order.shift(); index !== undefined; index = order.shift()) {
      const stored = await storeWhenThereIsRoom(queue, { id, index, part: partAt(index), digest }, deps, async () => {
        if (!passing) await setStep(queue, id, { at: 'passing', wait: null });
        passing = true;
      });
      if (stored !== 'stored') {
        if (stored === 'removed') return { kind: 'removed' };
        await setStep(queue, id, { at: 'incomplete', why: 'no-room' });
        return { kind: 'no-room', safe_chunks: safe.size };
      }
      safe.add(index);
      if (passing) order = pass();
    }
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    await setStep(queue, id, { at: 'incomplete', why: 'file-changed' });
    return { kind: 'unreadable', safe_chunks: safe.size };
  }
  const step = (await getUpload(queue, id))?.step.at;
  // Only what this copying has set: the server may have had its own say on what passed through.
  if (step === 'staging' || step === 'passing') await setStep(queue, id, { at: 'queued' });
  return { kind: 'staged' };
}

/** Left free, so that the sender can write down what it has sent: at the very edge even that would be refused. */
const HEADROOM = 4 * 2 ** 20;

/** A browser gives the room of deleted bytes back late: so often `freed` is waited for although nothing is left to send. */
const LATE = 12;

interface Part {
  id: string;
  index: number;
  /** of the picked file */
  part: Blob;
  digest: (blob: Blob) => Promise<string>;
}

/** What is hashed is what was stored: a file that changes meanwhile cannot come between. */
async function store(
  queue: QueueDb,
  { id, index, part, digest }: Part,
  keeping: Keeping,
): Promise<'stored' | 'removed'> {
  if (!(await putBytes(queue, id, index, part, keeping))) return 'removed';
  const kept = await chunkBytes(queue, id, index);
  if (!kept) return 'removed';
  if (kept.size !== part.size) throw new Error(`of chunk ${index} ${kept.size} bytes of ${part.size} were stored`);
  const sha256 = await digest(kept).catch((cause: unknown) => {
    throw new Error(`chunk ${index} was stored and cannot be read back`, { cause });
  });
  return (await putChunk(queue, { upload: id, index, size: kept.size, sha256 })) ? 'stored' : 'removed';
}

/** Stores one chunk. Refused for want of room it waits for bytes to be sent and freed, as long as there are any. */
async function storeWhenThereIsRoom(
  queue: QueueDb,
  part: Part,
  deps: StageDeps,
  onFull: () => Promise<void>,
): Promise<'stored' | 'removed' | 'no-room'> {
  for (let empty = 0; ; ) {
    try {
      if (await deps.hasRoom(part.part.size + HEADROOM)) return await store(queue, part, deps.keeping);
    } catch (error) {
      if (!isQuota(error)) {
        // A transaction does not say what is wrong with a file that it could not copy: the file does, when it is read.
        await part.part.arrayBuffer();
        throw error;
      }
    }
    const chunks = await queue.getAll('chunks');
    if (!chunks.some(({ state }) => state === 'staged')) empty += chunks.length > 0 ? 1 : LATE;
    if (empty >= LATE) return 'no-room';
    const at = (await getUpload(queue, part.id))?.step.at;
    if (at !== 'staging' && at !== 'passing') return 'removed';
    await onFull();
    await deps.freed();
  }
}

/** A `File` whose file was touched after it was picked refuses to be read. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'NotReadableError' || error.name === 'NotFoundError');

export const stagingLock = (id: string): string => `stage:${id}`;

/** Uploads that say `staging` or `passing` although no tab copies them: that tab is gone. `isHeld` asks the lock manager. */
export async function findInterrupted(queue: QueueDb, isHeld: (lock: string) => boolean): Promise<Upload[]> {
  const stopped = (await allUploads(queue)).filter(
    ({ id, step }) => (step.at === 'staging' || step.at === 'passing') && !isHeld(stagingLock(id)),
  );
  for (const upload of stopped) {
    const chunks = await chunksFor(queue, upload.id);
    // Killed between the last chunk and the step: nothing is missing.
    const whole = chunks.filter(({ state }) => state !== 'lost').length === totalChunks(upload);
    await setStep(queue, upload.id, whole ? { at: 'queued' } : { at: 'incomplete', why: 'interrupted' });
  }
  return stopped;
}
