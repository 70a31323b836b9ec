// Scoring a batch again without reading an image: marks × key version, by the one function that scores everywhere. What
// asks for it is a row in `rescores`, written with the change that makes it necessary, so that a crash forgets none; the
// results of a batch are replaced in one transaction.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { Stage } from '../../shared/protocol/stage.ts';
import { type AsRead, applyCorrections, resultOf } from '../../shared/review.ts';
import { type Marks, unpackValues } from '../../shared/scoring/marks.ts';
import { unpackNotes } from '../../shared/scoring/notes.ts';
import { listFor, type Scorer, scorer } from '../../shared/scoring/score.ts';
import { type Detector, detector, type KeyList, listsOf, type Suspicion } from '../../shared/scoring/wrong-key.ts';
import type { Database, MarksTable, ResultsTable, Tx } from '../adapters/database.ts';
import { audit } from '../audit.ts';
import { isByHand } from '../batches/grouping.ts';
import { hasEnded } from '../batches/life.ts';
import { scopeOf, tellBatch, tellChanges } from '../changes.ts';
import { correctionsOf } from '../corrections/read.ts';

type Reader = Database['sql'] | Tx;

export interface KeyVersion {
  key_id: string;
  version: number;
  content: KeyContent;
}
export const nameOfKey = ({ key_id, version }: { key_id: string; version: number }): string => `${key_id}@${version}`;

/** The newest published key of each task that exists, by task id; null for a task without one. */
export async function keysOf(db: Reader, taskIds: readonly string[]): Promise<Map<string, KeyVersion | null>> {
  if (taskIds.length === 0) return new Map();
  const tasks = await db.selectFrom('tasks').select(['task_id', 'key_id']).where('task_id', 'in', taskIds).execute();
  const newest = await newestPublished(
    db,
    tasks.flatMap(({ key_id }) => key_id ?? []),
  );
  return new Map(tasks.map(({ task_id, key_id }) => [task_id, (key_id !== null && newest.get(key_id)) || null]));
}

async function newestPublished(db: Reader, keyIds: readonly string[]): Promise<Map<string, KeyVersion>> {
  if (keyIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('answer_keys')
    .select(['key_id', 'version', 'content'])
    .where('key_id', 'in', [...new Set(keyIds)])
    .where('state', '=', 'published')
    .orderBy('version')
    .execute();
  // The last of each key stays. Only that is parsed.
  const newest = new Map(rows.map((row) => [row.key_id, row]));
  return new Map(
    [...newest.values()].map(({ key_id, version, content }) => [
      key_id,
      { key_id, version, content: JSON.parse(content) as KeyContent },
    ]),
  );
}

/** Keys that a task's sheets might have been filled in for: those of the exam's tasks on the same template. */
async function alternativesOf(db: Reader, taskIds: readonly string[]): Promise<KeyVersion[]> {
  if (taskIds.length === 0) return [];
  const rows = await db
    .selectFrom('tasks as own')
    .innerJoin('tasks', (join) =>
      join.onRef('tasks.exam_id', '=', 'own.exam_id').onRef('tasks.template_id', '=', 'own.template_id'),
    )
    .select('tasks.key_id')
    .distinct()
    .where('own.task_id', 'in', taskIds)
    .where('tasks.key_id', 'is not', null)
    .orderBy('tasks.key_id')
    .limit(MOST_KEYS)
    .execute();
  return [
    ...(
      await newestPublished(
        db,
        rows.flatMap(({ key_id }) => key_id ?? []),
      )
    ).values(),
  ];
}
/** Beyond so many keys of one exam the detector compares with the first of them: each costs time for every sheet. */
const MOST_KEYS = 60;

export const readFromRow = (row: Omit<MarksTable, 'sheet_id'>): AsRead => ({
  marks: {
    roll: row.roll,
    variant: row.variant,
    values: unpackValues(row.choices, row.questions),
    doubtful: row.doubtful,
    variant_doubtful: row.variant_doubtful === 1,
  },
  notes: unpackNotes(row.notes),
});

export interface GroupToScore {
  group_index: number;
  task_id: string | null;
  state: string;
  confirmed_key: string | null;
}
export interface SheetToScore {
  sheet_id: number;
  /** the sheet it is, as it was read */
  template_id: string | null;
  group_index: number | null;
  task_id: string | null;
  /** as read, with people's decisions over it */
  marks: Marks;
  /** a person set it aside */
  void: boolean;
}
export interface ScoredBatch {
  results: Omit<ResultsTable, 'batch_id'>[];
  /** by group index: what the detector found; groups it found nothing in are absent */
  suspicions: Map<number, StoredSuspicion>;
}
/** What stands in `sheet_groups.suspicion`. */
export interface StoredSuspicion {
  whole_group: boolean;
  sheets: string[];
  message: string;
}

/** What scoring a sheet needs besides the sheet. */
interface Ring {
  keys: Map<string, KeyVersion | null>;
  /** the template each task's sheets are printed from */
  templates: Map<string, string>;
}
/** What scoring a whole batch needs besides its sheets: the detector compares with other keys too. */
export interface Keyring extends Ring {
  alternatives: KeyVersion[];
}
export const keyring = async (db: Reader, taskIds: readonly string[]): Promise<Keyring> => ({
  ...(await ringOf(db, taskIds)),
  alternatives: await alternativesOf(db, taskIds),
});
async function ringOf(db: Reader, taskIds: readonly string[]): Promise<Ring> {
  const tasks = taskIds.length
    ? await db.selectFrom('tasks').select(['task_id', 'template_id']).where('task_id', 'in', taskIds).execute()
    : [];
  return {
    keys: await keysOf(db, taskIds),
    templates: new Map(tasks.map(({ task_id, template_id }) => [task_id, template_id])),
  };
}

/** A sheet whose own QR code, or whose bubbles, say that it is another than its task's: no key of that task is for it. */
const isOfOtherTemplate = ({ task_id, template_id }: SheetToScore, { templates }: Ring): boolean => {
  const expected = task_id === null ? undefined : templates.get(task_id);
  return expected !== undefined && template_id !== null && expected !== template_id;
};

/** The detector over a batch's sheets, and which list scores each of them. */
export async function detectIn(
  sheets: readonly SheetToScore[],
  ring: Keyring,
): Promise<{ judging: Detector; lists: (KeyList & { key: KeyVersion; variant: string })[] }> {
  const { keys, alternatives } = ring;
  const all = new Map<string, KeyVersion>();
  for (const key of [...keys.values(), ...alternatives]) if (key) all.set(nameOfKey(key), key);
  const lists = [...all.values()].flatMap((key) =>
    [...listsOf(key.content, () => '')].map(([variant, list]) => ({
      ...list,
      key,
      variant,
      name: `${variant ? `booklet ${variant} of ` : ''}key ${key.key_id} version ${key.version}`,
    })),
  );
  const index = new Map(lists.map(({ key, variant }, i) => [`${nameOfKey(key)} ${variant}`, i]));
  const judging = detector(lists);
  for (const [i, sheet] of sheets.entries()) {
    if (i % SHEETS_A_TURN === 0) await nextTurn();
    if (sheet.void) continue;
    const key = sheet.task_id === null || isOfOtherTemplate(sheet, ring) ? null : (keys.get(sheet.task_id) ?? null);
    const { list } = listFor(key?.content ?? null, sheet.marks.variant);
    const at = key && list !== null ? (index.get(`${nameOfKey(key)} ${list}`) ?? -1) : -1;
    judging.add({ id: sheet.sheet_id, group: sheet.group_index ?? -1, list: at, values: sheet.marks.values });
  }
  return { judging, lists };
}
/** Sheets scored between two looks at the event loop: a few milliseconds. */
const SHEETS_A_TURN = 500;

/** Scores the sheets of one batch. A pure function of what it is given, but for the turns it lets others take. */
export async function scoreBatch(
  sheets: readonly SheetToScore[],
  groups: readonly GroupToScore[],
  ring: Keyring,
): Promise<ScoredBatch> {
  const { judging, lists } = await detectIn(sheets, ring);
  const suspicions = new Map<number, StoredSuspicion>();
  const held = new Set<number>();
  for (const group of groups) {
    const key = group.task_id === null ? null : ring.keys.get(group.task_id);
    // A supervisor has seen this group under this version, and let its scores stand.
    if (!key || group.confirmed_key === nameOfKey(key)) continue;
    const found = judging.judge(group.group_index);
    await nextTurn();
    if (found.length === 0) continue;
    const whole_group = found.some((one) => one.whole_group);
    const suspects = found.flatMap((one) => one.sheets);
    suspicions.set(group.group_index, { whole_group, sheets: suspects.map(String), message: describe(found, lists) });
    if (whole_group) for (const s of sheets) if (s.group_index === group.group_index) held.add(s.sheet_id);
    for (const id of suspects) held.add(id);
  }
  const results: ScoredBatch['results'] = [];
  const score = scoring(ring);
  for (const [i, sheet] of sheets.entries()) {
    if (i % SHEETS_A_TURN === 0) await nextTurn();
    results.push(score(sheet, held.has(sheet.sheet_id)));
  }
  return { results, suspicions };
}

/** Scores sheet after sheet, each by its task's key. */
function scoring(ring: Ring): (sheet: SheetToScore, held: boolean) => ScoredBatch['results'][number] {
  const scorers = new Map<KeyVersion | null, Scorer>();
  return (sheet, held) => {
    const { sheet_id, task_id, marks } = sheet;
    const other_template = isOfOtherTemplate(sheet, ring);
    const known_task = task_id !== null && ring.keys.has(task_id);
    const key = (!other_template && task_id !== null && ring.keys.get(task_id)) || null;
    let by = scorers.get(key);
    if (!by) {
      by = scorer(key?.content ?? null);
      scorers.set(key, by);
    }
    return {
      sheet_id,
      task_id,
      key_id: key?.key_id ?? null,
      key_version: key?.version ?? null,
      ...resultOf(by.score(marks), { held, known_task, other_template }, sheet.void),
    };
  };
}

function describe(found: readonly Suspicion[], lists: readonly KeyList[]): string {
  return found
    .map(({ list, better, sheets, whole_group }) => {
      const count = `${sheets.length} ${sheets.length === 1 ? 'sheet' : 'sheets'}`;
      const what = whole_group ? count : `Sheet ${sheets.join(', ')}`;
      return `${what} scored by ${lists[list]?.name}: ${lists[better]?.name} fits better`;
    })
    .join('. ');
}

/** Reads a batch's sheets and groups as scoring needs them. @param only these sheets; undefined: all */
export async function sheetsToScore(
  db: Reader,
  batch: { batch_id: string; batch_no: number },
  only?: readonly number[],
): Promise<{ sheets: SheetToScore[]; groups: GroupToScore[] }> {
  const groups = await db
    .selectFrom('sheet_groups')
    .select(['group_index', 'task_id', 'state', 'confirmed_key'])
    .where('batch_id', '=', batch.batch_id)
    .orderBy('group_index')
    .execute();
  const corrections = await correctionsOf(db, batch.batch_id, only);
  const sheets: SheetToScore[] = [];
  // Sheet ids are the batch's number and the page: its marks lie together.
  for (let after = batch.batch_no * 1_000_000 - 1; ; ) {
    let marks = db
      .selectFrom('marks')
      .innerJoin('pages', 'pages.sheet_id', 'marks.sheet_id')
      .selectAll('marks')
      .leftJoin('readings', 'readings.sheet_id', 'marks.sheet_id')
      .select(['group_index', 'task_id', 'template_id'])
      .where('marks.sheet_id', '>', after)
      .where('marks.sheet_id', '<', (batch.batch_no + 1) * 1_000_000)
      .where('kind', '=', 'sheet');
    if (only) marks = marks.where('marks.sheet_id', 'in', only.length > 0 ? [...only] : [-1]);
    const rows = await marks.orderBy('marks.sheet_id').limit(ROWS_A_READ).execute();
    const last = rows.at(-1);
    if (!last) break;
    after = last.sheet_id;
    for (const { group_index, task_id, template_id, ...row } of rows) {
      const { sheet_id } = row;
      const { marks, void: isVoid } = applyCorrections(readFromRow(row), corrections.get(sheet_id) ?? []);
      sheets.push({ sheet_id, template_id, group_index, task_id, marks, void: isVoid });
    }
    await nextTurn();
  }
  return { sheets, groups };
}
const ROWS_A_READ = 500;

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

/** Whether the wrong-key detector holds a sheet, by what it last said of its group. */
export async function suspicionsOf(
  db: Reader,
  batch_id: string,
): Promise<(sheet: { sheet_id: number; group_index: number | null }) => boolean> {
  const rows = await db
    .selectFrom('sheet_groups')
    .select(['group_index', 'suspicion'])
    .where('batch_id', '=', batch_id)
    .where('suspicion', 'is not', null)
    .execute();
  const found = new Map(rows.map((row) => [row.group_index, JSON.parse(row.suspicion ?? '') as StoredSuspicion]));
  return ({ sheet_id, group_index }) => {
    const suspicion = found.get(group_index ?? -1);
    return suspicion !== undefined && (suspicion.whole_group || suspicion.sheets.includes(String(sheet_id)));
  };
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
