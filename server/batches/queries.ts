// What the office asks about batches: lists, details, groups, sheets. Every query carries what the asking user may see.

import type * as v from 'valibot';
import {
  type BatchDetail,
  type BatchList,
  type BatchQuery,
  type BatchRow,
  type GroupRow,
  PAGE_SIZE,
  type SheetDetail,
  type SheetQuery,
  type SheetRow,
} from '../../shared/protocol/batch.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import type { BatchStatus, Stage } from '../../shared/protocol/stage.ts';
import { chunkCount } from '../../shared/protocol/upload.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { visible } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { finalAnswers } from '../corrections/answers.ts';
import { correctionsOf, correctionsOfSheets } from '../corrections/read.ts';
import { createJudge } from '../keys/judge.ts';
import { refuse } from '../problem.ts';
import { iso } from '../progress/log.ts';
import { verifiedCount } from '../uploads/ledger.ts';
import { settledBy } from './grouping.ts';
import { hasEnded } from './life.ts';

const time = (at: number | null): string | null => (at === null ? null : iso(at));

/** The batch, when it exists and `user` may know of it; otherwise 404. */
export async function findVisible(db: Database, user: User, batchId: string): Promise<BatchesTable> {
  const batch = await db.sql
    .selectFrom('batches')
    .selectAll()
    .where('batch_id', '=', batchId)
    .where(visible(user))
    .executeTakeFirst();
  return (
    batch ??
    refuse(
      'NOT_FOUND',
      `There is no batch ${batchId}, or it is not one of yours. GET /api/batches lists those you may see.`,
    )
  );
}

export const batchRow = (batch: BatchesTable, uploaded_by: string): BatchRow => ({
  batch_id: batch.batch_id,
  name: batch.name,
  upload_type: batch.upload_type,
  status: batch.status as BatchStatus,
  task_id: batch.task_id,
  uploaded_by,
  centre: batch.centre_id,
  size: batch.size,
  total_sheets: batch.total_pages - batch.covers,
  processed_sheets: batch.done_pages - batch.covers,
  failed_sheets: batch.failed_sheets,
  doubtful_sheets: batch.doubtful_sheets,
  created_at: iso(batch.created_at),
  processing_started_at: time(batch.processing_started_at),
  processing_completed_at: time(batch.processing_completed_at),
  deleted_at: time(batch.deleted_at),
});

export async function listBatches(
  db: Database,
  user: User,
  query: v.InferOutput<typeof BatchQuery>,
): Promise<BatchList> {
  let rows = db.sql
    .selectFrom('batches')
    .innerJoin('users', 'users.user_id', 'batches.uploaded_by')
    .where(visible(user));
  rows = rows.where('deleted_at', query.deleted && user.role === 'admin' ? 'is not' : 'is', null);
  if (query.status) rows = rows.where('batches.status', '=', query.status);
  if (query.search) {
    const sought = query.search.toLowerCase();
    rows = rows.where((eb) =>
      eb.or(
        (['name', 'task_id', 'batch_id', 'username'] as const).map((column) => {
          const ref = column === 'username' ? 'users.username' : (`batches.${column}` as const);
          // Not LIKE: a % or _ that is searched for means itself.
          return eb(eb.fn<number>('instr', [eb.fn('lower', [ref]), eb.val(sought)]), '>', 0);
        }),
      ),
    );
  }
  const { total } = await rows.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  const sort = {
    created_at: 'batches.created_at',
    name: 'batches.name',
    status: 'batches.status',
    total_sheets: 'batches.total_pages',
    uploaded_by: 'users.username',
  } as const;
  const found = await rows
    .selectAll('batches')
    .select('username')
    .orderBy(sort[query.sort], query.order)
    .orderBy('batches.batch_no', query.order)
    .limit(PAGE_SIZE)
    .offset((query.page - 1) * PAGE_SIZE)
    .execute();
  return {
    items: found.map((batch) => batchRow(batch, batch.username)),
    total: Number(total),
    page: query.page,
    pages: Math.max(1, Math.ceil(Number(total) / PAGE_SIZE)),
  };
}

export async function batchDetail(db: Database, batch: BatchesTable): Promise<BatchDetail> {
  const { batch_id } = batch;
  const who = await db.sql
    .selectFrom('users')
    .select('username')
    .where('user_id', '=', batch.uploaded_by)
    .executeTakeFirst();
  const stages = await db.sql
    .selectFrom('stages')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .orderBy('started_at')
    .execute();
  const upload = await db.sql.selectFrom('uploads').selectAll().where('batch_id', '=', batch_id).executeTakeFirst();
  const began = batch.first_byte_at;
  const [started, ended] = [batch.processing_started_at, batch.processing_completed_at];
  return {
    ...batchRow(batch, who?.username ?? ''),
    stage: batch.stage as Stage,
    message: batch.message,
    error_details: batch.error_details,
    provisional: !hasEnded(batch.status),
    total_pages: batch.total_pages,
    covers: batch.covers,
    blank_pages: batch.blank_pages,
    total_answers: batch.total_answers,
    uploaded_at: time(batch.uploaded_at),
    total_duration_ms: began !== null && ended !== null ? ended - began : null,
    extraction_duration_ms: began !== null && started !== null ? started - began : null,
    omr_duration_ms: started !== null && ended !== null ? ended - started : null,
    stages: stages.map((s) => ({
      stage: s.stage as Stage,
      started_at: iso(s.started_at),
      finished_at: time(s.finished_at),
      wait_ms: s.enqueued_at === null ? null : s.started_at - s.enqueued_at,
    })),
    upload: upload
      ? {
          upload_id: upload.upload_id,
          state: upload.state,
          chunks_verified: await verifiedCount(db.sql, upload.upload_id),
          total_chunks: chunkCount(upload.size, upload.chunk_size),
        }
      : null,
  };
}

const groupId = (batch: BatchesTable, index: number): string => `${batch.batch_no}-${index}`;

/** @param only the groups of these indexes; undefined: all */
export async function listGroups(db: Database, batch: BatchesTable, only?: readonly number[]): Promise<GroupRow[]> {
  const groups = await db.sql
    .selectFrom('sheet_groups')
    .leftJoin('tasks', 'tasks.task_id', 'sheet_groups.task_id')
    .selectAll('sheet_groups')
    .select(['exam_id as exam', 'centre_id as centre', 'template_id', 'key_id', 'expected_count'])
    .where('batch_id', '=', batch.batch_id)
    .orderBy('group_index')
    .execute();
  const scored = await db.sql
    .selectFrom('results')
    .innerJoin('pages', 'pages.sheet_id', 'results.sheet_id')
    .select(['group_index', (eb) => eb.fn.max('key_version').as('key_version')])
    .where('pages.batch_id', '=', batch.batch_id)
    .groupBy('group_index')
    .execute();
  const versions = new Map(scored.map(({ group_index, key_version }) => [group_index, key_version]));
  const covers = new Set(groups.flatMap(({ cover_page }) => cover_page ?? []));
  const said = [...settledBy(await correctionsOf(db.sql, batch.batch_id), covers)].sort(([a], [b]) => a - b);
  const tasks = [...new Set(groups.flatMap(({ task_id }) => task_id ?? []))];
  const others = tasks.length
    ? await db.sql
        .selectFrom('sheet_groups')
        .innerJoin('batches', 'batches.batch_id', 'sheet_groups.batch_id')
        .select('sheet_groups.task_id')
        .distinct()
        .where('sheet_groups.task_id', 'in', tasks)
        .where('sheet_groups.batch_id', '!=', batch.batch_id)
        .where('deleted_at', 'is', null)
        .execute()
    : [];
  const elsewhere = new Set(others.map(({ task_id }) => task_id));
  const words = (from: number, to = batch.total_pages) =>
    said.find(([page]) => page >= from && page < to)?.[1].what ?? null;
  const seen = new Set<string | null>([null]);
  const rows = groups.map(({ batch_id: _, group_index, suspicion, confirmed_key: __, ...group }) => {
    const notes: GroupRow['notes'] = seen.has(group.task_id) && group.task_id !== null ? ['same-task'] : [];
    if (group.task_id !== null && elsewhere.has(group.task_id)) notes.push('other-files');
    seen.add(group.task_id);
    return {
      ...group,
      key_version: versions.get(group_index) ?? null,
      group_id: groupId(batch, group_index),
      index: group_index,
      state: group.state as GroupRow['state'],
      settled: words(group.first_page, groups[group_index + 1]?.first_page),
      notes,
      suspicion: suspicion === null ? null : (JSON.parse(suspicion) as { message: string }).message,
    };
  });
  return only ? rows.filter(({ index }) => only.includes(index)) : rows;
}

/** Pages that are sheets, or may be: covers and blank pages are not. */
const sheetsOf = (db: Database, batch: BatchesTable) =>
  db.sql
    .selectFrom('pages')
    .leftJoin('results', 'results.sheet_id', 'pages.sheet_id')
    .where('pages.batch_id', '=', batch.batch_id)
    .where((eb) => eb.or([eb('kind', 'is', null), eb('kind', 'in', ['sheet', 'damaged-sheet'])]));

const SHEET_STATES = { waiting: ['waiting', 'reading'], read: ['done'], failed: ['failed'] } as const;

const SHEET_COLUMNS = [
  'pages.sheet_id',
  'page_index',
  'pages.name',
  'pages.state',
  'group_index',
  'pages.task_id',
  'error_message',
  'roll',
  'variant',
  'score',
  'max_score',
  'correct',
  'wrong',
  'blank',
  'multiple',
  'doubtful',
  'unscored',
] as const;

interface SheetColumns {
  sheet_id: number;
  page_index: number;
  name: string;
  state: string;
  group_index: number | null;
  task_id: string | null;
  error_message: string | null;
  roll: string | null;
  variant: string | null;
  score: number | null;
  max_score: number | null;
  correct: number | null;
  wrong: number | null;
  blank: number | null;
  multiple: number | null;
  doubtful: number | null;
  unscored: string | null;
}

const sheetRow = (batch: BatchesTable, { state, group_index, ...sheet }: SheetColumns): SheetRow => ({
  ...sheet,
  sheet_id: String(sheet.sheet_id),
  status: state === 'done' ? 'read' : state === 'failed' ? 'failed' : 'waiting',
  group_id: group_index === null ? null : groupId(batch, group_index),
  doubtful: sheet.doubtful ?? 0,
  unscored: sheet.unscored as SheetRow['unscored'],
  provisional: !hasEnded(batch.status),
});

export async function listSheets(db: Database, batch: BatchesTable, query: v.InferOutput<typeof SheetQuery>) {
  let sheets = sheetsOf(db, batch);
  if (query.status) sheets = sheets.where('pages.state', 'in', SHEET_STATES[query.status]);
  const { total } = await sheets.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  const found = await sheets
    .select(SHEET_COLUMNS)
    .orderBy('page_index')
    .limit(query.limit)
    .offset((query.page - 1) * query.limit)
    .execute();
  return {
    items: found.map((sheet) => sheetRow(batch, sheet)),
    total: Number(total),
    page: query.page,
    pages: Math.max(1, Math.ceil(Number(total) / query.limit)),
  };
}

const noSheet = (batch: BatchesTable, sheetId: string): never =>
  refuse(
    'NOT_FOUND',
    `Batch ${batch.batch_id} has no sheet ${sheetId}. GET /api/batches/${batch.batch_id}/sheets lists its sheets.`,
  );

/** The page behind a sheet id of the wire. */
export async function findPage(db: Database, batch: BatchesTable, sheetId: string) {
  if (!/^\d{1,15}$/.test(sheetId)) return noSheet(batch, sheetId);
  const page = await db.sql
    .selectFrom('pages')
    .selectAll()
    .where('batch_id', '=', batch.batch_id)
    .where('sheet_id', '=', Number(sheetId))
    .executeTakeFirst();
  return page ?? noSheet(batch, sheetId);
}

export async function sheetDetail(db: Database, batch: BatchesTable, sheetId: string): Promise<SheetDetail> {
  const page = await findPage(db, batch, sheetId);
  const sheet = await sheetsOf(db, batch)
    .select(SHEET_COLUMNS)
    .select(['key_id', 'key_version'])
    .where('pages.sheet_id', '=', page.sheet_id)
    .executeTakeFirst();
  if (!sheet) return noSheet(batch, sheetId);
  const reading = await db.sql
    .selectFrom('readings')
    .selectAll()
    .where('sheet_id', '=', page.sheet_id)
    .executeTakeFirst();
  const answers = await db.sql
    .selectFrom('answers')
    .selectAll()
    .where('sheet_id', '=', page.sheet_id)
    .orderBy('question')
    .execute();
  const { key_id, key_version, ...columns } = sheet;
  const corrections = (await correctionsOfSheets(db.sql, [page.sheet_id])).get(page.sheet_id) ?? [];
  const final = finalAnswers(answers, corrections);
  const judged = await createJudge(db)(sheet, final);
  return {
    ...sheetRow(batch, columns),
    key_version,
    batch_id: batch.batch_id,
    image_sha256: reading?.image_sha256 ?? null,
    engine_version: reading?.engine_version ?? null,
    reading: reading ? (JSON.parse(reading.content) as Reading) : null,
    answers: final.map((answer, i) => ({ ...answer, ...judged[i]! })),
    corrections,
  };
}
