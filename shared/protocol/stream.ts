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
  /** the id asked for cannot be resumed from: forget what you have (of this batch, when it names one), the log follows
   *  from its start */
  reset: v.object({ reason: v.string(), batch_id: v.optional(v.string()) }),
  /** the access token is about to end: fetch a new one and resume */
  reauth: v.object({ reason: v.string() }),
  /** the server is about to restart: resume in a moment */
  shutdown: v.object({ reason: v.string() }),
} as const;

/** What `GET /api/events` says: the list's changes, and the streams of the batches it was asked for. Its ids hold one
 *  event number a batch, in the order in which they were asked for (`12-7`, and `12-7.k` for what is not in a log). */
export const APP_EVENTS = {
  ...STREAM_EVENTS,
  'item.started': v.object({ batch_id: v.string(), ...ItemStarted.entries }),
  'item.completed': v.object({ batch_id: v.string(), ...ItemCompleted.entries }),
  'item.failed': v.object({ batch_id: v.string(), ...ItemFailed.entries }),
  /** these batches of yours are not what they were; null: any of them, look at the list */
  'batches.changed': v.object({ batch_ids: v.nullable(v.array(v.string())) }),
} as const;
export type AppEventType = keyof typeof APP_EVENTS;
export type StreamEventType = keyof typeof STREAM_EVENTS;

const MOST_BATCHES = 50;
const NamedBatch = v.pipe(
  v.string(),
  v.regex(/^[\w-]{1,64}(:\d{1,15})?$/, 'name batches by their ids, each with :N to follow after its event N'),
  v.transform((text) => {
    const [batch_id = '', after] = text.split(':');
    return { batch_id, after: after === undefined ? undefined : Number(after) };
  }),
);
/** `batches=a,b:12`: the batches whose streams are wanted, `b` after its event 12 */
export const EventsQuery = v.object({
  batches: v.pipe(
    v.optional(v.string(), ''),
    v.transform((text) => (text === '' ? [] : text.split(','))),
    v.array(NamedBatch),
    v.maxLength(MOST_BATCHES, `name ${MOST_BATCHES} batches at most`),
    v.check((named) => new Set(named.map(({ batch_id }) => batch_id)).size === named.length, 'name each batch once'),
  ),
});
/** Snapshots and signals are not in the log; their ids only say where to resume. */
export const isLogged = (type: string): type is LoggedType => type in LOGGED;
