// The order of the pipeline, and the only place that knows it. One job a batch walks the steps; one job a group of pages
// reads. Jobs carry ids and nothing else: what is done and what is to do stands in SQL, so Redis may be wiped at any
// moment and the reconciler finds what is left [P4].
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type Job, type Queue, UnrecoverableError } from 'bullmq';
import type { Stage } from '../../shared/protocol/stage.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { failBatch } from '../batches/fail.ts';
import { HELD } from '../batches/grouping.ts';
import { ACTIVE, isActive, move } from '../batches/life.ts';
import { append, progressData } from '../progress/log.ts';
import { extract } from './extract.ts';
import { organize } from './organize.ts';
import { learnAndRelease } from './pages.ts';
import { groupsToRead, readPages } from './read-pages.ts';
import { cleanUp, collect, load, writeCsv } from './results.ts';
import { counted, type Outcome, type Step, type StepDeps } from './steps.ts';

/**
 *   uploading ─▶ extracting ─▶ organizing_qr ────▶ collecting_results ─▶ generating_csv ─▶ loading_database ─▶ cleanup ─▶ completed
 *   (uploads/)              └▶ processing_sheets ┘
 *                              (jobs of pages; organize waits until every page is done, and ends both stages)
 */
export const ORDER: readonly { stage: Stage; run: Step }[] = [
  { stage: 'extracting', run: extract },
  { stage: 'organizing_qr', run: organize },
  { stage: 'collecting_results', run: collect },
  { stage: 'generating_csv', run: writeCsv },
  { stage: 'loading_database', run: load },
  { stage: 'cleanup', run: cleanUp },
];

export const BATCH_QUEUE = 'batches';
export const PAGE_QUEUE = 'pages';
export interface BatchJob {
  batch_id: string;
}
export interface PageJob {
  batch_id: string;
  first: number;
  count: number;
}
export interface Queues {
  batches: Queue<BatchJob>;
  pages: Queue<PageJob>;
}

/** One such job at a time: asked for again while it waits, it is the same; while it runs, it runs once more after. */
const once = (id: string) => ({ id, keepLastIfActive: true });

/** What is over is taken out: what is still to do stands in SQL, and the reconciler puts it in again. */
const JOB = { attempts: 5, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: true, removeOnFail: true };

export async function wakeBatch({ batches }: Pick<Queues, 'batches'>, batch_id: string): Promise<void> {
  await batches.add('walk', { batch_id }, { ...JOB, deduplication: once(batch_id) });
}

/** Puts the groups of pages in that still hold unread ones; those that are queued already are not doubled. */
async function dispatchPages(db: Database, { pages }: Queues, batch: BatchesTable): Promise<void> {
  const { batch_id } = batch;
  const jobs = (await groupsToRead(db, batch)).map(({ place, first, count }) => ({
    name: 'read',
    data: { batch_id, first, count },
    // The k-th groups of all batches come before any (k+1)-th: a small batch is not stuck behind a big one.
    opts: { ...JOB, deduplication: once(`${batch_id}-${first}`), priority: place + 1 },
  }));
  if (jobs.length > 0) await pages.addBulk(jobs);
}

const findBatch = (db: Database, batchId: string): Promise<BatchesTable | undefined> =>
  db.sql.selectFrom('batches').selectAll().where('batch_id', '=', batchId).executeTakeFirst();

const isWanted = (batch: BatchesTable): boolean => isActive(batch.status) && batch.deleted_at === null;

/** While bytes arrive: reads what can be read of what has landed. An archive that cannot be read early waits for its seal. */
async function readEarly(batch: BatchesTable, deps: StepDeps, queues: Queues): Promise<void> {
  const { db } = deps;
  const upload = await db.sql
    .selectFrom('uploads')
    .selectAll()
    .where('batch_id', '=', batch.batch_id)
    .executeTakeFirst();
  if (upload?.state !== 'open') return;
  await learnAndRelease(batch, upload, deps);
  const known = await findBatch(db, batch.batch_id);
  if (known?.directory_known) await dispatchPages(db, queues, known);
}

/** Walks a batch from its first unfinished step as far as it goes. */
async function walk(batchId: string, deps: StepDeps, queues: Queues): Promise<void> {
  const { db } = deps;
  const arriving = await findBatch(db, batchId);
  if (!arriving) return rm(path.join(deps.workFolder, batchId), { recursive: true, force: true }); // purged on its way
  if (!isWanted(arriving)) return;
  if (arriving.status === 'uploading') return readEarly(arriving, deps, queues);
  for (const { stage, run } of ORDER) {
    const batch = await findBatch(db, batchId);
    if (!batch || !isWanted(batch)) return;
    const row = await db.sql
      .selectFrom('stages')
      .select('finished_at')
      .where('batch_id', '=', batchId)
      .where('stage', '=', stage)
      .executeTakeFirst();
    if (row?.finished_at) continue;
    const outcome: Outcome = await run(batch, deps);
    if (outcome === 'waiting') return dispatchPages(db, queues, batch);
    if (outcome !== 'done') return fail(batchId, outcome.failed, deps);
  }
  await complete(batchId, deps);
}

async function fail(batchId: string, reason: string, { db, announce }: StepDeps): Promise<void> {
  announce(await db.write((tx) => failBatch(tx, batchId, reason, Date.now())));
}

async function complete(batchId: string, { db, announce }: StepDeps): Promise<void> {
  const logged = await db.write(async (tx) => {
    const batch = await tx.selectFrom('batches').selectAll().where('batch_id', '=', batchId).executeTakeFirstOrThrow();
    const held = await tx
      .selectFrom('sheet_groups')
      .select('group_index')
      .where('batch_id', '=', batchId)
      .where('state', 'in', [...HELD])
      .execute();
    const at = Date.now();
    const status = batch.failed_sheets > 0 || held.length > 0 ? 'completed_with_errors' : 'completed';
    if (!(await move(tx, batchId, status))) return [];
    await tx.updateTable('batches').set({ processing_completed_at: at }).where('batch_id', '=', batchId).execute();
    await tx
      .insertInto('stages')
      .values({ batch_id: batchId, stage: 'completed', enqueued_at: null, started_at: at, finished_at: at })
      .execute();
    const sheets = batch.total_pages - batch.covers;
    const message =
      status === 'completed'
        ? 'Batch completed successfully'
        : `Batch completed: ${batch.failed_sheets} of ${counted(sheets, 'sheet')} failed, ${counted(held.length, 'group')} held for a person`;
    const data = await progressData(tx, batchId, { stage: 'completed', message, percentage: 100 }, at);
    return append(
      tx,
      batchId,
      [
        {
          type: 'batch.complete',
          data: {
            batch_id: batchId,
            status,
            total_items: sheets,
            completed_items: sheets - batch.failed_sheets,
            failed_items: batch.failed_sheets,
            total_duration_ms: at - (batch.first_byte_at ?? batch.created_at),
          },
        },
        { type: 'complete', data: { ...data, status, total_sheets: sheets, failed_sheets: batch.failed_sheets } },
      ],
      at,
    );
  });
  announce(logged);
}

/** What a worker process runs. */
export function createHandlers(deps: StepDeps, queues: Queues) {
  return {
    async batch(job: Job<BatchJob>): Promise<void> {
      const { batch_id } = job.data;
      try {
        await walk(batch_id, deps, queues);
      } catch (error) {
        // Without a database nothing is known of the batch, least of all that it has failed.
        if (job.attemptsMade + 1 < (job.opts.attempts ?? 1) || deps.db.isAway(error)) throw error;
        await fail(batch_id, `it stopped in a step that failed ${JOB.attempts} times: ${String(error)}`, deps);
        throw new UnrecoverableError(String(error));
      }
    },
    async pages(job: Job<PageJob>, signal?: AbortSignal): Promise<void> {
      const { batch_id, first, count } = job.data;
      const batch = await findBatch(deps.db, batch_id);
      if (!batch || !isWanted(batch)) return;
      if (await readPages(batch_id, first, count, deps, signal)) await wakeBatch(queues, batch_id);
    },
  };
}

/** Longer than any pause between two looks. */
const MOVING_MS = 60_000;

/** Puts back into the queues whatever active batches still need. Needs nothing from Redis but that it is there. */
export async function reconcile(db: Database, queues: Queues): Promise<void> {
  // An upload on which nothing moves has nothing new to read.
  const moving = db.sql
    .selectFrom('uploads')
    .select('batch_id')
    .where('last_byte_at', '>', Date.now() - MOVING_MS);
  const batches = await db.sql
    .selectFrom('batches')
    .select('batch_id')
    .where('status', 'in', ACTIVE)
    .where('deleted_at', 'is', null)
    .where((eb) => eb.or([eb('status', '!=', 'uploading'), eb('batch_id', 'in', moving)]))
    .execute();
  for (const { batch_id } of batches) await wakeBatch(queues, batch_id);
}
