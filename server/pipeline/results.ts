// From readings to rows of record: each sheet's marks against its task's key, after the wrong-key detector has looked at
// its packet. Collecting counts what was read, the CSV files hold every row exactly as the database will, and the load
// takes them in one transaction: results of record appear whole or not at all. How a sheet is scored is in keys/.

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reading } from '../../shared/protocol/reading.ts';
import type { Stage } from '../../shared/protocol/stage.ts';
import { marksOf, questionOf } from '../../shared/scoring/marks.ts';
import { csvLine, quoted } from '../adapters/csv-lines.ts';
import type { BatchesTable, ResultsTable, Tx } from '../adapters/database.ts';
import { LOADED, pagesHash } from '../audit/pages.ts';
import { audit } from '../audit.ts';
import { dropAnswersIfGone, storeAnswers } from '../batches/answers.ts';
import { scopeOf, tellAll } from '../changes.ts';
import { keyring, keysOf } from '../keys/keyring.ts';
import { type StoredSuspicion, scoreBatch, sheetsToScore } from '../keys/score-batch.ts';
import { beginStage, endStage, tell } from '../progress/log.ts';
import type { Step, StepDeps } from './steps.ts';

const RESULT_COLUMNS = [
  'sheet_id',
  'batch_id',
  'task_id',
  'key_id',
  'key_version',
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
] as const satisfies readonly (keyof ResultsTable)[];

async function start(
  deps: StepDeps,
  batchId: string,
  stage: Stage,
  message: string,
  also?: (tx: Tx) => Promise<void>,
): Promise<void> {
  const { db, announce } = deps;
  announce(
    await db.write(async (tx) => {
      const at = Date.now();
      if (!(await beginStage(db, tx, batchId, stage, at, at))) return [];
      const told = await tell(tx, batchId, { stage, message, percentage: 0 }, at);
      await also?.(tx);
      return told;
    }),
  );
}

async function finish(deps: StepDeps, batchId: string, stage: Stage, message: string): Promise<void> {
  const { db, announce } = deps;
  announce(
    await db.write(async (tx) => {
      const at = Date.now();
      return (await endStage(tx, batchId, stage, at)) ? tell(tx, batchId, { stage, message, percentage: 100 }, at) : [];
    }),
  );
}

export const collect: Step = async (batch, deps) => {
  const began = performance.now();
  await start(deps, batch.batch_id, 'collecting_results', 'Collecting results');
  const { n } = await deps.db.sql
    .selectFrom('readings')
    .innerJoin('pages', 'pages.sheet_id', 'readings.sheet_id')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('batch_id', '=', batch.batch_id)
    .where('kind', '=', 'sheet')
    .executeTakeFirstOrThrow();
  const took = ((performance.now() - began) / 1000).toFixed(2);
  await finish(deps, batch.batch_id, 'collecting_results', `Collected all ${n} results in ${took}s`);
  return 'done';
};

/** Few, so that their readings, ten kilobytes of JSON each, die young. */
const SHEETS_AT_ONCE = 25;
const SUSPICIONS = 'suspicions.json';

type Put = (text: string) => Promise<void>;

/** Every sheet's result, and what the wrong-key detector found. What scoring needs of the whole batch at once is let go of
 *  when this returns. */
async function writeResults(batch: BatchesTable, { db }: StepDeps, put: Put): Promise<[number, StoredSuspicion][]> {
  const { sheets, groups } = await sheetsToScore(db.sql, batch);
  const ring = await keyring(db.sql, [...new Set(groups.flatMap((group) => group.task_id ?? []))]);
  const { results, suspicions } = await scoreBatch(sheets, groups, ring);
  for (let from = 0; from < results.length; from += SHEETS_AT_ONCE) {
    const rows = results
      .slice(from, from + SHEETS_AT_ONCE)
      .map((result) => ({ batch_id: batch.batch_id, ...result }))
      .map((row) => csvLine(RESULT_COLUMNS.map((column) => row[column])));
    await put(rows.join(''));
  }
  return [...suspicions];
}

/** Every answer, from the readings; returns how many there are, and of how many sheets. */
async function writeAnswers(batch: BatchesTable, { db }: StepDeps, put: Put) {
  const count = { sheets: 0, answers: 0 };
  for (let after = -1; ; ) {
    const rows = await db.sql
      .selectFrom('pages')
      .innerJoin('readings', 'readings.sheet_id', 'pages.sheet_id')
      .select(['pages.sheet_id', 'page_index', 'content'])
      .where('batch_id', '=', batch.batch_id)
      .where('kind', '=', 'sheet')
      .where('page_index', '>', after)
      .orderBy('page_index')
      .limit(SHEETS_AT_ONCE)
      .execute();
    const last = rows.at(-1);
    if (!last) return count;
    after = last.page_index;
    let lines = '';
    for (const row of rows) {
      const reading = JSON.parse(row.content) as Reading;
      if (reading.kind !== 'sheet') continue;
      count.sheets++;
      const { values } = marksOf(reading);
      for (const { label, confidence, flags } of reading.fields) {
        const question = questionOf(label);
        const value = question === null ? null : values[question - 1];
        if (question === null || value == null) continue;
        const told = flags.length === 0 ? '""' : quoted(flags.join(' '));
        lines += `${row.sheet_id},${question},${quoted(value)},${confidence},${told}\n`;
        count.answers++;
      }
    }
    await put(lines);
    // A long batch would otherwise keep this process from everything else.
    await nextTurn();
  }
}

async function writeFiles(batch: BatchesTable, deps: StepDeps): Promise<{ sheets: number; answers: number }> {
  const folder = path.join(deps.workFolder, batch.batch_id);
  await mkdir(folder, { recursive: true });
  // Written under another name first: a file with the right name is a whole one.
  const part = (name: string) => path.join(folder, `${name}.${process.pid}.part`);
  const whole = async <T>(name: string, write: (put: Put) => Promise<T>): Promise<T> => {
    const stream = createWriteStream(part(name));
    const done = await write(async (text) => {
      if (!stream.write(text)) await once(stream, 'drain');
    });
    stream.end();
    await finished(stream);
    return done;
  };
  const suspicions = await whole('results.csv', (put) => writeResults(batch, deps, put));
  await writeFile(part(SUSPICIONS), JSON.stringify(suspicions));
  const count = await whole('answers.csv', (put) => writeAnswers(batch, deps, put));
  // The answers last: where they are, all is.
  for (const name of [SUSPICIONS, 'results.csv', 'answers.csv']) await rename(part(name), path.join(folder, name));
  return count;
}

/** A key that was published, or a correction that was made, while the files were written: the batch is to be scored again. */
async function isStale(tx: Tx, batch_id: string): Promise<boolean> {
  const corrected = await tx
    .selectFrom('corrections')
    .select('rev')
    .where('batch_id', '=', batch_id)
    .limit(1)
    .execute();
  if (corrected.length > 0) return true;
  const used = await tx
    .selectFrom('results')
    .select(['task_id', 'key_id', 'key_version'])
    .distinct()
    .where('batch_id', '=', batch_id)
    .where('task_id', 'is not', null)
    .execute();
  const now = await keysOf(tx, [...new Set(used.flatMap(({ task_id }) => task_id ?? []))]);
  return used.some(({ task_id, key_id, key_version }) => {
    const key = now.get(task_id ?? '');
    return (key?.key_id ?? null) !== key_id || (key?.version ?? null) !== key_version;
  });
}

export const writeCsv: Step = async (batch, deps) => {
  await start(deps, batch.batch_id, 'generating_csv', 'Generating CSV files');
  const { sheets, answers } = await writeFiles(batch, deps);
  await finish(deps, batch.batch_id, 'generating_csv', `CSV generation complete: ${sheets} sheets, ${answers} answers`);
  return 'done';
};

export const load: Step = async (batch, deps) => {
  const { db, announce, workFolder } = deps;
  const { batch_id } = batch;
  await start(deps, batch_id, 'loading_database', 'Loading to database');
  const file = (name: string) => path.join(workFolder, batch_id, name);
  // The step before may have run on a machine that is gone.
  await access(file('answers.csv')).catch(() => writeFiles(batch, deps));
  const began = performance.now();
  // Answers first, in a transaction that nobody waits for; then what makes them count, in one that is over at once.
  const answers = await storeAnswers(db, batch, file('answers.csv'));
  // Whatever takes a while is made ready before it.
  const pages_sha256 = await pagesHash(db.sql, batch_id);
  const suspicions = JSON.parse(await readFile(file(SUSPICIONS), 'utf8')) as [number, StoredSuspicion][];
  announce(
    await db.write(async (tx) => {
      // Purged a moment ago: its files would bring rows back that nobody removes any more.
      const there = await tx
        .selectFrom('batches')
        .select('batch_id')
        .where('batch_id', '=', batch_id)
        .forUpdate()
        .executeTakeFirst();
      if (!there) return [];
      await tx.deleteFrom('results').where('batch_id', '=', batch_id).execute();
      const sheets = await db.bulkLoad(tx, 'results', RESULT_COLUMNS, file('results.csv'));
      for (const [group_index, suspicion] of suspicions) {
        await tx
          .updateTable('sheet_groups')
          .set({ state: 'suspect-key', suspicion: JSON.stringify(suspicion) })
          .where('batch_id', '=', batch_id)
          .where('group_index', '=', group_index)
          .execute();
      }
      if (await isStale(tx, batch_id)) {
        const reason = 'a key or a sheet was changed while the batch was being scored';
        await db.upsert(tx, 'rescores', [{ batch_id, reason, user_id: null, requested_at: Date.now() }]);
      }
      const doubtful = await tx
        .selectFrom('results')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .where('batch_id', '=', batch_id)
        .where('doubtful', '>', 0)
        .executeTakeFirstOrThrow();
      await tx
        .updateTable('batches')
        .set({ total_answers: answers, doubtful_sheets: Number(doubtful.n) })
        .where('batch_id', '=', batch_id)
        .execute();
      const at = Date.now();
      if (!(await endStage(tx, batch_id, 'loading_database', at))) return [];
      await audit(db, tx, {
        user_id: null,
        action: LOADED,
        subject: `batch:${batch_id}`,
        after: { sheets, answers, pages_sha256 },
      });
      const took = Math.round(performance.now() - began);
      const message = `Database load completed: ${sheets} sheets, ${answers} answers in ${took}ms`;
      return tell(tx, batch_id, { stage: 'loading_database', message, percentage: 100 }, at);
    }),
  );
  await dropAnswersIfGone(db, batch);
  return 'done';
};

export const cleanUp: Step = async (batch, deps) => {
  // Devices are told of what was loaded in a transaction of its own: the load is long, and others wait for the number.
  await start(deps, batch.batch_id, 'cleanup', 'Cleaning up batch files', (tx) =>
    tellAll(deps.db, tx, scopeOf(batch.batch_id)),
  );
  await rm(path.join(deps.workFolder, batch.batch_id), { recursive: true, force: true });
  const covers = `${batch.covers} QR ${batch.covers === 1 ? 'cover' : 'covers'}`;
  await finish(
    deps,
    batch.batch_id,
    'cleanup',
    `Batch cleanup completed: ${covers}, working files deleted, upload kept`,
  );
  return 'done';
};
