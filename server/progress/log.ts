// A batch's log: numbered events in SQL, written in the same transaction as what they tell of. The number is taken
// from the batch's own row under its lock, so commit order is number order and a reader never skips one.

import { STAGES, type Stage } from '../../shared/protocol/stage.ts';
import type { LoggedEvent, LoggedType, ProgressEvent } from '../../shared/protocol/stream.ts';
import type { Database, Tx } from '../adapters/database.ts';

/** An event as it stands in the log. */
export interface Logged {
  batch_id: string;
  seq: number;
  event: LoggedEvent;
  at: number;
}

/** An event as streams pass it on: nobody looks into its data. */
export interface Told {
  seq: number;
  type: LoggedType;
  /** JSON */
  data: string;
}

/** After these nothing more comes of a batch, unless it is read again. */
export const isLastWord = ({ type }: Told): boolean => type === 'complete' || type === 'error';

export const iso = (at: number): string => new Date(at).toISOString();
const rank = (stage: string): number => STAGES.indexOf(stage as Stage);
const seconds = (ms: number): number => Math.max(0, Math.round(ms / 100) / 10);

interface Said {
  stage: Stage;
  message: string;
  /** 0 to 100 */
  percentage: number;
}

/** Makes the data of a stage message from where the batch stands inside this transaction. */
export async function progressData(tx: Tx, batchId: string, said: Said, at: number): Promise<ProgressEvent> {
  const batch = await tx
    .selectFrom('batches')
    .select(['first_byte_at', 'created_at', 'total_pages', 'covers', 'done_pages', 'uploaded_at'])
    .where('batch_id', '=', batchId)
    .executeTakeFirstOrThrow();
  const stage = await tx
    .selectFrom('stages')
    .select('started_at')
    .where('batch_id', '=', batchId)
    .where('stage', '=', said.stage)
    .executeTakeFirst();
  return {
    batch_id: batchId,
    stage: said.stage,
    message: said.message,
    progress_percentage: Math.round(Math.min(100, said.percentage) * 10) / 10,
    sheets_total: batch.total_pages - batch.covers,
    sheets_total_final: batch.uploaded_at !== null && batch.total_pages > 0 && batch.done_pages >= batch.total_pages,
    sheets_processed: batch.done_pages - batch.covers,
    elapsed_seconds: seconds(at - (batch.first_byte_at ?? batch.created_at)),
    stage_elapsed_seconds: seconds(at - (stage?.started_at ?? at)),
    timestamp: iso(at),
  };
}

/** Appends events in order and keeps the batch's latest message beside them. Call last in a transaction: it locks the
 *  batch's row until the commit. */
export async function append(
  tx: Tx,
  batchId: string,
  events: readonly LoggedEvent[],
  at: number = Date.now(),
): Promise<Logged[]> {
  if (events.length === 0) return [];
  await tx
    .updateTable('batches')
    .set((eb) => ({ event_seq: eb('event_seq', '+', events.length), rev: eb('rev', '+', 1) }))
    .where('batch_id', '=', batchId)
    .execute();
  const batch = await tx
    .selectFrom('batches')
    .select(['event_seq', 'stage'])
    .where('batch_id', '=', batchId)
    .executeTakeFirstOrThrow();
  const first = batch.event_seq - events.length + 1;
  const logged = events.map((event, i) => ({ batch_id: batchId, seq: first + i, event, at }));
  await tx
    .insertInto('events')
    .values(
      logged.map(({ seq, event }) => ({
        batch_id: batchId,
        seq,
        type: event.type,
        data: JSON.stringify(event.data),
        at,
      })),
    )
    .execute();
  // The batch's own line shows the furthest stage: a late word from an earlier one does not take it back.
  let shown: ProgressEvent | null = null;
  let reached = rank(batch.stage);
  for (const event of events) {
    if (event.type !== 'progress' && event.type !== 'complete' && event.type !== 'error') continue;
    if (rank(event.data.stage) < reached) continue;
    shown = event.data;
    reached = rank(event.data.stage);
  }
  if (shown) {
    await tx
      .updateTable('batches')
      .set({ stage: shown.stage, message: shown.message, progress_percentage: shown.progress_percentage })
      .where('batch_id', '=', batchId)
      .execute();
  }
  return logged;
}

/** Says something about a stage, in the transaction that makes it true. */
export async function tell(tx: Tx, batchId: string, said: Said, at: number = Date.now()): Promise<Logged[]> {
  return append(tx, batchId, [{ type: 'progress', data: await progressData(tx, batchId, said, at) }], at);
}

/** Marks a stage begun, once; later calls change nothing and return false. */
export async function beginStage(
  db: Database,
  tx: Tx,
  batchId: string,
  stage: Stage,
  at: number,
  enqueuedAt: number | null = null,
): Promise<boolean> {
  const row = { batch_id: batchId, stage, enqueued_at: enqueuedAt, started_at: at, finished_at: null };
  return (await db.insertNew(tx, 'stages', [row])) === 1;
}

/** Marks a stage ended; false when it was ended before, and then what ends it must not be done or told again. */
export async function endStage(tx: Tx, batchId: string, stage: Stage, at: number): Promise<boolean> {
  const ended = await tx
    .updateTable('stages')
    .set({ finished_at: at })
    .where('batch_id', '=', batchId)
    .where('stage', '=', stage)
    .where('finished_at', 'is', null)
    .executeTakeFirst();
  return ended.numUpdatedRows === 1n;
}

/** Reads up to `limit` events after number `after`, oldest first, as they go out. */
export async function readTold(db: Database, batchId: string, after: number, limit: number): Promise<Told[]> {
  const rows = await db.sql
    .selectFrom('events')
    .select(['seq', 'type', 'data'])
    .where('batch_id', '=', batchId)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map(({ seq, type, data }) => ({ seq, type: type as LoggedType, data }));
}

/** What the stages said up to number `upTo`: the log without the single sheets' events. */
export async function readStageLog(db: Database, batchId: string, upTo: number): Promise<Told[]> {
  const rows = await db.sql
    .selectFrom('events')
    .select(['seq', 'type', 'data'])
    .where('batch_id', '=', batchId)
    .where('seq', '<=', upTo)
    .where('type', 'in', ['progress', 'batch.complete', 'complete', 'error'])
    .orderBy('seq')
    .execute();
  return rows.map(({ seq, type, data }) => ({ seq, type: type as LoggedType, data }));
}

/** Reads up to `limit` events after number `after`, oldest first. */
export async function readLog(db: Database, batchId: string, after: number, limit: number): Promise<Logged[]> {
  const rows = await db.sql
    .selectFrom('events')
    .selectAll()
    .where('batch_id', '=', batchId)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    batch_id: row.batch_id,
    seq: row.seq,
    at: row.at,
    event: { type: row.type, data: JSON.parse(row.data) } as LoggedEvent,
  }));
}
