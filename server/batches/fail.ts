// How a batch fails: its state, its log and its stages say so in one transaction.
import type { Tx } from '../adapters/database.ts';
import { append, type Logged, progressData } from '../progress/log.ts';
import { hasEnded, move } from './life.ts';

/** Ends a batch as failed with a reason a person can act on; a batch that has ended stays as it is. */
export async function failBatch(tx: Tx, batchId: string, reason: string, at: number): Promise<Logged[]> {
  const batch = await tx.selectFrom('batches').selectAll().where('batch_id', '=', batchId).executeTakeFirst();
  if (!batch || hasEnded(batch.status) || !(await move(tx, batchId, 'failed'))) return [];
  await tx
    .updateTable('batches')
    .set({ error_details: reason, processing_completed_at: at })
    .where('batch_id', '=', batchId)
    .execute();
  await tx
    .updateTable('stages')
    .set({ finished_at: at })
    .where('batch_id', '=', batchId)
    .where('finished_at', 'is', null)
    .execute();
  await tx
    .insertInto('stages')
    .values({ batch_id: batchId, stage: 'failed', enqueued_at: null, started_at: at, finished_at: at })
    .execute();
  const data = await progressData(
    tx,
    batchId,
    { stage: 'failed', message: `Batch failed: ${reason}`, percentage: 100 },
    at,
  );
  const sheets = batch.total_pages - batch.covers;
  return append(
    tx,
    batchId,
    [
      {
        type: 'batch.complete',
        data: {
          batch_id: batchId,
          status: 'failed',
          total_items: sheets,
          completed_items: batch.done_pages - batch.covers - batch.failed_sheets,
          failed_items: batch.failed_sheets,
          total_duration_ms: at - (batch.first_byte_at ?? batch.created_at),
        },
      },
      { type: 'error', data: { ...data, error_details: reason } },
    ],
    at,
  );
}
