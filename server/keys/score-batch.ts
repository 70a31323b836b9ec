// Sheets as scoring wants them, read from what is stored, and the results of a whole batch: first the wrong-key detector
// looks at its packets, then each sheet is scored by its task's key. Writing the results is the caller's.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AsRead, applyCorrections, resultOf } from '../../shared/review.ts';
import { type Marks, unpackValues } from '../../shared/scoring/marks.ts';
import { unpackNotes } from '../../shared/scoring/notes.ts';
import { listFor, type Scorer, scorer } from '../../shared/scoring/score.ts';
import { type Detector, detector, type KeyList, listsOf, type Suspicion } from '../../shared/scoring/wrong-key.ts';
import { sheetIdOf } from '../../shared/sheet-id.ts';
import type { MarksTable, ResultsTable } from '../adapters/database.ts';
import { correctionsOf } from '../corrections/read.ts';
import { type Keyring, type KeyVersion, nameOfKey, type Reader, type Ring } from './keyring.ts';

type MarksRow = Omit<MarksTable, 'sheet_id'>;
const marksFromRow = (row: MarksRow): Marks => ({
  roll: row.roll,
  variant: row.variant,
  values: unpackValues(row.choices, row.questions),
  doubtful: row.doubtful,
  doubtful_unlisted: row.variant_doubtful === 1 ? row.doubtful : row.doubtful + 1,
});
export const readFromRow = (row: MarksRow): AsRead => ({ marks: marksFromRow(row), notes: unpackNotes(row.notes) });

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
  /** As read, with people's decisions over it. Unpacked each time: a big batch's values all at once are tens of megabytes. */
  marks(): Marks;
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
    const { variant, values } = sheet.marks();
    const { list } = listFor(key?.content ?? null, variant);
    const at = key && list !== null ? (index.get(`${nameOfKey(key)} ${list}`) ?? -1) : -1;
    judging.add({ id: sheet.sheet_id, group: sheet.group_index ?? -1, list: at, values });
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

/** Scores sheet after sheet, each by its task's key. A key made ready may be half a megabyte, and a big batch has a hundred:
 *  since sheets come packet by packet, only the one at hand is kept. */
export function scoring(ring: Ring): (sheet: SheetToScore, held: boolean) => ScoredBatch['results'][number] {
  let last: { key: KeyVersion | null; by: Scorer } | null = null;
  return (sheet, held) => {
    const { sheet_id, task_id, marks } = sheet;
    const other_template = isOfOtherTemplate(sheet, ring);
    const known_task = task_id !== null && ring.keys.has(task_id);
    const key = (!other_template && task_id !== null && ring.keys.get(task_id)) || null;
    if (last?.key !== key) last = { key, by: scorer(key?.content ?? null) };
    return {
      sheet_id,
      task_id,
      key_id: key?.key_id ?? null,
      key_version: key?.version ?? null,
      ...resultOf(last.by.score(marks()), { held, known_task, other_template }, sheet.void),
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
  for (let after = sheetIdOf(batch.batch_no, 0) - 1; ; ) {
    let marks = db
      .selectFrom('marks')
      .innerJoin('pages', 'pages.sheet_id', 'marks.sheet_id')
      .selectAll('marks')
      .leftJoin('readings', 'readings.sheet_id', 'marks.sheet_id')
      .select(['group_index', 'task_id', 'template_id'])
      .where('marks.sheet_id', '>', after)
      .where('marks.sheet_id', '<', sheetIdOf(batch.batch_no + 1, 0))
      .where('kind', '=', 'sheet');
    if (only) marks = marks.where('marks.sheet_id', 'in', only.length > 0 ? [...only] : [-1]);
    const rows = await marks.orderBy('marks.sheet_id').limit(ROWS_A_READ).execute();
    const last = rows.at(-1);
    if (!last) break;
    after = last.sheet_id;
    for (const { group_index, task_id, template_id, ...row } of rows) {
      const { sheet_id } = row;
      const said = corrections.get(sheet_id);
      const decided = said && applyCorrections(readFromRow(row), said);
      const marks = decided ? () => decided.marks : () => marksFromRow(row);
      sheets.push({ sheet_id, template_id, group_index, task_id, marks, void: decided?.void ?? false });
    }
    await nextTurn();
  }
  return { sheets, groups };
}
const ROWS_A_READ = 500;

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
