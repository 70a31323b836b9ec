// A batch in one request: the files of the body go one after the other into one blob, which is then an upload like any
// other, every chunk of it in the ledger. Until the rows are committed nobody was promised anything, so a request that
// breaks off, or brings nothing that can be read, leaves nothing behind.
import { randomUUID } from 'node:crypto';
import {
  CHUNK_SIZE,
  chunkCount,
  chunkLength,
  SINGLE_REQUEST_LIMIT,
  type UploadType,
} from '../../shared/protocol/upload.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { newToken, type User } from '../auth/sessions.ts';
import { refuse } from '../problem.ts';
import type { Announce } from '../progress/announce.ts';
import { beginStage, tell } from '../progress/log.ts';
import type { Blobs } from './blobs.ts';
import { checkNewUpload, insertUpload } from './ledger.ts';
import type { IncomingFile } from './multipart.ts';
import { refuseUnreadable } from './seal.ts';
import type { RangeWriter } from './writing.ts';

/** A blob that grows with the body. */
export async function beginWhole(blobs: Blobs) {
  const upload_id = randomUUID();
  await blobs.create(upload_id, 0);
  const file = await blobs.open(upload_id, 'write');
  const startedAt = Date.now();
  const files: { name: string; size: number }[] = [];
  const hashes: string[] = [];
  let size = 0;
  let range: RangeWriter | null = null;
  const endChunk = async (): Promise<void> => {
    if (!range) return;
    await range.flush();
    hashes.push(await range.sha256());
    range.end();
    range = null;
  };

  return {
    /** Appends one file of the body. */
    async append({ name, stream }: IncomingFile): Promise<void> {
      const began = size;
      for await (const piece of stream as AsyncIterable<Buffer>) {
        if (size + piece.length >= SINGLE_REQUEST_LIMIT) {
          refuse(
            'UPLOAD_TOO_LARGE',
            `One request takes less than 100 MB, and ${name} goes beyond it. Send it in chunks: open it with POST /api/batches/uploads.`,
          );
        }
        for (let rest = piece; rest.length > 0; ) {
          range ??= file.write(size, size);
          const part = rest.subarray(0, CHUNK_SIZE - (size % CHUNK_SIZE));
          await range.push(part);
          size += part.length;
          rest = rest.subarray(part.length);
          if (size % CHUNK_SIZE === 0) await endChunk();
        }
      }
      files.push({ name: name || 'unnamed', size: size - began });
    },
    async discard(): Promise<void> {
      await range?.idle();
      range?.end();
      await file.close();
      await blobs.remove(upload_id);
    },
    /** Commits it as an upload whose chunks are all verified; the caller seals it. */
    async commit(
      db: Database,
      announce: Announce,
      user: User,
      upload_type: UploadType,
      task_id: string | null,
    ): Promise<UploadsTable> {
      const first = files[0];
      if (!first || size === 0) {
        return refuse(
          'VALIDATION_FAILED',
          'The body has no file with bytes in it. Send the ZIP as the field `file`, or each image as `files`.',
          {
            errors: [{ field: 'file', message: 'missing or empty' }],
          },
        );
      }
      if (upload_type !== 'images' && files.length > 1) {
        refuse(
          'VALIDATION_FAILED',
          `${upload_type} is one ZIP, but the body has ${files.length} files. Send one ZIP a request.`,
          {
            errors: [{ field: 'file', message: 'one ZIP only' }],
          },
        );
      }
      await endChunk();
      const name = files.length > 1 ? `${first.name} and ${files.length - 1} more` : first.name;
      const upload = {
        client_upload_id: randomUUID(),
        upload_type,
        name: name.slice(-255),
        size,
        chunk_size: CHUNK_SIZE,
        task_id,
        files: upload_type === 'images' ? files : null,
      };
      checkNewUpload(upload);
      await refuseUnreadable(blobs, { upload_id, ...upload });
      await file.datasync();
      const batch_id = randomUUID();
      const total = chunkCount(size, CHUNK_SIZE);
      const logged = await db.write(async (tx) => {
        await insertUpload(db, tx, user, upload, { upload_id, batch_id, token: newToken() });
        await tx.updateTable('batches').set({ first_byte_at: startedAt }).where('batch_id', '=', batch_id).execute();
        await beginStage(db, tx, batch_id, 'uploading', startedAt);
        const now = Date.now();
        await db.insertNew(
          tx,
          'chunks',
          hashes.map((sha256, chunk_index) => ({
            upload_id,
            chunk_index,
            state: 'verified',
            landed: chunkLength(size, CHUNK_SIZE, chunk_index),
            sha256,
            epoch: 1,
            contested: 0 as const,
            lease_id: null,
            lease_until: null,
            verified_at: now,
          })),
        );
        const told = [];
        for (let i = 0; i < total; i++) {
          const message = `Chunk ${i + 1}/${total} uploaded (${(chunkLength(size, CHUNK_SIZE, i) / 2 ** 20).toFixed(2)}MB)`;
          told.push(
            ...(await tell(
              tx,
              batch_id,
              { stage: 'uploading', message, percentage: Math.min(99.9, ((i + 1) / total) * 100) },
              now,
            )),
          );
        }
        return told;
      });
      await file.close();
      announce(logged);
      return db.sql.selectFrom('uploads').selectAll().where('upload_id', '=', upload_id).executeTakeFirstOrThrow();
    },
  };
}
