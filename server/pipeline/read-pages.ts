// Reading: a group of pages, one after the other, decoded while the one before it is read. What each page told is
// committed with its counters and its events in one transaction, a few pages at a time; a page that cannot be read is a
// failed sheet with a reason [P2].
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { ENGINE_VERSION, readPage } from '../../shared/omr/read-page.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import type { LoggedEvent } from '../../shared/protocol/stream.ts';
import { marksOf, packValues } from '../../shared/scoring/marks.ts';
import { notesOf, packNotes, riskOf } from '../../shared/scoring/notes.ts';
import { scorer } from '../../shared/scoring/score.ts';
import type { Template } from '../../shared/template/template.ts';
import type { BatchesTable, Database, PagesTable, Tx } from '../adapters/database.ts';
import { isActive } from '../batches/life.ts';
import { append, iso, type Logged, progressData } from '../progress/log.ts';
import { type EntryBytes, readEntry } from '../uploads/zip.ts';
import type { StepDeps } from './steps.ts';

/** Pages committed together: about a quarter of a second's work, so that watchers see them come. A commit is an fdatasync and a
 *  dozen statements, whatever it holds. */
const PAGES_A_COMMIT = 16;
/** A page that has killed its reader this often is given up. */
const MOST_ATTEMPTS = 3;

/** Pages that one job reads, of a batch of so many: a small batch is shared by many workers, a big one is not cut to crumbs. */
export const pagesAJob = (total: number): number => Math.min(32, Math.max(4, Math.ceil(total / 16)));

export interface Dealt {
  /** which of the batch's groups it is, from 0 */
  place: number;
  first: number;
  count: number;
}

/** The groups of pages that can be read now, in order: each begins at a multiple of `pagesAJob`. One goes out when all of it
 *  has landed, so that one job reads it once. Counted in SQL: it is asked with every chunk that lands. */
export async function groupsToRead(
  db: Pick<Database, 'sql'>,
  { batch_id, total_pages }: Pick<BatchesTable, 'batch_id' | 'total_pages'>,
): Promise<Dealt[]> {
  const size = pagesAJob(total_pages);
  const unread = await db.sql
    .selectFrom('pages')
    .select((eb) => [
      sql<number>`page_index - page_index % ${sql.lit(size)}`.as('first'),
      eb.fn.sum<number>(eb.case().when('state', '=', 'absent').then(1).else(0).end()).as('absent'),
    ])
    .where('batch_id', '=', batch_id)
    .where('state', 'in', ['absent', 'waiting', 'reading'])
    .groupBy('first')
    .orderBy('first')
    .execute();
  return unread
    .filter(({ absent }) => Number(absent) === 0) // MySQL's sums are decimals, which arrive as text
    .map(({ first }) => ({ place: first / size, first, count: Math.min(size, total_pages - first) }));
}

type Told =
  | { page: PagesTable; ok: true; reading: Reading; sha256: string; at: number; durationMs: number }
  | { page: PagesTable; ok: false; reason: string; kind: 'damaged-sheet' | null; at: number; durationMs: number };

/** Reads the pages `first` … `first + count − 1` that are not done yet. Resolves with whether the whole batch is read. */
export async function readPages(
  batchId: string,
  first: number,
  count: number,
  deps: StepDeps,
  signal?: AbortSignal,
): Promise<boolean> {
  const { db, blobs } = deps;
  const upload = await db.sql
    .selectFrom('uploads')
    .select('upload_id')
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
  if (!upload) return false; // purged while its jobs were queued
  const pages = await db.sql
    .selectFrom('pages')
    .selectAll()
    .where('batch_id', '=', batchId)
    .where('page_index', '>=', first)
    .where('page_index', '<', first + count)
    .where('state', 'in', ['waiting', 'reading'])
    .orderBy('page_index')
    .execute();
  const templates = await deps.templates();
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    // the pages of one file follow one another
    let last: { offset: number; entry: Promise<EntryBytes> } | null = null;
    const load = async (page: PagesTable): Promise<Loaded> => {
      const again = page.part !== null && last?.offset === page.file_offset ? last.entry : null;
      const reading =
        again ?? readEntry(file, { ...page, offset: page.file_offset, compressedSize: page.compressed_size });
      last = page.part === null ? null : { offset: page.file_offset, entry: reading };
      const entry = await reading;
      if (!entry.ok) return entry;
      const decoded = await deps.decode(entry.bytes, page.part ?? undefined);
      return decoded.ok ? { ...decoded, sha256: createHash('sha256').update(entry.bytes).digest('hex') } : decoded;
    };
    const left = [...pages];
    let claimed: PagesTable[] = [];
    let told: Told[] = [];
    /** decoded off this thread while the page before it is read on it, and while that one is committed */
    let ahead: { page: PagesTable; loaded: Promise<Loaded> } | null = null;
    for (;;) {
      // After a crash they go one by one, so that only the page that caused it uses up its attempts.
      const alone = (left[0]?.attempts ?? 0) > 0;
      if (claimed.length === 0 && left.length > 0 && !signal?.aborted && !(alone && ahead)) {
        claimed = await commit(batchId, told, left.splice(0, alone ? 1 : PAGES_A_COMMIT), deps);
        told = [];
      }
      const current: typeof ahead = ahead;
      const next = claimed.shift();
      ahead = next ? { page: next, loaded: load(next) } : null;
      ahead?.loaded.catch(() => undefined); // awaited in its own turn
      if (current) {
        const started = performance.now();
        told.push(tellPage(current.page, await current.loaded, templates, started));
      } else if (!ahead && (left.length === 0 || signal?.aborted)) break;
    }
    if (told.length > 0) {
      await commit(batchId, told, [], deps);
    }
    return await isRead(batchId, deps);
  } finally {
    await file.close();
  }
}

async function isRead(batchId: string, { db }: StepDeps): Promise<boolean> {
  const batch = await db.sql
    .selectFrom('batches')
    .select(['done_pages', 'total_pages', 'uploaded_at'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
  return batch !== undefined && batch.uploaded_at !== null && batch.done_pages >= batch.total_pages;
}

type Loaded = { ok: true; image: Parameters<typeof readPage>[0]; sha256: string } | { ok: false; reason: string };

function tellPage(page: PagesTable, loaded: Loaded, templates: readonly Template[], started: number): Told {
  const done = () => ({ at: Date.now(), durationMs: Math.max(1, Math.round(performance.now() - started)) });
  if (!loaded.ok) return { page, ok: false, reason: `${page.name}: ${loaded.reason}`, kind: null, ...done() };
  const reading = readPage(loaded.image, templates);
  if (reading.kind === 'foreign') {
    // A page full of bubbles was no cover; any other may have been one.
    const kind = reading.looks_like === 'sheet' ? 'damaged-sheet' : null;
    return { page, ok: false, reason: `${page.name}: ${reading.reason}`, kind, ...done() };
  }
  return { page, ok: true, reading, sha256: loaded.sha256, ...done() };
}

/** Commits what was told and claims the next pages, in one transaction; returns those that are to be read. */
async function commit(
  batchId: string,
  told: readonly Told[],
  next: readonly PagesTable[],
  deps: StepDeps,
): Promise<PagesTable[]> {
  const { db, announce } = deps;
  const { logged, claimed } = await db.write(async (tx) => {
    const now = Date.now();
    const events: LoggedEvent[] = [];
    const count = { done: 0, covers: 0, blank: 0, failed: 0 };
    const wanted = next.length > 0 && (await isWanted(tx, batchId)) ? next : [];
    const found = await unread(tx, [...told.map(({ page }) => page), ...wanted]);
    const changed: PagesTable[] = [];
    const kept: (Told & { ok: true })[] = [];
    for (const one of told) {
      const page = found.get(one.page.sheet_id);
      // Another reader of the same job was first: its reading stands, and is the same.
      if (page?.state !== 'reading') continue;
      changed.push({
        ...page,
        state: one.ok ? 'done' : 'failed',
        kind: one.ok ? one.reading.kind : one.kind,
        finished_at: one.at,
        duration_ms: one.durationMs,
        error_message: one.ok ? null : one.reason,
      });
      count.done++;
      events.push(itemEvent(one));
      if (one.ok) kept.push(one);
      else count.failed++;
      if (one.ok && one.reading.kind === 'cover') count.covers++;
      if (one.ok && one.reading.kind === 'blank') count.blank++;
    }
    const toRead: PagesTable[] = [];
    for (const { sheet_id } of wanted) {
      const page = found.get(sheet_id);
      if (!page) continue;
      const attempts = page.attempts + 1;
      if (attempts > MOST_ATTEMPTS) {
        const reason = `${page.name}: it could not be read in ${MOST_ATTEMPTS} attempts (the reader ended, or its bytes could not be fetched) and was set aside. Look at the image, or scan the sheet again`;
        changed.push({ ...page, attempts, state: 'failed', error_message: reason, finished_at: now });
        count.done++;
        count.failed++;
        events.push(itemEvent({ page, ok: false, reason, kind: null, at: now, durationMs: 0 }));
        continue;
      }
      const claimed = { ...page, attempts, state: 'reading', started_at: now };
      changed.push(claimed);
      toRead.push(claimed);
      if (attempts === 1) {
        events.push({
          type: 'item.started',
          data: { item_id: String(sheet_id), item_index: page.page_index, started_at: iso(now) },
        });
      }
    }
    await db.upsert(tx, 'pages', changed);
    await keepReadings(tx, deps, batchId, kept);
    if (count.done > 0) await addUp(tx, batchId, count, now);
    const milestone = count.done > 0 ? await milestoneOf(tx, batchId, count.done, now) : [];
    return { logged: await append(tx, batchId, [...events, ...milestone], now), claimed: toRead };
  });
  announce(logged as Logged[]);
  return claimed;
}

/** Those of the pages that are not done, as they are now, held until the commit. */
async function unread(tx: Tx, pages: readonly PagesTable[]): Promise<Map<number, PagesTable>> {
  if (pages.length === 0) return new Map();
  const rows = await tx
    .selectFrom('pages')
    .selectAll()
    .where(
      'sheet_id',
      'in',
      pages.map(({ sheet_id }) => sheet_id),
    )
    .where('state', 'in', ['waiting', 'reading'])
    .forUpdate()
    .execute();
  return new Map(rows.map((row) => [row.sheet_id, row]));
}

/** Whether the batch is still to be read: it may have been paused, cancelled or deleted since the last pages. */
async function isWanted(tx: Tx, batchId: string): Promise<boolean> {
  const batch = await tx
    .selectFrom('batches')
    .select(['status', 'deleted_at'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
  return batch !== undefined && batch.deleted_at === null && isActive(batch.status);
}

async function keepReadings(
  tx: Tx,
  { db }: StepDeps,
  batch_id: string,
  told: readonly (Told & { ok: true })[],
): Promise<void> {
  await db.upsert(
    tx,
    'readings',
    told.map(({ reading, page, sha256, at }) => ({
      sheet_id: page.sheet_id,
      engine_version: ENGINE_VERSION,
      template_id: reading.kind === 'sheet' ? reading.template_id : null,
      template_version: reading.kind === 'sheet' ? reading.template_version : null,
      image_sha256: sha256,
      content: JSON.stringify(reading),
      created_at: at,
    })),
  );
  const sheets = told.flatMap(({ reading, page: { sheet_id } }) =>
    reading.kind === 'sheet' ? { sheet_id, sheet: reading, marks: marksOf(reading) } : [],
  );
  await db.upsert(
    tx,
    'marks',
    sheets.map(({ sheet_id, sheet, marks }) => ({
      sheet_id,
      roll: marks.roll,
      variant: marks.variant,
      questions: marks.values.length,
      choices: packValues(marks.values),
      doubtful: marks.doubtful,
      variant_doubtful: marks.doubtful_unlisted === marks.doubtful ? 1 : 0,
      notes: packNotes(notesOf(sheet)),
      risk: riskOf(sheet),
    })),
  );
  // Unscored until the final load, so that the office sees whose sheets have come.
  await db.upsert(
    tx,
    'results',
    sheets.map(({ sheet_id, marks }) => ({
      sheet_id,
      batch_id,
      task_id: null,
      key_id: null,
      key_version: null,
      score: null,
      max_score: null,
      correct: null,
      wrong: null,
      ...provisional(marks),
    })),
  );
}

function provisional(marks: ReturnType<typeof marksOf>) {
  const { roll, variant, blank, multiple, doubtful, unscored } = scorer(null).score(marks);
  return { roll, variant, blank, multiple, doubtful, unscored };
}

const itemEvent = (told: Told): LoggedEvent =>
  told.ok
    ? {
        type: 'item.completed',
        data: {
          item_id: String(told.page.sheet_id),
          item_index: told.page.page_index,
          sheet_id: String(told.page.sheet_id),
          duration_ms: told.durationMs,
          completed_at: iso(told.at),
        },
      }
    : {
        type: 'item.failed',
        data: {
          item_id: String(told.page.sheet_id),
          item_index: told.page.page_index,
          error_message: told.reason,
          retry_count: Math.max(0, told.page.attempts),
          will_retry: false,
        },
      };

async function addUp(
  tx: Tx,
  batchId: string,
  count: { done: number; covers: number; blank: number; failed: number },
  now: number,
): Promise<void> {
  await tx
    .updateTable('batches')
    .set((eb) => ({
      done_pages: eb('done_pages', '+', count.done),
      covers: eb('covers', '+', count.covers),
      blank_pages: eb('blank_pages', '+', count.blank),
      failed_sheets: eb('failed_sheets', '+', count.failed),
      processing_started_at: eb.fn.coalesce('processing_started_at', eb.val(now)),
    }))
    .where('batch_id', '=', batchId)
    .execute();
}

/** One message for each twentieth of the batch: the log of a big batch stays as short as that of a small one. */
async function milestoneOf(tx: Tx, batchId: string, added: number, now: number): Promise<LoggedEvent[]> {
  const batch = await tx
    .selectFrom('batches')
    .select(['done_pages', 'total_pages', 'covers', 'status'])
    .where('batch_id', '=', batchId)
    .executeTakeFirstOrThrow();
  // Until the upload is sealed the stage is `uploading`; its messages carry the count of sheets.
  if (batch.status !== 'processing' && batch.status !== 'reprocessing') return [];
  const twentieth = (pages: number) => Math.floor((pages * 20) / Math.max(1, batch.total_pages));
  if (twentieth(batch.done_pages) === twentieth(batch.done_pages - added)) return [];
  const message = `Progress: ${batch.done_pages - batch.covers}/${batch.total_pages - batch.covers} sheets completed`;
  // 100 % is said when the pages are organised: that stage's end comes first.
  const percentage = Math.min(99.9, (batch.done_pages / batch.total_pages) * 100);
  return [
    {
      type: 'progress',
      data: await progressData(tx, batchId, { stage: 'processing_sheets', message, percentage }, now),
    },
  ];
}
