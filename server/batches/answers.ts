// The answers of a batch, a row each: far more than of anything else, and written in transactions of their own that keep
// nobody waiting. They count once the batch's results of record are there, which are written after them.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AnswersTable, AnswersTx, BatchesTable, Database } from '../adapters/database.ts';
import { MOST_PAGES } from '../uploads/zip.ts';

type Whose = Pick<BatchesTable, 'batch_no'>;

export const ANSWER_COLUMNS = [
  'sheet_id',
  'question',
  'value',
  'confidence',
  'flags',
] as const satisfies readonly (keyof AnswersTable)[];

/** Sheets whose answers are deleted by one statement: some tens of milliseconds on SQLite, where nothing else of the
 *  process runs meanwhile. */
const SHEETS_AT_ONCE = 200;

async function deleteAll(tx: AnswersTx, { batch_no }: Whose): Promise<void> {
  const first = batch_no * MOST_PAGES;
  const { last } = await tx
    .selectFrom('answers')
    .select((eb) => eb.fn.max('sheet_id').as('last'))
    .where('sheet_id', '>=', first)
    .where('sheet_id', '<', first + MOST_PAGES)
    .executeTakeFirstOrThrow();
  if (last === null) return;
  for (let from = first; from <= last; from += SHEETS_AT_ONCE) {
    await tx
      .deleteFrom('answers')
      .where('sheet_id', '>=', from)
      .where('sheet_id', '<', from + SHEETS_AT_ONCE)
      .execute();
    await nextTurn();
  }
}

/** Puts the answers in `file` in place of the batch's, in one transaction. @returns how many there are */
export const storeAnswers = (db: Database, batch: Whose, file: string): Promise<number> =>
  db.writeAnswers(async (tx) => {
    await deleteAll(tx, batch);
    return db.bulkLoad(tx, 'answers', ANSWER_COLUMNS, file);
  });

export const dropAnswers = (db: Database, batch: Whose): Promise<void> => db.writeAnswers((tx) => deleteAll(tx, batch));

/** For whoever has just stored answers: the batch may have been purged meanwhile, by somebody who did not see them. */
export async function dropAnswersIfGone(db: Database, batch: Whose): Promise<void> {
  const there = await db.sql
    .selectFrom('batches')
    .select('batch_id')
    .where('batch_no', '=', batch.batch_no)
    .executeTakeFirst();
  if (!there) await dropAnswers(db, batch);
}

/** Removes answers that belong to no batch: what a crash has left between two transactions. A batch's number is never
 *  used again, and its row is there before its first answer. */
export async function dropStrayAnswers(db: Database): Promise<void> {
  for (let from = 0; ; ) {
    const found = await db.sql
      .selectFrom('answers')
      .select('sheet_id')
      .where('sheet_id', '>=', from)
      .orderBy('sheet_id')
      .limit(1)
      .executeTakeFirst();
    if (!found) return;
    const batch_no = Math.floor(found.sheet_id / MOST_PAGES);
    await dropAnswersIfGone(db, { batch_no });
    from = (batch_no + 1) * MOST_PAGES;
  }
}
