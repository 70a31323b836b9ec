// Bytes that come in are written where they belong: into the upload's one preallocated file, at the chunk's place. A
// chunk is answered as verified only after its hash is right, the file is synced and the ledger has committed, in this
// order; until then it may be sent again, from where it broke off.
import { createHash } from 'node:crypto';
import { finished, type Readable } from 'node:stream';
import { type ChunkAnswer, chunkCount, chunkLength } from '../../shared/protocol/upload.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { RequestRefused, refuse } from '../problem.ts';
import type { Announce } from '../progress/announce.ts';
import type { BlobFile, Blobs } from './blobs.ts';
import type { Lease, Leases } from './leases.ts';
import { chunkRow, recordLanded, recordVerified, verifiedCount } from './ledger.ts';
import type { RangeWriter } from './writing.ts';

export interface ChunkRequest {
  chunk_index: number;
  total_chunks: number;
  /** where in the chunk the body starts */
  offset: number;
  /** of the whole chunk */
  sha256: string;
  epoch: number | undefined;
}

export interface LandingDeps {
  db: Database;
  blobs: Blobs;
  announce: Announce;
  leases: Leases;
}

async function drain(stream: Readable): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of stream) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Lands one request's bytes of a chunk. Resolves when they are as safe as the answer says. */
export async function landChunk(
  { db, blobs, announce, leases }: LandingDeps,
  upload: UploadsTable,
  request: ChunkRequest,
  body: Readable,
): Promise<ChunkAnswer> {
  const index = request.chunk_index;
  const total = chunkCount(upload.size, upload.chunk_size);
  const name = `Chunk ${index} of upload ${upload.upload_id}`;
  if (request.total_chunks !== total) {
    refuse(
      'UPLOAD_MISMATCH',
      `The request says ${request.total_chunks} chunks, but ${upload.name} has ${total} chunks of ${upload.chunk_size} bytes. Ask GET /api/batches/uploads/${upload.upload_id} and cut the file on that grid.`,
    );
  }
  if (index >= total) {
    refuse('CHUNK_OUT_OF_RANGE', `${name} lies beyond the end: the last one is ${total - 1}.`);
  }
  const length = chunkLength(upload.size, upload.chunk_size, index);
  if (request.offset >= length) {
    refuse('CHUNK_OUT_OF_RANGE', `${name} has ${length} bytes; nothing can start at ${request.offset}.`);
  }
  if (request.epoch !== undefined && request.epoch < upload.epoch) {
    refuse(
      'STALE_EPOCH',
      `Upload ${upload.upload_id} is at epoch ${upload.epoch}, this request at ${request.epoch}. Ask what the server holds and go on from there.`,
    );
  }
  const answer = (landed: number, verified: boolean, duplicate: boolean, chunks_verified: number): ChunkAnswer => ({
    upload_id: upload.upload_id,
    batch_id: upload.batch_id,
    chunk_index: index,
    landed,
    verified,
    duplicate,
    chunks_verified,
    total_chunks: total,
  });

  const inLedger = () => chunkRow(db.sql, upload.upload_id, index).executeTakeFirst();
  const verifiedBefore = async (): Promise<ChunkAnswer> => {
    // The body is read to its end all the same: a browser takes an early answer for a broken line.
    const sent = await drain(body);
    // That may take minutes, in which the chunk can be taken back, or the upload given up.
    const row = await inLedger();
    if (row?.state !== 'verified') {
      refuse('CHUNK_BUSY', `${name} was taken back while it was sent again. Ask what the server holds and go on.`, {
        retryAfter: 1,
      });
    }
    if (row.sha256 !== request.sha256) {
      refuse(
        'CHUNK_CONFLICT',
        `${name} is verified with SHA-256 ${row.sha256}; other bytes are refused. If the file has changed, queue it as a new upload.`,
      );
    }
    if (request.offset === 0 && sent.bytes === length && sent.sha256 !== request.sha256) {
      refuse(
        'CHUNK_HASH_MISMATCH',
        `The bytes sent for chunk ${index} do not have the SHA-256 that was sent with them. The verified chunk on the server is untouched.`,
      );
    }
    return answer(length, true, true, await verifiedCount(db.sql, upload.upload_id));
  };
  if ((await inLedger())?.state === 'verified') return verifiedBefore();
  if (upload.state !== 'open') {
    refuse('CONFLICT', `Upload ${upload.upload_id} is ${upload.state}: no more bytes can land in it.`);
  }

  const lease = await leases.take(upload, index, request.sha256, request.epoch ?? upload.epoch, () =>
    body.destroy(
      new RequestRefused(
        'STALE_EPOCH',
        `${name} was taken over by a newer request. Ask what the server holds and go on.`,
      ),
    ),
  );
  // The body may break off before it is read; whoever reads it then hears of it.
  body.on('error', () => undefined);
  let file: BlobFile | undefined;
  let range: RangeWriter | undefined;
  try {
    // Another request was first, between the look and the lease.
    if (lease.chunk.state === 'verified') return await verifiedBefore();
    if (request.offset > lease.chunk.landed) {
      refuse(
        'CONFLICT',
        `${name} has ${lease.chunk.landed} bytes on the server, so it cannot go on at ${request.offset}. Send it from byte ${lease.chunk.landed}.`,
        { landed: lease.chunk.landed },
      );
    }
    file = await blobs.open(upload.upload_id, 'write');
    const base = index * upload.chunk_size;
    range = file.write(base, base + request.offset);
    const keep = (landed: number) =>
      recordLanded(db, upload.upload_id, index, lease.id, Math.max(landed, lease.chunk.landed));
    const end = await receive(file, range, length, request.offset, body, lease, name, keep);
    if (end.landed < length || end.broken) {
      if (lease.valid()) await keep(end.landed);
      if (end.broken) throw end.broken;
      return answer(
        Math.max(end.landed, lease.chunk.landed),
        false,
        false,
        await verifiedCount(db.sql, upload.upload_id),
      );
    }
    const sha256 = await range.sha256();
    if (sha256 !== request.sha256) {
      await recordLanded(db, upload.upload_id, index, lease.id, 0);
      refuse(
        'CHUNK_HASH_MISMATCH',
        `${name} arrived with SHA-256 ${sha256}, but ${request.sha256} was announced. Nothing of it was kept: read it again from its source and send it from byte 0.`,
        { landed: 0 },
      );
    }
    await file.datasync();
    needLease(lease, name);
    const verified = await recordVerified(db, upload, index, lease.id);
    lease.freed();
    announce(verified.logged);
    return answer(length, true, false, verified.chunks_verified);
  } finally {
    range?.end();
    try {
      await file?.close();
    } finally {
      await lease.release();
    }
  }
}

/** Has `take` look at each piece of a body, one after the other; a promise it returns is waited for. Rejects with what it
 *  throws, or with why the body broke off. A `for await` would make several promises of each piece as well. */
function eachPiece(body: Readable, take: (piece: Buffer) => Promise<void> | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let taken: Promise<void> | undefined;
    const stop = (error: unknown): void => {
      reject(error);
      body.off('data', look);
      body.destroy();
    };
    finished(body, (error) => {
      const end = error ? () => reject(error) : resolve;
      // Nothing is being taken any more when this is over.
      if (taken === undefined) end();
      else taken.then(end, end);
    });
    const look = (piece: Buffer): void => {
      try {
        taken = take(piece);
      } catch (error) {
        stop(error);
        return;
      }
      if (taken === undefined) return;
      body.pause();
      taken.then(() => body.resume(), stop);
    };
    body.on('data', look);
    body.resume();
  });
}

function needLease(lease: Lease, name: string): void {
  if (lease.valid()) return;
  refuse('CHUNK_BUSY', `${name} was taken over while it landed. Ask what the server holds and go on.`, {
    retryAfter: 1,
  });
}

interface Received {
  /** bytes of the chunk, from its start, that are written */
  landed: number;
  /** why the body broke off, if it did */
  broken: Error | null;
}

/** The ledger is told how far the chunk is after as many bytes, but not more often than this: a killed server costs what
 *  came in since, and a fast line is not held up by commits. */
const KEEP_BYTES = 8 * 2 ** 20;
const KEEP_MS = 3000;
/** The disk is set to work after as many bytes while more come in: a chunk's last sync, which its sender waits for, then
 *  has little left to do. */
const SYNC_BYTES = 32 * 2 ** 20;

async function receive(
  file: BlobFile,
  range: RangeWriter,
  length: number,
  offset: number,
  body: Readable,
  lease: Lease,
  name: string,
  keep: (landed: number) => Promise<void>,
): Promise<Received> {
  let kept = { landed: offset, at: performance.now() };
  let synced = offset;
  let syncing: Promise<void> | null = null;
  let syncFailed: Error | null = null;

  /** Looks after what has landed. Returns what to wait for, if anything: this is asked for every piece of the body. */
  const minded = (): Promise<void> | undefined => {
    const landed = offset + range.written;
    if (syncFailed) throw syncFailed;
    if (syncing === null && landed - synced >= SYNC_BYTES) {
      synced = landed;
      syncing = file
        .datasync()
        // A disk tells an open file of its failure once: after this, the last sync would not hear of it.
        .catch((error: Error) => {
          syncFailed = error;
        })
        .finally(() => {
          syncing = null;
        });
    }
    const at = performance.now();
    if (landed - kept.landed >= KEEP_BYTES && at - kept.at >= KEEP_MS && landed < length) {
      kept = { landed, at };
      return keep(landed);
    }
    return undefined;
  };
  let broken: Error | null = null;
  try {
    let received = offset;
    await eachPiece(body, (piece) => {
      lease.moved();
      received += piece.length;
      if (received > length) {
        refuse(
          'CHUNK_OUT_OF_RANGE',
          `${name} has ${length} bytes, but more were sent. Cut the file on the grid of the upload.`,
        );
      }
      needLease(lease, name);
      const room = range.push(piece);
      return room === undefined ? minded() : room.then(minded);
    });
    needLease(lease, name);
    await range.flush();
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
    // What has come of a body that broke off is worth keeping: a line that drops often gets on all the same.
    if (lease.valid()) await range.flush().catch(() => undefined);
  }
  // Nothing of ours may be under way any more when the lease is given back.
  await range.idle();
  await syncing;
  return { landed: offset + range.written, broken: broken ?? syncFailed };
}
