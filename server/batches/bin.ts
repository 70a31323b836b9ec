// The bin: a deleted batch goes there and comes back from there; purging takes every row and byte of it for good.
import type { BatchesTable, Database, Tx, UploadsTable } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { User } from '../auth/sessions.ts';
import { scopeOf, tellBatch } from '../changes.ts';
import { refuse } from '../problem.ts';
import type { Blobs } from '../uploads/blobs.ts';

export async function binBatch(db: Database, user: User, batch: BatchesTable): Promise<void> {
  await db.write(async (tx) => {
    const done = await tx
      .updateTable('batches')
      .set({ deleted_at: Date.now() })
      .where('batch_id', '=', batch.batch_id)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    if (done.numUpdatedRows !== 1n) return;
    await audit(db, tx, { ...by(user), action: 'batch.delete', subject: `batch:${batch.batch_id}` });
    await tellBatch(tx, batch.batch_id);
  });
}

/** Refuses a batch that is not in the bin. A batch that was being read goes on where it was. */
export async function restoreBatch(db: Database, user: User, batch: BatchesTable): Promise<void> {
  await db.write(async (tx) => {
    const done = await tx
      .updateTable('batches')
      .set({ deleted_at: null })
      .where('batch_id', '=', batch.batch_id)
      .where('deleted_at', 'is not', null)
      .executeTakeFirst();
    if (done.numUpdatedRows !== 1n)
      refuse('CONFLICT', `Batch ${batch.batch_id} is not in the bin, so there is nothing to restore.`);
    await audit(db, tx, { ...by(user), action: 'batch.restore', subject: `batch:${batch.batch_id}` });
    await tellBatch(tx, batch.batch_id);
  });
}

/** Removes a batch for good. The rows go in one transaction, the bytes after it: a crash between the two leaves a file
 *  without a row, which the next start removes. */
export async function purgeBatch(db: Database, blobs: Blobs, user: User, batch: BatchesTable): Promise<void> {
  const { batch_id } = batch;
  const uploads = await db.sql.selectFrom('uploads').select('upload_id').where('batch_id', '=', batch_id).execute();
  await db.write(async (tx) => {
    // Locked first: a worker that is committing this batch's pages is waited for, and the next one finds nothing.
    await tx.selectFrom('pages').select('sheet_id').where('batch_id', '=', batch_id).forUpdate().execute();
    const sheets = tx.selectFrom('pages').select('sheet_id').where('batch_id', '=', batch_id);
    await tx.deleteFrom('answers').where('sheet_id', 'in', sheets).execute();
    await tx.deleteFrom('readings').where('sheet_id', 'in', sheets).execute();
    await tx.deleteFrom('marks').where('sheet_id', 'in', sheets).execute();
    for (const { upload_id } of uploads) await tx.deleteFrom('chunks').where('upload_id', '=', upload_id).execute();
    for (const table of [
      'results',
      'rescores',
      'corrections',
      'pages',
      'sheet_groups',
      'stages',
      'events',
      'uploads',
      'batches',
    ] as const) {
      await tx.deleteFrom(table).where('batch_id', '=', batch_id).execute();
    }
    await tx.deleteFrom('changes').where('scope', '=', scopeOf(batch_id)).execute();
    await tx.deleteFrom('sequences').where('scope', '=', scopeOf(batch_id)).execute();
    await audit(db, tx, {
      ...by(user),
      action: 'batch.purge',
      subject: `batch:${batch_id}`,
      before: {
        name: batch.name,
        status: batch.status,
        total_pages: batch.total_pages,
        uploaded_by: batch.uploaded_by,
      },
    });
    await tellBatch(tx, batch_id);
  });
  for (const { upload_id } of uploads) await blobs.remove(upload_id);
}

/** Takes back all that was read of a batch. */
export async function forgetPages(tx: Tx, batchId: string): Promise<void> {
  const sheets = tx.selectFrom('pages').select('sheet_id').where('batch_id', '=', batchId);
  await tx.deleteFrom('readings').where('sheet_id', 'in', sheets).execute();
  await tx.deleteFrom('marks').where('sheet_id', 'in', sheets).execute();
  await tx.deleteFrom('results').where('batch_id', '=', batchId).execute();
  await tx.deleteFrom('pages').where('batch_id', '=', batchId).execute();
  await tx
    .updateTable('batches')
    .set({
      directory_known: 0,
      total_pages: 0,
      covers: 0,
      blank_pages: 0,
      done_pages: 0,
      failed_sheets: 0,
      processing_started_at: null,
    })
    .where('batch_id', '=', batchId)
    .execute();
}

/** Takes an upload back that has not been sealed: its bytes and what was read of them go, a tombstone stays so that its
 *  sender is told. */
export async function cancelUpload(db: Database, blobs: Blobs, user: User, upload: UploadsTable): Promise<void> {
  const { upload_id, batch_id } = upload;
  if (upload.state !== 'open' && upload.state !== 'rejected') {
    refuse('CONFLICT', `Upload ${upload_id} is sealed: its batch can be deleted, the upload cannot.`);
  }
  await db.write(async (tx) => {
    await tx.updateTable('uploads').set({ state: 'deleted' }).where('upload_id', '=', upload_id).execute();
    await tx.deleteFrom('chunks').where('upload_id', '=', upload_id).execute();
    await forgetPages(tx, batch_id);
    await tx
      .updateTable('batches')
      .set({ status: 'cancelled', message: 'Upload cancelled', deleted_at: Date.now() })
      .where('batch_id', '=', batch_id)
      .execute();
    await audit(db, tx, { ...by(user), action: 'upload.delete', subject: `upload:${upload_id}` });
    await tellBatch(tx, batch_id);
  });
  await blobs.remove(upload_id);
}
