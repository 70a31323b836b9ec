// Sealing: all chunks are verified, so the file is whole. Its directory is looked at before the batch goes on, so that
// what cannot be read is refused here, with the reason, and not after an hour in a queue.

import type * as v from 'valibot';
import type { ProblemCode } from '../../shared/protocol/problem.ts';
import { chunkCount, chunkLength, type SealAnswer } from '../../shared/protocol/upload.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { failBatch } from '../batches/fail.ts';
import { move } from '../batches/life.ts';
import { refuse } from '../problem.ts';
import type { Announce } from '../progress/announce.ts';
import { endStage, tell } from '../progress/log.ts';
import type { Blobs } from './blobs.ts';
import { wholeFile } from './landed.ts';
import { unverify, verifiedCount } from './ledger.ts';
import { readDirectory } from './zip.ts';

export interface SealDeps {
  db: Database;
  blobs: Blobs;
  announce: Announce;
  /** wakes the pipeline; may be lost, the reconciler finds the batch anyway */
  wake: (batchId: string) => void;
}

type Sealed = v.InferOutput<typeof SealAnswer>;

/** Seals an upload; any number of times gives the same answer. Refuses with `UPLOAD_INCOMPLETE` while chunks are missing,
 *  and with the archive's own fault when it cannot be read. */
export async function seal(deps: SealDeps, upload: UploadsTable): Promise<Sealed> {
  const { db, blobs, announce, wake } = deps;
  const answer: Sealed = { upload_id: upload.upload_id, batch_id: upload.batch_id, state: 'sealed' };
  if (upload.state === 'sealed') return answer;
  if (upload.state === 'rejected') return rejected(upload.name, upload.reason ?? 'INTERNAL it was rejected');
  const total = chunkCount(upload.size, upload.chunk_size);
  const held = await verifiedCount(db.sql, upload.upload_id);
  if (held < total) {
    refuse(
      'UPLOAD_INCOMPLETE',
      `${total - held} of ${total} chunks of ${upload.name} have not arrived. GET /api/batches/uploads/${upload.upload_id} says which; send them, then seal.`,
    );
  }
  announce(await beginSealing(deps, upload, total));
  await recheckContested(db, blobs, upload);
  const reason = await lookInside(blobs, upload);
  const logged = await db.write(async (tx) => {
    const now = Date.now();
    const done = await tx
      .updateTable('uploads')
      .set({ state: reason ? 'rejected' : 'sealed', reason })
      .where('upload_id', '=', upload.upload_id)
      .where('state', '=', 'open')
      .executeTakeFirst();
    if (done.numUpdatedRows !== 1n) return [];
    if (reason) return failBatch(tx, upload.batch_id, `${upload.name}: ${sentence(reason)}`, now);
    await tx.updateTable('batches').set({ uploaded_at: now }).where('batch_id', '=', upload.batch_id).execute();
    await move(tx, upload.batch_id, 'uploaded');
    const message = `Upload complete: ${total} ${total === 1 ? 'chunk' : 'chunks'} verified`;
    const told = await tell(tx, upload.batch_id, { stage: 'uploading', message, percentage: 100 }, now);
    await endStage(tx, upload.batch_id, 'uploading', now);
    return told;
  });
  announce(logged);
  if (reason) return rejected(upload.name, reason);
  wake(upload.batch_id);
  return answer;
}

/** Says that sealing has begun, once however often it is asked for. */
const beginSealing = ({ db }: SealDeps, upload: UploadsTable, total: number) =>
  db.write(async (tx) => {
    const at = Date.now();
    const first = await tx
      .updateTable('uploads')
      .set({ sealing_at: at })
      .where('upload_id', '=', upload.upload_id)
      .where('sealing_at', 'is', null)
      .executeTakeFirst();
    if (first.numUpdatedRows !== 1n) return [];
    const message = `All ${total} ${total === 1 ? 'chunk' : 'chunks'} received, checking the file`;
    return tell(tx, upload.batch_id, { stage: 'uploading', message, percentage: 99.9 }, at);
  });

/** Kept in the ledger as `CODE what is wrong`. */
const sentence = (reason: string): string => reason.slice(reason.indexOf(' ') + 1);
const rejected = (name: string, reason: string): never =>
  refuse(reason.slice(0, reason.indexOf(' ')) as ProblemCode, `${name}: ${sentence(reason)}.`);

/** A chunk that two senders wrote to is hashed once more: a write that was under way when its lease ran out may have
 *  landed after the hash was taken. */
async function recheckContested(db: Database, blobs: Blobs, upload: UploadsTable): Promise<void> {
  const contested = await db.sql
    .selectFrom('chunks')
    .select(['chunk_index', 'sha256'])
    .where('upload_id', '=', upload.upload_id)
    .where('contested', '=', 1)
    .execute();
  if (contested.length === 0) return;
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    for (const { chunk_index, sha256 } of contested) {
      const start = chunk_index * upload.chunk_size;
      const end = start + chunkLength(upload.size, upload.chunk_size, chunk_index);
      if ((await file.sha256(start, end)) === sha256) continue;
      await db.write((tx) => unverify(tx, upload.upload_id, chunk_index));
      refuse(
        'UPLOAD_INCOMPLETE',
        `Chunk ${chunk_index} of ${upload.name} was damaged by two senders at once. Send it again, then seal.`,
      );
    }
  } finally {
    await file.close();
  }
}

type Contents = Pick<UploadsTable, 'upload_id' | 'upload_type' | 'name' | 'size'>;

/** Refuses a file, all of whose bytes are there, in which there is nothing to read. */
export async function refuseUnreadable(blobs: Blobs, upload: Contents): Promise<void> {
  const reason = await lookInside(blobs, upload);
  if (reason) rejected(upload.name, reason);
}

/** Null when there are pages to read, else `CODE what is wrong`. */
async function lookInside(blobs: Blobs, upload: Contents): Promise<string | null> {
  if (upload.upload_type === 'images') return null;
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    const directory = await readDirectory(wholeFile(file, upload.size));
    if (directory.ok) return null;
    return directory.code === 'NOT_LANDED'
      ? 'ZIP_REFUSED its directory points outside the file. Pack the scans again'
      : `${directory.code} ${directory.reason}`;
  } finally {
    await file.close();
  }
}
