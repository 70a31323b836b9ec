// What a person does to a batch while it runs or after it has ended: pause, resume, cancel, read again. Each is a move in
// the life of the batch, its record in the log and its entry in the audit, in one transaction.
import type { BatchStatus } from '../../shared/protocol/stage.ts';
import type { BatchesTable, Database, Tx } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { User } from '../auth/sessions.ts';
import { tellBatch } from '../changes.ts';
import { refuse } from '../problem.ts';
import { append, beginStage, type Logged, progressData } from '../progress/log.ts';
import { hasEnded, move } from './life.ts';

type Stage = Parameters<typeof progressData>[2]['stage'];

/** Says what was done to the batch, in the stage it stands in. */
async function say(tx: Tx, batch: BatchesTable, message: string): Promise<Logged[]> {
  const at = Date.now();
  const said = { stage: batch.stage as Stage, message, percentage: batch.progress_percentage };
  return append(tx, batch.batch_id, [{ type: 'progress', data: await progressData(tx, batch.batch_id, said, at) }], at);
}

const cannot = (batch: BatchesTable, what: string, when: string): never =>
  refuse('CONFLICT', `Batch ${batch.batch_id} is ${batch.status}: ${what} is for a batch that ${when}.`);

/** Stops reading after the pages in hand; bytes that arrive are kept. */
export async function pauseBatch(db: Database, user: User, { batch_id }: BatchesTable): Promise<Logged[]> {
  return db.write(async (tx) => {
    // As it is now: the pipeline may have moved it since it was asked for.
    const batch = await tx
      .selectFrom('batches')
      .selectAll()
      .where('batch_id', '=', batch_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (!(await move(tx, batch_id, 'paused'))) return cannot(batch, 'pause', 'is under way');
    await tx
      .updateTable('batches')
      .set({ resume_status: batch.status })
      .where('batch_id', '=', batch.batch_id)
      .execute();
    await audit(db, tx, { ...by(user), action: 'batch.pause', subject: `batch:${batch.batch_id}` });
    return say(tx, batch, `Paused by ${user.username}`);
  });
}

/** Goes on where it was. An upload that was sealed meanwhile goes on as uploaded, and an archive whose directory was being
 *  read when it was paused, and has been read since, as processing. */
export async function resumeBatch(db: Database, user: User, batch: BatchesTable): Promise<Logged[]> {
  return db.write(async (tx) => {
    const { status, resume_status, uploaded_at } = await tx
      .selectFrom('batches')
      .select(['status', 'resume_status', 'uploaded_at'])
      .where('batch_id', '=', batch.batch_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (status !== 'paused' || resume_status === null) return cannot(batch, 'resume', 'is paused');
    const extracted = await tx
      .selectFrom('stages')
      .select('finished_at')
      .where('batch_id', '=', batch.batch_id)
      .where('stage', '=', 'extracting')
      .executeTakeFirst();
    const before = resume_status as BatchStatus;
    let to: BatchStatus = before === 'uploading' && uploaded_at !== null ? 'uploaded' : before;
    if (extracted?.finished_at && (to === 'uploaded' || to === 'validating')) to = 'processing';
    await tx
      .updateTable('batches')
      .set({ status: to, resume_status: null })
      .where('batch_id', '=', batch.batch_id)
      .execute();
    await tellBatch(tx, batch.batch_id);
    await audit(db, tx, { ...by(user), action: 'batch.resume', subject: `batch:${batch.batch_id}` });
    return say(tx, batch, `Resumed by ${user.username}`);
  });
}

/** Ends the batch without results. What was read stays, so it can be read on with `reprocess`. */
export async function cancelBatch(db: Database, user: User, batch: BatchesTable): Promise<Logged[]> {
  return db.write(async (tx) => {
    if (!(await move(tx, batch.batch_id, 'cancelled'))) return cannot(batch, 'cancel', 'is under way or paused');
    const at = Date.now();
    const reason = `Cancelled by ${user.username}`;
    await tx
      .updateTable('batches')
      .set({ error_details: reason, processing_completed_at: at, resume_status: null })
      .where('batch_id', '=', batch.batch_id)
      .execute();
    await tx
      .updateTable('stages')
      .set({ finished_at: at })
      .where('batch_id', '=', batch.batch_id)
      .where('finished_at', 'is', null)
      .execute();
    await audit(db, tx, { ...by(user), action: 'batch.cancel', subject: `batch:${batch.batch_id}` });
    const data = await progressData(tx, batch.batch_id, { stage: 'failed', message: reason, percentage: 100 }, at);
    const total_items = batch.total_pages - batch.covers;
    return append(
      tx,
      batch.batch_id,
      [
        {
          type: 'batch.complete',
          data: {
            batch_id: batch.batch_id,
            status: 'cancelled',
            total_items,
            completed_items: batch.done_pages - batch.covers - batch.failed_sheets,
            failed_items: batch.failed_sheets,
            total_duration_ms: at - (batch.first_byte_at ?? batch.created_at),
          },
        },
        { type: 'error', data: { ...data, error_details: reason } },
      ],
      at,
    );
  });
}

/** Which pages are read again. */
export type Again = { what: 'all' } | { what: 'failed' } | { what: 'sheets'; sheet_ids: readonly number[] };

/** Reads pages again and does everything that follows from them anew; the results of record stay until the new ones
 *  replace them. What a person decided is not touched: it lies in another layer. */
export async function reprocessBatch(db: Database, user: User, batch: BatchesTable, again: Again): Promise<Logged[]> {
  const { batch_id } = batch;
  if (!hasEnded(batch.status)) return cannot(batch, 'reprocess', 'has ended');
  if (batch.uploaded_at === null || batch.directory_known === 0) {
    refuse(
      'CONFLICT',
      `Batch ${batch_id} never arrived whole, so there is nothing to read again. Send the file again.`,
    );
  }
  return db.write(async (tx) => {
    if (!(await move(tx, batch_id, 'reprocessing'))) return cannot(batch, 'reprocess', 'has ended');
    let pages = tx.selectFrom('pages').select('sheet_id').where('batch_id', '=', batch_id);
    if (again.what === 'failed') pages = pages.where('state', '=', 'failed');
    if (again.what === 'sheets')
      pages = pages.where('sheet_id', 'in', again.sheet_ids.length ? [...again.sheet_ids] : [-1]);
    const ids = (await pages.forUpdate().execute()).map((page) => page.sheet_id);
    if (again.what === 'sheets' && ids.length !== again.sheet_ids.length) {
      refuse(
        'NOT_FOUND',
        `${again.sheet_ids.length - ids.length} of the sheets named are not in batch ${batch_id}. GET its sheets for their ids.`,
      );
    }
    for (let i = 0; i < ids.length; i += 500) {
      const some = ids.slice(i, i + 500);
      await tx.deleteFrom('readings').where('sheet_id', 'in', some).execute();
      await tx
        .updateTable('pages')
        .set({
          state: 'waiting',
          kind: null,
          attempts: 0,
          started_at: null,
          finished_at: null,
          duration_ms: null,
          error_message: null,
        })
        .where('sheet_id', 'in', some)
        .execute();
    }
    const count = async (column: 'kind' | 'state', value: string): Promise<number> => {
      const row = await tx
        .selectFrom('pages')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .where('batch_id', '=', batch_id)
        .where(column, '=', value)
        .executeTakeFirstOrThrow();
      return Number(row.n);
    };
    const failed_sheets = await count('state', 'failed');
    await tx
      .updateTable('batches')
      .set({
        covers: await count('kind', 'cover'),
        blank_pages: await count('kind', 'blank'),
        failed_sheets,
        done_pages: (await count('state', 'done')) + failed_sheets,
        error_details: null,
        processing_completed_at: null,
        // The line of the batch may go back to these stages.
        stage: 'organizing_qr',
      })
      .where('batch_id', '=', batch_id)
      .execute();
    await tx
      .deleteFrom('stages')
      .where('batch_id', '=', batch_id)
      .where('stage', 'not in', ['uploading', 'extracting'])
      .execute();
    const at = Date.now();
    await beginStage(db, tx, batch_id, 'organizing_qr', at, at);
    await beginStage(db, tx, batch_id, 'processing_sheets', at, at);
    await audit(db, tx, {
      ...by(user),
      action: 'batch.reprocess',
      subject: `batch:${batch_id}`,
      after: { what: again.what, pages: ids.length },
    });
    const message = `Reading ${ids.length} pages again, asked for by ${user.username}`;
    const first = await progressData(
      tx,
      batch_id,
      { stage: 'organizing_qr', message: 'Looking for cover sheets', percentage: 0 },
      at,
    );
    const second = await progressData(tx, batch_id, { stage: 'processing_sheets', message, percentage: 0 }, at);
    return append(
      tx,
      batch_id,
      [
        { type: 'progress', data: first },
        { type: 'progress', data: second },
      ],
      at,
    );
  });
}
