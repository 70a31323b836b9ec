// The database as the rest of the server sees it: the tables' types, and the few things that SQLite and MySQL do
// differently, named as verbs. Everything else is portable SQL through Kysely. Times are epoch milliseconds, booleans
// 0 or 1, structured values JSON text. One contract suite runs against both (database.contract.ts).
import type { Kysely, Transaction } from 'kysely';

export type Flag = 0 | 1;

export interface SettingsTable {
  name: string;
  value: string;
}
export interface CentresTable {
  centre_id: string;
  name: string;
}
export interface ExamsTable {
  exam_id: string;
  name: string;
}
export interface UsersTable {
  user_id: string;
  username: string;
  password_hash: string;
  role: string;
  must_change_password: Flag;
  disabled: Flag;
  created_at: number;
}
export interface UserCentresTable {
  user_id: string;
  centre_id: string;
}
/** One sign-in on one device; its refresh tokens are one family. */
export interface SessionsTable {
  session_id: string;
  user_id: string;
  /** what the device calls itself (User-Agent) */
  device: string;
  /** where it was last seen */
  address: string | null;
  created_at: number;
  last_used_at: number;
  revoked_at: number | null;
}
export interface RefreshTokensTable {
  token_hash: string;
  session_id: string;
  created_at: number;
  used_at: number | null;
}
/** Failed sign-ins, counted for a user name and for an address. */
export interface LoginFailuresTable {
  /** `name:` and a hash of the name, which may not exist; `address:` and the address */
  scope: string;
  failures: number;
  last_at: number;
  blocked_until: number;
}
export interface TemplatesTable {
  template_id: string;
  version: number;
  content: string;
  created_by: string | null;
  created_at: number;
}
export interface AnswerKeysTable {
  key_id: string;
  version: number;
  /** draft or published; a published version never changes */
  state: string;
  content: string;
  /** counts the edits of a draft */
  rev: number;
  created_by: string | null;
  /** who changed it last: somebody else publishes it */
  edited_by: string | null;
  published_by: string | null;
  created_at: number;
  edited_at: number;
  published_at: number | null;
}
export interface TasksTable {
  task_id: string;
  exam_id: string;
  centre_id: string;
  packet: string | null;
  template_id: string;
  template_version: number;
  key_id: string | null;
  expected_count: number | null;
  rev: number;
  created_at: number;
}
export interface BatchesTable {
  batch_id: string;
  /** small number for making sheet ids; never reused */
  batch_no: number;
  name: string;
  upload_type: string;
  task_id: string | null;
  status: string;
  /** what a paused batch was doing */
  resume_status: string | null;
  stage: string;
  message: string;
  progress_percentage: number;
  error_details: string | null;
  size: number;
  uploaded_by: string;
  centre_id: string | null;
  created_at: number;
  first_byte_at: number | null;
  uploaded_at: number | null;
  processing_started_at: number | null;
  processing_completed_at: number | null;
  deleted_at: number | null;
  /** 1 when the pages are known and stand in `pages` */
  directory_known: Flag;
  total_pages: number;
  covers: number;
  blank_pages: number;
  done_pages: number;
  failed_sheets: number;
  doubtful_sheets: number;
  total_answers: number;
  /** number of the newest event of the batch's log; taken inside the transaction that writes the event */
  event_seq: number;
  rev: number;
}
export interface UploadsTable {
  upload_id: string;
  batch_id: string;
  client_upload_id: string;
  owner: string;
  token_hash: string;
  name: string;
  upload_type: string;
  size: number;
  chunk_size: number;
  /** JSON list of {name, size} for `images` */
  files: string | null;
  /** JSON list of `PageCorrection`: said before it was sent, and appended to the corrections when its pages are known */
  grouping: string | null;
  /** open, sealed, rejected, expired or deleted */
  state: string;
  /** when sealing began */
  sealing_at: number | null;
  reason: string | null;
  epoch: number;
  created_at: number;
  last_byte_at: number | null;
}
export interface ChunksTable {
  upload_id: string;
  chunk_index: number;
  /** landing or verified */
  state: string;
  /** bytes from the chunk's start that are written; all of it, synced, when verified */
  landed: number;
  sha256: string;
  epoch: number;
  /** 1 when more than one sender's epoch wrote here: hashed again at seal */
  contested: Flag;
  lease_id: string | null;
  lease_until: number | null;
  verified_at: number | null;
}
export interface StagesTable {
  batch_id: string;
  stage: string;
  enqueued_at: number | null;
  started_at: number;
  finished_at: number | null;
}
export interface SheetGroupsTable {
  batch_id: string;
  group_index: number;
  task_id: string | null;
  cover_page: number | null;
  first_page: number;
  sheets: number;
  failed_sheets: number;
  /** ok, no-cover, unreadable-cover, maybe-cover, no-task, suspect-key or set-aside */
  state: string;
  /** JSON of what the wrong-key detector found, null when nothing */
  suspicion: string | null;
  /** `key@version` whose scores a supervisor has let stand */
  confirmed_key: string | null;
}
export interface PagesTable {
  /** batch_no × 1,000,000 + page_index */
  sheet_id: number;
  batch_id: string;
  page_index: number;
  name: string;
  /** where its local header (ZIP) or its first byte (images) lies in the upload */
  file_offset: number;
  /** all of its bytes lie before this */
  file_end: number;
  compressed_size: number;
  size: number;
  /** 0 stored, 8 deflated; -1 for a plain file */
  method: number;
  crc32: number | null;
  /** of a file of several pages, from 0; null when the file is the page */
  part: number | null;
  /** absent (its bytes have not all landed), waiting, reading, done (it has a reading) or failed */
  state: string;
  /** sheet, cover, blank or foreign once read */
  kind: string | null;
  attempts: number;
  started_at: number | null;
  finished_at: number | null;
  duration_ms: number | null;
  error_message: string | null;
  group_index: number | null;
  task_id: string | null;
}
export interface ReadingsTable {
  sheet_id: number;
  engine_version: number;
  template_id: string | null;
  template_version: number | null;
  image_sha256: string;
  /** the Reading as JSON */
  content: string;
  created_at: number;
}
/** What scoring needs of a sheet, a few hundred bytes: the reading's marks. See shared/scoring/marks.ts. */
export interface MarksTable {
  sheet_id: number;
  roll: string | null;
  variant: string | null;
  questions: number;
  /** packed: see packValues */
  choices: string;
  doubtful: number;
  variant_doubtful: Flag;
  /** what somebody may have to look at: see shared/scoring/notes.ts */
  notes: string;
  /** wrong values to be expected among those nobody is asked about */
  risk: number;
}
/** A pure function of marks and key version: replaced whenever either changes. */
export interface ResultsTable {
  sheet_id: number;
  batch_id: string;
  task_id: string | null;
  key_id: string | null;
  key_version: number | null;
  roll: string | null;
  variant: string | null;
  score: number | null;
  max_score: number | null;
  correct: number | null;
  wrong: number | null;
  blank: number | null;
  multiple: number | null;
  doubtful: number;
  /** why there is no score */
  unscored: string | null;
}
/** What was read, one row an answer. What it earns is worked out from the result's key version when it is asked for. */
export interface AnswersTable {
  sheet_id: number;
  question: number;
  value: string;
  confidence: number;
  /** names joined by a space, '' for none */
  flags: string;
}
/** Batches whose sheets are to be scored again; written in the transaction that makes it so. */
export interface RescoresTable {
  batch_id: string;
  /** what made it so, for the audit: `key:physics@2` */
  reason: string;
  user_id: string | null;
  requested_at: number;
}
export interface EventsTable {
  batch_id: string;
  seq: number;
  type: string;
  data: string;
  at: number;
}
/** Append-only. What a page's corrections come to is shared/review.ts. */
export interface CorrectionsTable {
  correction_id: string;
  batch_id: string;
  sheet_id: number;
  field: string;
  /** null takes a decision back */
  value: string | null;
  previous: string | null;
  reason: string | null;
  user_id: string;
  /** the person's, at that time */
  role: string;
  /** the outbox it came by */
  client_id: string;
  /** the newest correction of the page that the person had seen */
  base_rev: number;
  /** counts the page's corrections */
  rev: number;
  created_at: number;
}
/** How far the outbox of one user on one device has been taken. */
export interface SyncClientsTable {
  client_id: string;
  user_id: string;
  last_mid: number;
  seen_at: number;
}
/** What became of mutations whose answer may have been lost; JSON. Forgotten when the client has heard. */
export interface SyncOutcomesTable {
  client_id: string;
  mid: number;
  outcome: string;
}
export interface SequencesTable {
  scope: string;
  seq: number;
}
/** One row an entity, latest wins: a cold client pulls state, not history. The type `all` stands for everything in the
 *  scope: whoever is behind it begins anew. */
export interface ChangesTable {
  scope: string;
  entity_type: string;
  entity_id: string;
  seq: number;
  deleted: Flag;
}
export interface AuditTable {
  seq: number;
  at: number;
  user_id: string | null;
  device: string | null;
  action: string;
  subject: string;
  before_value: string | null;
  after_value: string | null;
  previous_hash: string;
  hash: string;
}

export interface Schema {
  settings: SettingsTable;
  centres: CentresTable;
  exams: ExamsTable;
  users: UsersTable;
  user_centres: UserCentresTable;
  sessions: SessionsTable;
  refresh_tokens: RefreshTokensTable;
  login_failures: LoginFailuresTable;
  templates: TemplatesTable;
  answer_keys: AnswerKeysTable;
  tasks: TasksTable;
  batches: BatchesTable;
  uploads: UploadsTable;
  chunks: ChunksTable;
  stages: StagesTable;
  sheet_groups: SheetGroupsTable;
  pages: PagesTable;
  readings: ReadingsTable;
  marks: MarksTable;
  results: ResultsTable;
  answers: AnswersTable;
  rescores: RescoresTable;
  events: EventsTable;
  corrections: CorrectionsTable;
  sequences: SequencesTable;
  changes: ChangesTable;
  sync_clients: SyncClientsTable;
  sync_outcomes: SyncOutcomesTable;
  audit: AuditTable;
}

export type Tx = Transaction<Schema>;

export interface Database {
  readonly kind: 'sqlite' | 'mysql';
  /** For reading outside a transaction; SQLite refuses to write through it. */
  readonly sql: Kysely<Schema>;
  /** Runs `work` in one write transaction: all of it is durable when the promise resolves, none of it when it rejects.
   *  Deadlocks and a busy database are tried again, so `work` may run more than once and must do nothing but SQL. What
   *  it reads in order to change it, it reads with `forUpdate()`: on MySQL others write at the same time. */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Inserts the rows whose key is not there yet and leaves the others as they are; returns how many were new. */
  insertNew<K extends keyof Schema & string>(tx: Tx, table: K, rows: readonly Schema[K][]): Promise<number>;
  /** Inserts the rows, or overwrites those with the same primary key. */
  upsert<K extends keyof Schema & string>(tx: Tx, table: K, rows: readonly Schema[K][]): Promise<void>;
  /** Adds `by` to the named sequence and returns the new value; the row stays locked until the transaction ends, so
   *  commit order is sequence order. */
  nextSeq(tx: Tx, scope: string, by?: number): Promise<number>;
  /** Loads a file of RFC 4180 lines without a header (LF or CRLF, \N for NULL) into `table`; returns the rows loaded. */
  bulkLoad<K extends keyof Schema & string>(
    tx: Tx,
    table: K,
    columns: readonly (keyof Schema[K] & string)[],
    file: string,
  ): Promise<number>;
  /** Whether an error says that the database could not be reached, so that it tells nothing about what was tried. */
  isAway(error: unknown): boolean;
  /** Brings an empty or older database to the present schema; several processes may call it at once. */
  migrate(): Promise<void>;
  close(): Promise<void>;
}
