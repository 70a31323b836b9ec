// The life of a batch: which state may follow which, and the one way to move.
import { type BatchStatus, ENDED } from '../../shared/protocol/stage.ts';
import type { Tx } from '../adapters/database.ts';
import { tellBatch } from '../changes.ts';

const NEXT: Record<BatchStatus, readonly BatchStatus[]> = {
  uploading: ['uploaded', 'failed', 'paused', 'cancelled'],
  uploaded: ['validating', 'failed', 'paused', 'cancelled'],
  validating: ['processing', 'failed', 'paused', 'cancelled'],
  processing: ['completed', 'completed_with_errors', 'failed', 'paused', 'cancelled'],
  reprocessing: ['completed', 'completed_with_errors', 'failed', 'paused', 'cancelled'],
  // What it goes back to is kept beside it (`resume_status`); nothing else may wake it.
  paused: ['cancelled'],
  completed: ['reprocessing'],
  completed_with_errors: ['reprocessing'],
  failed: ['reprocessing'],
  cancelled: ['reprocessing'],
};

/** States in which the pipeline may have something to do; pages are read while the batch is still uploading. */
export const ACTIVE: readonly BatchStatus[] = ['uploading', 'uploaded', 'validating', 'processing', 'reprocessing'];
export const isActive = (status: string): boolean => ACTIVE.includes(status as BatchStatus);
export const hasEnded = (status: string): boolean => ENDED.includes(status as BatchStatus);

/** Moves a batch on; false when it stands in a state from which `to` cannot follow (a second runner was faster). */
export async function move(tx: Tx, batchId: string, to: BatchStatus): Promise<boolean> {
  const from = (Object.keys(NEXT) as BatchStatus[]).filter((status) => NEXT[status].includes(to));
  const moved = await tx
    .updateTable('batches')
    .set({ status: to })
    .where('batch_id', '=', batchId)
    .where('status', 'in', from)
    .executeTakeFirst();
  if (moved.numUpdatedRows !== 1n) return false;
  await tellBatch(tx, batchId);
  return true;
}
