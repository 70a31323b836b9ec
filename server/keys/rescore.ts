// Scoring a batch again without reading an image: marks × key version, by the one function that scores everywhere. What
// asks for it is a row in `rescores`, written with the change that makes it necessary, so that a crash forgets none; the
// results of a batch are replaced in one transaction.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Stage } from '../../shared/protocol/stage.ts';
import type { Database, ResultsTable, Tx } from '../adapters/database.ts';
import { audit } from '../audit.ts';
import { isByHand } from '../batches/grouping.ts';
import { hasEnded } from '../batches/life.ts';
import { scopeOf, tellBatch, tellChanges } from '../changes.ts';
import { type Keyring, keyring, ringOf } from './keyring.ts';
import {
  type GroupToScore,
  type ScoredBatch,
  scoreBatch,
  scoring,
  sheetsToScore,
  suspicionsOf,
} from './score-batch.ts';

/** Asks for every batch to be scored again that has a group of this task, or of a task with this key. A batch that is
 *  still being read takes what is current when it gets there, or is scored again after its load. */
export async function requestRescores(
  db: Database,
  tx: Tx,
  which: { key_id: string } | { task_id: string },
  reason: string,
  user_id: string | null,
): Promise<string[]> {
  let groups = tx.selectFrom('sheet_groups').select('batch_id').distinct();
  groups =
    'key_id' in which
      ? groups.where('task_id', 'in', tx.selectFrom('tasks').select('task_id').where('key_id', '=', which.key_id))
      : groups.where('task_id', '=', which.task_id);
  const batches = (await groups.execute()).map(({ batch_id }) => batch_id);
  const requested_at = Date.now();
  await db.upsert(
    tx,
    'rescores',
    batches.map((batch_id) => ({ batch_id, reason: reason.slice(0, 255), user_id, requested_at })),
  );
  return batches;
}

/** Says that the groups of a task are not what they were: they tell its exam, centre, key and how many sheets it expects. */
export async function tellGroupsOf(db: Database, tx: Tx, task_id: string): Promise<void> {
  const rows = await tx
    .selectFrom('sheet_groups')
    .select(['batch_id', 'group_index'])
    .where('task_id', '=', task_id)
    .execute();
  for (const batch_id of new Set(rows.map((row) => row.batch_id))) {
    const own = rows.filter((row) => row.batch_id === batch_id);
    await tellChanges(
      db,
      tx,
      scopeOf(batch_id),
      'group',
      own.map(({ group_index }) => group_index),
    );
  }
}

/** Asks for one batch. */
export async function requestRescoreOf(
  db: Database,
  tx: Tx,
  batch_id: string,
  reason: string,
  user_id: string | null,
): Promise<void> {
  await db.upsert(tx, 'rescores', [{ batch_id, reason: reason.slice(0, 255), user_id, requested_at: Date.now() }]);
}

const differs = (a: ResultsTable, b: ResultsTable): boolean =>
  (Object.keys(b) as (keyof ResultsTable)[]).some((column) => a[column] !== b[column]);

/** Writes a scored batch over what stands there, changed rows only, with its groups' states and the feed.
 *  @returns how many results changed */
export async function replaceResults(
  db: Database,
  tx: Tx,
  batch_id: string,
  { results, suspicions }: ScoredBatch,
  groups: readonly GroupToScore[],
  known: Pick<Keyring, 'keys'>,
): Promise<number> {
  const before = new Map(
    (await tx.selectFrom('results').selectAll().where('batch_id', '=', batch_id).execute()).map((r) => [r.sheet_id, r]),
  );
  const changed: ResultsTable[] = [];
  let doubtful = 0;
  for (const result of results) {
    const row: ResultsTable = { batch_id, ...result };
    if (row.doubtful > 0) doubtful++;
    const old = before.get(row.sheet_id);
    if (!old || differs(old, row)) changed.push(row);
  }
  await nextTurn();
  await db.upsert(tx, 'results', changed);
  const regrouped: number[] = [];
  for (const { group_index, task_id, state } of groups) {
    const suspicion = suspicions.get(group_index);
    const open = task_id !== null && !known.keys.has(task_id) ? 'no-task' : 'ok';
    // What is held for its cover stays so; all else follows from task and key.
    const next = isByHand(state) ? state : suspicion ? 'suspect-key' : open;
    const text = suspicion ? JSON.stringify(suspicion) : null;
    const done = await tx
      .updateTable('sheet_groups')
      .set({ state: next, suspicion: text })
      .where('batch_id', '=', batch_id)
      .where('group_index', '=', group_index)
      .where((eb) =>
        eb.or([
          eb('state', '!=', next),
          text === null
            ? eb('suspicion', 'is not', null)
            : eb.or([eb('suspicion', 'is', null), eb('suspicion', '!=', text)]),
        ]),
      )
      .executeTakeFirst();
    if (done.numUpdatedRows > 0n) regrouped.push(group_index);
  }
  if (changed.length === 0 && regrouped.length === 0) return 0;
  await tx
    .updateTable('batches')
    .set((eb) => ({ doubtful_sheets: doubtful, rev: eb('rev', '+', 1) }))
    .where('batch_id', '=', batch_id)
    .execute();
  const scope = scopeOf(batch_id);
  await tellChanges(
    db,
    tx,
    scope,
    'sheet',
    changed.map(({ sheet_id }) => sheet_id),
  );
  // A group tells by which version of its key it was scored.
  const told = changed.length > 0 ? groups.map(({ group_index }) => group_index) : regrouped;
  await tellChanges(db, tx, scope, 'group', told);
  await tellBatch(tx, batch_id);
  return changed.length;
}

/** Scores these sheets again and writes what changed; the caller tells of them and holds the batch's lock. What the
 *  detector held stays held: it looks at the whole batch, the next time that is scored.
 *  @returns sheets that are doubtful now, less those that were */
export async function rescoreSheets(
  db: Database,
  tx: Tx,
  batch: { batch_id: string; batch_no: number },
  only: readonly number[],
): Promise<number> {
  const { batch_id } = batch;
  const { sheets } = await sheetsToScore(tx, batch, only);
  const ring = await ringOf(tx, [...new Set(sheets.flatMap(({ task_id }) => task_id ?? []))]);
  const suspected = await suspicionsOf(tx, batch_id);
  const score = scoring(ring);
  const before = await tx
    .selectFrom('results')
    .select('doubtful')
    .where('sheet_id', 'in', only.length > 0 ? [...only] : [-1])
    .execute();
  const rows = sheets.map((sheet) => ({ batch_id, ...score(sheet, suspected(sheet)) }));
  await db.upsert(tx, 'results', rows);
  const count = (some: readonly { doubtful: number }[]) => some.filter(({ doubtful }) => doubtful > 0).length;
  return count(rows) - count(before);
}

/** Scores one batch again if that is asked for and it has results of record. @returns sheets whose result changed, or
 *  null when there was nothing to do yet */
export async function rescoreBatch(db: Database, batchId: string): Promise<number | null> {
  return db.write(async (tx) => {
    const batch = await tx
      .selectFrom('batches')
      .select(['batch_id', 'batch_no', 'status'])
      .where('batch_id', '=', batchId)
      .forUpdate()
      .executeTakeFirst();
    const asked = await tx
      .selectFrom('rescores')
      .selectAll()
      .where('batch_id', '=', batchId)
      .forUpdate()
      .executeTakeFirst();
    if (!asked) return null;
    if (!batch) {
      await tx.deleteFrom('rescores').where('batch_id', '=', batchId).execute();
      return null;
    }
    if (!(await isLoaded(tx, batchId))) {
      // One that was given up has no results of record; one that is under way is scored by its own steps.
      if (hasEnded(batch.status)) await tx.deleteFrom('rescores').where('batch_id', '=', batchId).execute();
      return null;
    }
    const { sheets, groups } = await sheetsToScore(tx, batch);
    const ring = await keyring(tx, [...new Set(groups.flatMap(({ task_id }) => task_id ?? []))]);
    const scored = await scoreBatch(sheets, groups, ring);
    const changed = await replaceResults(db, tx, batchId, scored, groups, ring);
    await tx.deleteFrom('rescores').where('batch_id', '=', batchId).execute();
    await audit(db, tx, {
      user_id: asked.user_id,
      action: 'batch.rescore',
      subject: `batch:${batchId}`,
      after: { because: asked.reason, sheets: sheets.length, changed, suspect_groups: scored.suspicions.size },
    });
    return changed;
  });
}

const LOADED: Stage = 'loading_database';
async function isLoaded(tx: Tx, batchId: string): Promise<boolean> {
  const stage = await tx
    .selectFrom('stages')
    .select('finished_at')
    .where('batch_id', '=', batchId)
    .where('stage', '=', LOADED)
    .executeTakeFirst();
  return stage?.finished_at != null;
}

/** Scores again what is asked for, `only` these batches or all. A crash on any line leaves the rest asked for [P1]; a batch
 *  that fails does not keep the others waiting, and its error is thrown in the end.
 *  @returns batches that were scored again and sheets whose result changed */
export async function rescoreAsked(
  db: Database,
  only?: readonly string[],
): Promise<{ batches: number; sheets: number }> {
  const asked = only ?? (await askedBefore(db, Date.now()));
  const done = { batches: 0, sheets: 0 };
  const failed: unknown[] = [];
  for (const batchId of asked) {
    try {
      const changed = await rescoreBatch(db, batchId);
      if (changed === null) continue;
      done.batches++;
      done.sheets += changed;
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length > 0) throw failed[0];
  return done;
}

/** What whoever asked for it has left undone: they begin at once, and are given this long. */
const LEFT_UNDONE_MS = 5000;
export const rescoreLeftUndone = async (db: Database): Promise<void> => {
  await rescoreAsked(db, await askedBefore(db, Date.now() - LEFT_UNDONE_MS));
};

async function askedBefore(db: Database, at: number): Promise<string[]> {
  const rows = await db.sql.selectFrom('rescores').select('batch_id').where('requested_at', '<=', at).execute();
  return rows.map(({ batch_id }) => batch_id);
}
