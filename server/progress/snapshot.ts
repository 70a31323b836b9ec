// Where a batch stands right now, counted in SQL: numbers come from the database, never from the queue.
import type { BatchProgress } from '../../shared/protocol/stream.ts';
import type { Database } from '../adapters/database.ts';

/** Completions that the rate is taken over. */
const WINDOW = 10;

export async function snapshot(db: Database, batchId: string): Promise<BatchProgress | null> {
  const batch = await db.sql
    .selectFrom('batches')
    .select(['total_pages', 'covers', 'done_pages', 'failed_sheets', 'processing_started_at'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
  if (!batch) return null;
  const reading = await db.sql
    .selectFrom('pages')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('batch_id', '=', batchId)
    .where('state', '=', 'reading')
    .executeTakeFirstOrThrow();
  const last = await db.sql
    .selectFrom('pages')
    .select('finished_at')
    .where('batch_id', '=', batchId)
    .where('finished_at', 'is not', null)
    .orderBy('finished_at', 'desc')
    .limit(WINDOW + 1)
    .execute();
  const total_items = batch.total_pages - batch.covers;
  const done = batch.done_pages - batch.covers;
  const in_progress_items = Math.min(Number(reading.n), total_items - done);
  return {
    batch_id: batchId,
    total_items,
    completed_items: done - batch.failed_sheets,
    failed_items: batch.failed_sheets,
    in_progress_items,
    pending_items: Math.max(0, total_items - done - in_progress_items),
    percentage: total_items === 0 ? 0 : Math.round(((done - batch.failed_sheets) / total_items) * 1000) / 10,
    throughput_rate: rate(last.map((page) => page.finished_at ?? 0)),
    estimated_time_remaining_ms: timeLeft(batch, Date.now()),
  };
}

/** Items a minute over the newest completions (epoch ms, newest first). */
export function rate(finished: readonly number[]): number {
  const newest = finished[0];
  const oldest = finished.at(-1);
  if (newest === undefined || oldest === undefined || newest <= oldest) return 0;
  return Math.round(((finished.length - 1) / ((newest - oldest) / 60_000)) * 10) / 10;
}

/** From the batch's own mean since it began, which is steadier than the last ten; null until there is enough to go by. */
function timeLeft(
  batch: { total_pages: number; done_pages: number; processing_started_at: number | null },
  now: number,
): number | null {
  if (batch.total_pages === 0 || batch.processing_started_at === null) return null;
  if (batch.done_pages >= batch.total_pages) return 0;
  if (batch.done_pages < Math.min(20, Math.ceil(batch.total_pages / 20))) return null;
  const perPage = (now - batch.processing_started_at) / batch.done_pages;
  return Math.round(perPage * (batch.total_pages - batch.done_pages));
}
