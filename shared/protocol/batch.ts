// Batches, their groups and sheets as the office sees them.
import * as v from 'valibot';
import { Correction } from './correction.ts';
import { FIELD_FLAGS, Reading } from './reading.ts';
import { BATCH_STATUSES, BatchStatus, Stage } from './stage.ts';
import { BatchProgress, ProgressEvent } from './stream.ts';

const Time = v.nullable(v.string());

export const PAGE_SIZE = 50;

export const BatchRow = v.object({
  batch_id: v.string(),
  name: v.string(),
  upload_type: v.string(),
  status: BatchStatus,
  task_id: v.nullable(v.string()),
  uploaded_by: v.string(),
  centre: v.nullable(v.string()),
  /** bytes */
  size: v.number(),
  total_sheets: v.number(),
  /** failed ones included */
  processed_sheets: v.number(),
  failed_sheets: v.number(),
  doubtful_sheets: v.number(),
  created_at: v.string(),
  processing_started_at: Time,
  processing_completed_at: Time,
  deleted_at: Time,
});
export type BatchRow = v.InferOutput<typeof BatchRow>;

const QueryNumber = v.pipe(v.string(), v.regex(/^\d{1,6}$/, 'a whole number'), v.transform(Number));
export const BATCH_SORTS = ['created_at', 'name', 'status', 'total_sheets', 'uploaded_by'] as const;
export const BatchQuery = v.object({
  page: v.optional(v.pipe(QueryNumber, v.minValue(1, 'pages count from 1')), '1'),
  status: v.optional(v.picklist(BATCH_STATUSES)),
  sort: v.optional(v.picklist(BATCH_SORTS), 'created_at'),
  order: v.optional(v.picklist(['asc', 'desc']), 'desc'),
  search: v.optional(v.pipe(v.string(), v.maxLength(191)), ''),
  /** admins: the bin instead of the list */
  deleted: v.optional(
    v.pipe(
      v.picklist(['true', 'false']),
      v.transform((x) => x === 'true'),
    ),
    'false',
  ),
});

export const BatchList = v.object({
  items: v.array(BatchRow),
  total: v.number(),
  page: v.number(),
  pages: v.number(),
});
export type BatchList = v.InferOutput<typeof BatchList>;

/** One stage's own times; `wait_ms` is how long it stood in the queue before it began. */
export const StageTimes = v.object({
  stage: Stage,
  started_at: v.string(),
  finished_at: Time,
  wait_ms: v.nullable(v.number()),
});

export const BatchDetail = v.object({
  ...BatchRow.entries,
  stage: Stage,
  message: v.string(),
  error_details: v.nullable(v.string()),
  /** true until every byte has arrived: results may still change */
  provisional: v.boolean(),
  total_pages: v.number(),
  covers: v.number(),
  blank_pages: v.number(),
  total_answers: v.number(),
  uploaded_at: Time,
  /** first byte → completion */
  total_duration_ms: v.nullable(v.number()),
  /** first byte → first page read */
  extraction_duration_ms: v.nullable(v.number()),
  /** first page read → completion */
  omr_duration_ms: v.nullable(v.number()),
  stages: v.array(StageTimes),
  upload: v.nullable(
    v.object({ upload_id: v.string(), chunks_verified: v.number(), total_chunks: v.number(), state: v.string() }),
  ),
});
export type BatchDetail = v.InferOutput<typeof BatchDetail>;

/** `GET /progress`: the latest snapshot, for pollers. */
export const ProgressSnapshot = v.object({
  ...ProgressEvent.entries,
  status: BatchStatus,
  failed_sheets: v.number(),
  items: BatchProgress,
  /** id of the newest logged event: a stream may be resumed from it */
  last_event_id: v.string(),
});

export const GroupRow = v.object({
  group_id: v.string(),
  index: v.number(),
  task_id: v.nullable(v.string()),
  cover_page: v.nullable(v.number()),
  first_page: v.number(),
  sheets: v.number(),
  failed_sheets: v.number(),
  /** ok, or why a person must look: no-cover, unreadable-cover; maybe-cover: a page failed that may have been one; no-task;
   *  suspect-key: another key fits better. set-aside: a person has said that these sheets count for nothing */
  state: v.picklist(['ok', 'no-cover', 'unreadable-cover', 'maybe-cover', 'no-task', 'suspect-key', 'set-aside']),
  /** what a person has said of it, see `SettleForm` */
  settled: v.nullable(v.picklist(['task', 'join', 'set-aside'])),
  /** same-task: a group before it in this batch has its task; other-files: groups of other batches have */
  notes: v.array(v.picklist(['same-task', 'other-files'])),
  /** what the wrong-key detector says, in words */
  suspicion: v.nullable(v.string()),
  /** what its task says, null while there is no such task */
  exam: v.nullable(v.string()),
  centre: v.nullable(v.string()),
  template_id: v.nullable(v.string()),
  key_id: v.nullable(v.string()),
  /** sheets that the task says there are */
  expected_count: v.nullable(v.number()),
  /** the newest version of the key that its sheets were scored with */
  key_version: v.nullable(v.number()),
});
export type GroupRow = v.InferOutput<typeof GroupRow>;
/** `POST /api/batches/{id}/groups/{group_id}/settle`. task: its sheets are this task's; join: what opened it was no cover, its
 *  sheets belong to the group before it; set-aside: they count for nothing; as-read: what was said of it is taken back.
 *  `from_page` splits it: only the sheets from that page on. */
const fromPage = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)));
export const SettleForm = v.variant('what', [
  v.object({
    what: v.literal('task'),
    task_id: v.pipe(v.string(), v.regex(/^\d{8}$/, 'a task has 8 digits')),
    from_page: fromPage,
  }),
  v.object({ what: v.literal('set-aside'), from_page: fromPage }),
  v.object({ what: v.literal('join') }),
  v.object({ what: v.literal('as-read') }),
]);
export type SettleForm = v.InferOutput<typeof SettleForm>;

export const GroupList = v.object({ items: v.array(GroupRow) });

/** no-task, no-key: it scores by itself as soon as there is one; other-template: its QR code names another sheet than its
 *  task's; suspect-key: a supervisor has to confirm the key; void: a person set it aside */
export const UNSCORED = [
  'no-task',
  'no-key',
  'other-template',
  'variant-unread',
  'variant-unknown',
  'suspect-key',
  'void',
] as const;
export type Unscored = (typeof UNSCORED)[number];

export const SHEET_STATUSES = ['waiting', 'read', 'failed'] as const;
export const SheetRow = v.object({
  sheet_id: v.string(),
  /** in file order, from 0, covers included */
  page_index: v.number(),
  name: v.string(),
  status: v.picklist(SHEET_STATUSES),
  group_id: v.nullable(v.string()),
  task_id: v.nullable(v.string()),
  roll: v.nullable(v.string()),
  variant: v.nullable(v.string()),
  score: v.nullable(v.number()),
  max_score: v.nullable(v.number()),
  correct: v.nullable(v.number()),
  wrong: v.nullable(v.number()),
  blank: v.nullable(v.number()),
  multiple: v.nullable(v.number()),
  doubtful: v.number(),
  /** why there is no score */
  unscored: v.nullable(v.picklist(UNSCORED)),
  provisional: v.boolean(),
  error_message: v.nullable(v.string()),
});
export type SheetRow = v.InferOutput<typeof SheetRow>;
export const SheetQuery = v.object({
  page: v.optional(v.pipe(QueryNumber, v.minValue(1, 'pages count from 1')), '1'),
  status: v.optional(v.picklist(SHEET_STATUSES)),
  /** rows a page */
  limit: v.optional(v.pipe(QueryNumber, v.minValue(1), v.maxValue(1000)), '50'),
});
export const SheetList = v.object({ items: v.array(SheetRow), total: v.number(), page: v.number(), pages: v.number() });

/** What became of an answer. `outside`: the key accepts nothing there; all are that without a key or a score. */
export const OUTCOMES = ['correct', 'partial', 'wrong', 'multiple', 'blank', 'void', 'bonus', 'outside'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const AnswerRow = v.object({
  question: v.number(),
  /** what counts */
  value: v.string(),
  /** what the machine read, with its confidence and flags, whatever people decided */
  read: v.string(),
  confidence: v.number(),
  flags: v.array(v.picklist(FIELD_FLAGS)),
  /** whose word the value is */
  source: v.picklist(['machine', 'reviewer', 'supervisor']),
  decided_by: v.nullable(v.string()),
  decided_at: v.nullable(v.string()),
  /** people say different things, and nobody has settled it */
  conflict: v.boolean(),
  accepted: v.nullable(v.string()),
  correct: v.nullable(v.boolean()),
  points: v.nullable(v.number()),
  outcome: v.picklist(OUTCOMES),
});
export type AnswerRow = v.InferOutput<typeof AnswerRow>;
export const SheetDetail = v.object({
  ...SheetRow.entries,
  batch_id: v.string(),
  image_sha256: v.nullable(v.string()),
  engine_version: v.nullable(v.number()),
  key_version: v.nullable(v.number()),
  reading: v.nullable(Reading),
  answers: v.array(AnswerRow),
  /** what people decided about this page, oldest first */
  corrections: v.array(Correction),
});
export type SheetDetail = v.InferOutput<typeof SheetDetail>;

export const DeleteAnswer = v.object({ batch_id: v.string(), deleted: v.boolean(), purged: v.boolean() });

/** `POST /api/batches/{id}/reprocess`: everything, what failed, or the sheets named. */
export const ReprocessForm = v.object({
  what: v.optional(v.picklist(['all', 'failed', 'sheets'], 'use all, failed or sheets'), 'all'),
  sheet_ids: v.optional(
    v.pipe(v.array(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'a sheet id'))), v.maxLength(1000)),
    [],
  ),
});
