// The ledger of uploads: which chunks are on the server's disk, hashed and synced. It is the truth that every sender
// asks before it sends.
import type { UploadType } from '../../shared/protocol/upload.ts';
import {
  CHUNK_SIZE,
  chunkCount,
  chunkLength,
  LARGEST_FILE,
  type PageCorrection,
  type UploadAnswer,
} from '../../shared/protocol/upload.ts';
import type { Database, Tx, UploadsTable } from '../adapters/database.ts';
import { sha256, type User } from '../auth/sessions.ts';
import { tellBatch } from '../changes.ts';
import { refuse } from '../problem.ts';
import { type Logged, tell } from '../progress/log.ts';

/** Who moves bytes: a signed-in user, or the bearer of one upload's own token. */
export type Sender = { kind: 'user'; user: User } | { kind: 'upload'; upload_id: string };

/** An upload on which nothing has moved for so long is given up; the tablet still has its bytes and may begin again. */
export const EXPIRY_DAYS = 14;
/** Room that stays free for the database, the queue and the logs. */
export const DISK_FLOOR = 256 * 2 ** 20;

export interface NewUpload {
  client_upload_id: string;
  upload_type: UploadType;
  name: string;
  size: number;
  chunk_size: number;
  task_id: string | null;
  files: { name: string; size: number }[] | null;
  /** what a person said of its groups, looking into it before it was sent */
  grouping?: PageCorrection[] | undefined;
}

/** Tells what is wrong with an upload before a byte of it has come. */
export function checkNewUpload(upload: NewUpload): void {
  if (upload.size > LARGEST_FILE) {
    refuse(
      'UPLOAD_TOO_LARGE',
      `${upload.name} has ${upload.size} bytes; the limit is 10 GB (${LARGEST_FILE}). Split it and queue the parts.`,
    );
  }
  const field = (name: string, message: string): never =>
    refuse('VALIDATION_FAILED', `${name}: ${message}`, { errors: [{ field: name, message }] });
  if (upload.upload_type === 'zip_with_qr' && upload.task_id !== null) {
    field('task_id', 'the covers name the tasks of zip_with_qr: leave it out, or use zip_without_qr');
  }
  if (upload.upload_type !== 'zip_with_qr' && upload.task_id === null) {
    field('task_id', `${upload.upload_type} needs the task id, 8 digits`);
  }
  if (upload.upload_type === 'images') {
    if (!upload.files?.length) field('files', 'images needs the list of files, each with name and size in bytes');
    const sum = upload.files?.reduce((total, file) => total + file.size, 0);
    if (sum !== upload.size) field('files', `the sizes add up to ${sum}, but size says ${upload.size}`);
  }
}

/** Writes the rows of a new batch and its upload. */
export async function insertUpload(
  db: Database,
  tx: Tx,
  user: User,
  upload: NewUpload,
  ids: { upload_id: string; batch_id: string; token: string },
): Promise<void> {
  const now = Date.now();
  await tx
    .insertInto('batches')
    .values({
      batch_id: ids.batch_id,
      batch_no: await db.nextSeq(tx, 'batch_no'),
      name: upload.name,
      upload_type: upload.upload_type,
      task_id: upload.task_id,
      status: 'uploading',
      resume_status: null,
      stage: 'uploading',
      message: 'Waiting for the first byte',
      progress_percentage: 0,
      error_details: null,
      size: upload.size,
      uploaded_by: user.user_id,
      centre_id: user.centres[0] ?? null,
      created_at: now,
      first_byte_at: null,
      uploaded_at: null,
      processing_started_at: null,
      processing_completed_at: null,
      deleted_at: null,
      directory_known: 0,
      total_pages: 0,
      covers: 0,
      blank_pages: 0,
      done_pages: 0,
      failed_sheets: 0,
      doubtful_sheets: 0,
      total_answers: 0,
      event_seq: 0,
      rev: 0,
    })
    .execute();
  await tx
    .insertInto('uploads')
    .values({
      upload_id: ids.upload_id,
      batch_id: ids.batch_id,
      client_upload_id: upload.client_upload_id,
      owner: user.user_id,
      token_hash: sha256(ids.token),
      name: upload.name,
      upload_type: upload.upload_type,
      size: upload.size,
      chunk_size: upload.chunk_size,
      files: upload.files && JSON.stringify(upload.files),
      grouping: upload.grouping?.length ? JSON.stringify(upload.grouping) : null,
      state: 'open',
      sealing_at: null,
      reason: null,
      epoch: 1,
      created_at: now,
      last_byte_at: null,
    })
    .execute();
  await tellBatch(tx, ids.batch_id);
}

const unknown = (uploadId: string): never =>
  refuse(
    'UPLOAD_NOT_FOUND',
    `There is no upload ${uploadId}. Open it with POST /api/batches/uploads and send its chunks again.`,
  );

/** The upload, when it exists and `sender` may move its bytes. */
export async function findUpload(db: Database, sender: Sender, uploadId: string): Promise<UploadsTable> {
  const upload = await db.sql.selectFrom('uploads').selectAll().where('upload_id', '=', uploadId).executeTakeFirst();
  if (!upload) return unknown(uploadId);
  const mine =
    sender.kind === 'upload'
      ? sender.upload_id === uploadId
      : upload.owner === sender.user.user_id || sender.user.role === 'admin';
  if (!mine) return unknown(uploadId);
  if (upload.state === 'deleted') {
    refuse('UPLOAD_GONE', `Upload ${uploadId} was deleted. Open a new one if the file is still wanted.`);
  }
  if (upload.state === 'expired') {
    refuse(
      'UPLOAD_GONE',
      `Upload ${uploadId} expired ${EXPIRY_DAYS} days after its last byte. Open it again with the same client_upload_id and send its chunks anew.`,
    );
  }
  return upload;
}

/** What the server holds of an upload. */
export async function holdings(db: Database, upload: UploadsTable): Promise<UploadAnswer> {
  const chunks = await db.sql
    .selectFrom('chunks')
    .select(['chunk_index', 'state', 'landed'])
    .where('upload_id', '=', upload.upload_id)
    .orderBy('chunk_index')
    .execute();
  const held: [number, number][] = [];
  const partial: Record<string, number> = {};
  for (const { chunk_index, state, landed } of chunks) {
    const last = held.at(-1);
    if (state !== 'verified') {
      if (landed > 0) partial[chunk_index] = landed;
    } else if (last && last[1] === chunk_index - 1) {
      last[1] = chunk_index;
    } else {
      held.push([chunk_index, chunk_index]);
    }
  }
  return {
    upload_id: upload.upload_id,
    batch_id: upload.batch_id,
    state: upload.state as UploadAnswer['state'],
    name: upload.name,
    size: upload.size,
    chunk_size: upload.chunk_size,
    total_chunks: chunkCount(upload.size, upload.chunk_size),
    epoch: upload.epoch,
    held,
    partial,
    limits: { largest_file: LARGEST_FILE, chunk_size: CHUNK_SIZE },
    reason: upload.reason,
  };
}

/** Notes how many bytes from the chunk's start are written, under the lease. A chunk that goes on from there is hashed
 *  as a whole from the file, so bytes that a power cut took are noticed. */
export async function recordLanded(
  db: Database,
  uploadId: string,
  index: number,
  leaseId: string,
  landed: number,
): Promise<void> {
  const now = Date.now();
  await db.write(async (tx) => {
    await tx
      .updateTable('chunks')
      .set({ landed })
      .where('upload_id', '=', uploadId)
      .where('chunk_index', '=', index)
      .where('lease_id', '=', leaseId)
      .where('state', '=', 'landing')
      .execute();
    await tx.updateTable('uploads').set({ last_byte_at: now }).where('upload_id', '=', uploadId).execute();
  });
}

export interface Verified {
  logged: Logged[];
  chunks_verified: number;
  total_chunks: number;
}

/** Commits a chunk to the ledger, and says so in the batch's log. Its bytes are hashed and synced by now. */
export async function recordVerified(
  db: Database,
  upload: UploadsTable,
  index: number,
  leaseId: string,
): Promise<Verified> {
  const total = chunkCount(upload.size, upload.chunk_size);
  const length = chunkLength(upload.size, upload.chunk_size, index);
  return db.write(async (tx) => {
    const now = Date.now();
    const done = await tx
      .updateTable('chunks')
      .set({ state: 'verified', landed: length, verified_at: now, lease_id: null, lease_until: null })
      .where('upload_id', '=', upload.upload_id)
      .where('chunk_index', '=', index)
      .where('lease_id', '=', leaseId)
      .where('state', '=', 'landing')
      .executeTakeFirst();
    if (done.numUpdatedRows !== 1n) {
      refuse(
        'CHUNK_BUSY',
        `Chunk ${index} was taken over by another request while it landed. Ask what the server holds and go on.`,
        { retryAfter: 1 },
      );
    }
    await tx.updateTable('uploads').set({ last_byte_at: now }).where('upload_id', '=', upload.upload_id).execute();
    const chunks_verified = await verifiedCount(tx, upload.upload_id);
    const message = `Chunk ${index + 1}/${total} uploaded (${(length / 2 ** 20).toFixed(2)}MB)`;
    // 100 % is said when the upload is sealed.
    const percentage = Math.min(99.9, (chunks_verified / total) * 100);
    const logged = await tell(tx, upload.batch_id, { stage: 'uploading', message, percentage }, now);
    return { logged, chunks_verified, total_chunks: total };
  });
}

/** The query for a chunk's row; there is none before the first byte. */
export const chunkRow = (tx: Pick<Tx, 'selectFrom'>, uploadId: string, index: number) =>
  tx.selectFrom('chunks').selectAll().where('upload_id', '=', uploadId).where('chunk_index', '=', index);

export async function verifiedCount(tx: Pick<Tx, 'selectFrom'>, uploadId: string): Promise<number> {
  const row = await tx
    .selectFrom('chunks')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('upload_id', '=', uploadId)
    .where('state', '=', 'verified')
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** Takes a chunk back whose bytes are not what was verified, so that it is asked for again. */
export async function unverify(tx: Tx, uploadId: string, index: number): Promise<void> {
  await tx
    .updateTable('chunks')
    .set({ state: 'landing', landed: 0, contested: 0, verified_at: null })
    .where('upload_id', '=', uploadId)
    .where('chunk_index', '=', index)
    .execute();
}
