// What a batch's stream says (text/event-stream, named events). Every event but `heartbeat`, `reset`, `reauth` and
// `shutdown` has one of these shapes as its data. Ids are `n` for what is in the log and `n.k` for the k-th snapshot
// after it: whoever resumes from either gets all that was logged after n.
import * as v from 'valibot';
import { BatchStatus, Stage } from './stage.ts';

const progressEntries = {
  batch_id: v.string(),
  stage: Stage,
  message: v.string(),
  /** 0 to 100 within the stage */
  progress_percentage: v.number(),
  /** entries less the covers known so far */
  sheets_total: v.number(),
  sheets_total_final: v.boolean(),
  sheets_processed: v.number(),
  /** since the first byte */
  elapsed_seconds: v.number(),
  stage_elapsed_seconds: v.number(),
  timestamp: v.string(),
};
export const ProgressEvent = v.object(progressEntries);
export type ProgressEvent = v.InferOutput<typeof ProgressEvent>;

export const CompleteEvent = v.object({
  ...progressEntries,
  status: BatchStatus,
  total_sheets: v.number(),
  failed_sheets: v.number(),
});
export const ErrorEvent = v.object({ ...progressEntries, error_details: v.string() });

export const ItemStarted = v.object({ item_id: v.string(), item_index: v.number(), started_at: v.string() });
export const ItemCompleted = v.object({
  item_id: v.string(),
  item_index: v.number(),
  sheet_id: v.string(),
  duration_ms: v.number(),
  completed_at: v.string(),
});
export const ItemFailed = v.object({
  item_id: v.string(),
  item_index: v.number(),
  error_message: v.string(),
  retry_count: v.number(),
  will_retry: v.boolean(),
});

export const BatchProgress = v.object({
  batch_id: v.string(),
  total_items: v.number(),
  completed_items: v.number(),
  failed_items: v.number(),
  in_progress_items: v.number(),
  pending_items: v.number(),
  /** completed ÷ total, 0 to 100 */
  percentage: v.number(),
  /** items a minute over the last ten completions */
  throughput_rate: v.number(),
  estimated_time_remaining_ms: v.nullable(v.number()),
});
export type BatchProgress = v.InferOutput<typeof BatchProgress>;

export const BatchComplete = v.object({
  batch_id: v.string(),
  status: BatchStatus,
  total_items: v.number(),
  completed_items: v.number(),
  failed_items: v.number(),
  total_duration_ms: v.number(),
});

/** The events that are kept in the log, in the order they happened. */
export const LOGGED = {
  progress: ProgressEvent,
  'item.started': ItemStarted,
  'item.completed': ItemCompleted,
  'item.failed': ItemFailed,
  'batch.complete': BatchComplete,
  complete: CompleteEvent,
  error: ErrorEvent,
} as const;
export type LoggedType = keyof typeof LOGGED;
export type LoggedEvent = {
  [T in LoggedType]: { type: T; data: v.InferOutput<(typeof LOGGED)[T]> };
}[LoggedType];

/** All event names a client may meet. */
export const STREAM_EVENTS = {
  ...LOGGED,
  'batch.progress': BatchProgress,
  heartbeat: v.object({ time: v.string() }),
  /** the id asked for cannot be resumed from: forget what you have, the log follows from its start */
  reset: v.object({ reason: v.string() }),
  /** the access token is about to end: fetch a new one and resume */
  reauth: v.object({ reason: v.string() }),
  /** the server is about to restart: resume in a moment */
  shutdown: v.object({ reason: v.string() }),
} as const;
export type StreamEventType = keyof typeof STREAM_EVENTS;
/** Snapshots and signals are not in the log; their ids only say where to resume. */
export const isLogged = (type: string): type is LoggedType => type in LOGGED;
