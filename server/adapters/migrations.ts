// How an empty or older database becomes the present one: numbered steps, forward only, each with its reason. One text
// serves both dialects; what differs between them is the small vocabulary of column types. A step that has been
// released never changes: what it got wrong is put right by the next.

export interface Dialect {
  /** an id or another short text that may be a key */
  id: string;
  /** short text that is searched or sorted by, up to 255 characters */
  line: string;
  /** text of any length */
  text: string;
  /** a whole number up to 2^53 */
  int: string;
  real: string;
  /** ends a table */
  table: string;
  /** ends a table that is always asked by its primary key and has short rows: they lie in key order */
  keyed: string;
}

/** STRICT makes SQLite refuse what MySQL refuses: text in a number's column. */
export const SQLITE: Dialect = {
  id: 'text',
  line: 'text',
  text: 'text',
  int: 'integer',
  real: 'real',
  table: 'strict',
  keyed: 'strict, without rowid',
};

const INNODB = 'engine=InnoDB row_format=dynamic default charset=utf8mb4 collate=utf8mb4_bin';
/** 191 letters of four bytes fit a key of 767 bytes; binary collation, since ids differ by case. */
export const MYSQL: Dialect = {
  id: 'varchar(191)',
  line: 'varchar(255)',
  text: 'longtext',
  int: 'bigint',
  real: 'double',
  table: INNODB,
  keyed: INNODB,
};

export interface Migration {
  number: number;
  reason: string;
  statements(type: Dialect): readonly string[];
}

export const MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    reason:
      'the first schema: people, tasks, uploads, batches, readings and results, the event log and the audit trail',
    statements: ({ id, line, text, int, real, table, keyed }) => [
      `create table settings (name ${id} not null primary key, value ${text} not null) ${table}`,
      `create table centres (centre_id ${id} not null primary key, name ${line} not null) ${table}`,
      `create table exams (exam_id ${id} not null primary key, name ${line} not null) ${table}`,

      `create table users (
        user_id ${id} not null primary key, username ${id} not null, password_hash ${text} not null, role ${id} not null,
        must_change_password ${int} not null, disabled ${int} not null, created_at ${int} not null) ${table}`,
      'create unique index users_username on users (username)',
      `create table user_centres (
        user_id ${id} not null, centre_id ${id} not null, primary key (user_id, centre_id)) ${keyed}`,
      `create table sessions (
        session_id ${id} not null primary key, user_id ${id} not null, device ${text} not null, address ${id},
        created_at ${int} not null, last_used_at ${int} not null, revoked_at ${int}) ${table}`,
      'create index sessions_user on sessions (user_id)',
      `create table refresh_tokens (
        token_hash ${id} not null primary key, session_id ${id} not null, created_at ${int} not null, used_at ${int})
        ${keyed}`,
      'create index refresh_tokens_session on refresh_tokens (session_id)',
      'create index refresh_tokens_created on refresh_tokens (created_at)',
      `create table login_failures (
        scope ${id} not null primary key, failures ${int} not null, last_at ${int} not null,
        blocked_until ${int} not null) ${keyed}`,

      `create table templates (
        template_id ${id} not null, version ${int} not null, content ${text} not null, created_by ${id},
        created_at ${int} not null, primary key (template_id, version)) ${table}`,
      `create table answer_keys (
        key_id ${id} not null, version ${int} not null, state ${id} not null, content ${text} not null, rev ${int} not null,
        created_by ${id}, edited_by ${id}, published_by ${id}, created_at ${int} not null, edited_at ${int} not null,
        published_at ${int}, primary key (key_id, version)) ${table}`,
      `create table tasks (
        task_id ${id} not null primary key, exam_id ${id} not null, centre_id ${id} not null, packet ${line},
        template_id ${id} not null, template_version ${int} not null, key_id ${id}, expected_count ${int},
        rev ${int} not null, created_at ${int} not null) ${table}`,
      'create index tasks_exam on tasks (exam_id)',
      'create index tasks_centre on tasks (centre_id)',
      'create index tasks_key on tasks (key_id)',

      `create table batches (
        batch_id ${id} not null primary key, batch_no ${int} not null, name ${line} not null, upload_type ${id} not null,
        task_id ${id}, status ${id} not null, resume_status ${id}, stage ${id} not null, message ${text} not null,
        progress_percentage ${real} not null, error_details ${text}, size ${int} not null, uploaded_by ${id} not null,
        centre_id ${id}, created_at ${int} not null, first_byte_at ${int}, uploaded_at ${int},
        processing_started_at ${int}, processing_completed_at ${int}, deleted_at ${int},
        directory_known ${int} not null, total_pages ${int} not null,
        covers ${int} not null, blank_pages ${int} not null, done_pages ${int} not null, failed_sheets ${int} not null,
        doubtful_sheets ${int} not null, total_answers ${int} not null, event_seq ${int} not null, rev ${int} not null)
        ${table}`,
      'create unique index batches_no on batches (batch_no)',
      'create index batches_created on batches (created_at)',
      'create index batches_status on batches (status, created_at)',
      'create index batches_owner on batches (uploaded_by, created_at)',
      'create index batches_centre on batches (centre_id, created_at)',

      `create table uploads (
        upload_id ${id} not null primary key, batch_id ${id} not null, client_upload_id ${id} not null,
        owner ${id} not null, token_hash ${id} not null, name ${line} not null, upload_type ${id} not null,
        size ${int} not null, chunk_size ${int} not null, files ${text}, grouping ${text}, state ${id} not null, sealing_at ${int}, reason ${text},
        epoch ${int} not null, created_at ${int} not null, last_byte_at ${int}) ${table}`,
      'create unique index uploads_client on uploads (owner, client_upload_id)',
      'create index uploads_batch on uploads (batch_id)',
      'create index uploads_token on uploads (token_hash)',
      'create index uploads_state on uploads (state, created_at)',
      `create table chunks (
        upload_id ${id} not null, chunk_index ${int} not null, state ${id} not null, landed ${int} not null,
        sha256 ${id} not null, epoch ${int} not null, contested ${int} not null, lease_id ${id}, lease_until ${int},
        verified_at ${int}, primary key (upload_id, chunk_index)) ${keyed}`,

      `create table stages (
        batch_id ${id} not null, stage ${id} not null, enqueued_at ${int}, started_at ${int} not null,
        finished_at ${int}, primary key (batch_id, stage)) ${keyed}`,
      `create table sheet_groups (
        batch_id ${id} not null, group_index ${int} not null, task_id ${id}, cover_page ${int},
        first_page ${int} not null, sheets ${int} not null, failed_sheets ${int} not null, state ${id} not null,
        suspicion ${text}, confirmed_key ${line}, primary key (batch_id, group_index)) ${keyed}`,
      'create index sheet_groups_task on sheet_groups (task_id)',
      `create table pages (
        sheet_id ${int} not null primary key, batch_id ${id} not null, page_index ${int} not null, name ${text} not null,
        file_offset ${int} not null, file_end ${int} not null, compressed_size ${int} not null, size ${int} not null, method ${int} not null,
        crc32 ${int}, part ${int}, state ${id} not null, kind ${id}, attempts ${int} not null, started_at ${int}, finished_at ${int},
        duration_ms ${real}, error_message ${text}, group_index ${int}, task_id ${id}) ${table}`,
      'create unique index pages_index on pages (batch_id, page_index)',
      'create index pages_state on pages (batch_id, state)',
      `create table readings (
        sheet_id ${int} not null primary key, engine_version ${int} not null, template_id ${id},
        template_version ${int}, image_sha256 ${id} not null, content ${text} not null, created_at ${int} not null)
        ${table}`,
      `create table marks (
        sheet_id ${int} not null primary key, roll ${id}, variant ${id}, questions ${int} not null, choices ${text} not null,
        doubtful ${int} not null, variant_doubtful ${int} not null, notes ${text} not null, risk ${real} not null)
        ${table}`,
      `create table results (
        sheet_id ${int} not null primary key, batch_id ${id} not null, task_id ${id}, key_id ${id}, key_version ${int},
        roll ${id}, variant ${id}, score ${real}, max_score ${real}, correct ${int}, wrong ${int}, blank ${int},
        multiple ${int}, doubtful ${int} not null, unscored ${id}) ${table}`,
      'create index results_batch on results (batch_id)',
      'create index results_task on results (task_id)',
      `create table answers (
        sheet_id ${int} not null, question ${int} not null, value ${id} not null, confidence ${real} not null,
        flags ${id} not null, primary key (sheet_id, question)) ${keyed}`,
      `create table rescores (
        batch_id ${id} not null primary key, reason ${line} not null, user_id ${id}, requested_at ${int} not null)
        ${table}`,

      `create table events (
        batch_id ${id} not null, seq ${int} not null, type ${id} not null, data ${text} not null, at ${int} not null,
        primary key (batch_id, seq)) ${keyed}`,
      `create table corrections (
        correction_id ${id} not null primary key, batch_id ${id} not null, sheet_id ${int} not null, field ${id} not null,
        value ${text}, previous ${text}, reason ${text}, user_id ${id} not null, role ${id} not null,
        client_id ${id} not null, base_rev ${int} not null, rev ${int} not null, created_at ${int} not null) ${table}`,
      'create unique index corrections_sheet on corrections (sheet_id, rev)',
      'create index corrections_batch on corrections (batch_id)',

      `create table sequences (scope ${id} not null primary key, seq ${int} not null) ${keyed}`,
      `create table changes (
        scope ${id} not null, entity_type ${id} not null, entity_id ${id} not null, seq ${int} not null,
        deleted ${int} not null, primary key (scope, entity_type, entity_id)) ${keyed}`,
      'create index changes_seq on changes (scope, seq)',
      // There from the start, so that whoever changes the office finds a row to lock.
      `insert into sequences (scope, seq) select 'office', 0 from (select 1 as one) as none
        where not exists (select seq from sequences where scope = 'office')`,
      `create table sync_clients (
        client_id ${id} not null primary key, user_id ${id} not null, last_mid ${int} not null, seen_at ${int} not null)
        ${keyed}`,
      `create table sync_outcomes (
        client_id ${id} not null, mid ${int} not null, outcome ${text} not null, primary key (client_id, mid)) ${table}`,
      `create table audit (
        seq ${int} not null primary key, at ${int} not null, user_id ${id}, device ${text}, action ${id} not null,
        subject ${id} not null, before_value ${text}, after_value ${text}, previous_hash ${id} not null,
        hash ${id} not null) ${table}`,
      'create index audit_subject on audit (subject)',
      'create index audit_user on audit (user_id)',
    ],
  },
];

/** The table in which a database keeps what has been done to it. */
export const migrationsTable = ({ int, text, table }: Dialect): string =>
  `create table if not exists migrations (
    number ${int} not null primary key, reason ${text} not null, applied_at ${int} not null) ${table}`;

/** The steps still to do for a database whose newest step is `present` (0 for an empty one). Throws when the database
 *  is newer than this program. */
export function pendingMigrations(present: number, migrations = MIGRATIONS): readonly Migration[] {
  const newest = migrations.at(-1)?.number ?? 0;
  if (present > newest)
    throw new Error(
      `The database was made by a newer Sheaf: its schema is number ${present}, this program knows up to ${newest}. ` +
        'Install that version again, or restore a backup from before it.',
    );
  return migrations.filter(({ number }) => number > present);
}
