// A person's decisions taken in: checked, appended with their entries in the audit, the pages put where they now belong and
// scored again, and everybody told, in the caller's one transaction.
import type { Correct } from '../../shared/protocol/sync.ts';
import { type AsRead, askedAbout, questionAbout, rulings, weightOf, wrongWith } from '../../shared/review.ts';
import { questionOf } from '../../shared/scoring/marks.ts';
import type { BatchesTable, CorrectionsTable, Database, Tx } from '../adapters/database.ts';
import { appendCorrection } from '../audit/corrections.ts';
import { visible } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { groupsOf, HELD, keepGroups } from '../batches/grouping.ts';
import { scopeOf, tellBatch, tellChanges } from '../changes.ts';
import { readFromRow, requestRescoreOf, rescoreSheets } from '../keys/rescore.ts';
import { refuse } from '../problem.ts';
import { placePages } from './place.ts';
import { correctionsOf } from './read.ts';

/** Where these decisions come from: `mid` of that client's outbox. */
export interface Origin {
  client_id: string;
  mid: number;
}

/**
 * Applies all of the decisions or, refusing with its reason, none.
 * @returns the batch, and whether all of it is to be scored again after the commit: pages have changed their group or task
 */
export async function correct(
  db: Database,
  tx: Tx,
  user: User,
  { batch_id, items, reason }: Correct,
  { client_id, mid }: Origin,
): Promise<{ batch_id: string; rescore: boolean }> {
  // Locked: whoever scores this batch waits for the decision, or this waits for the scores.
  const batch = await tx
    .selectFrom('batches')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .where(visible(user))
    .forUpdate()
    .executeTakeFirst();
  if (!batch)
    refuse('NOT_FOUND', `There is no batch ${batch_id}, or it is not one of yours. Your decision was not taken.`);
  const ids = [...new Set(items.map(({ sheet_id }) => Number(sheet_id)))];
  const pages = await pagesOf(tx, batch, ids);
  const known = await correctionsOf(tx, batch_id, ids);
  const now = Date.now();
  const rows: CorrectionsTable[] = [];
  for (const [i, { sheet_id, field, value, base_rev }] of items.entries()) {
    const page = pages.get(Number(sheet_id));
    if (!page) refuse('NOT_FOUND', `Batch ${batch_id} has no page ${sheet_id}. Your decision was not taken.`);
    const said = `${nameOf(field)} of page ${page.page_index + 1} (${page.name})`;
    const wrong = wrongWith(field, value, page.read ? page.read.marks.values.length : null);
    if (wrong) refuse('VALIDATION_FAILED', `${said}: ${wrong}.`);
    const own = known.get(page.sheet_id) ?? [];
    const rev = (own.at(-1)?.rev ?? 0) + 1;
    const seen = Math.min(base_rev, rev - 1);
    const ruled = rulings(own).get(field);
    // What somebody of more weight has decided, and this person has seen: it is theirs to change.
    if (ruled && weightOf(ruled.standing.role) > weightOf(user.role) && ruled.standing.rev <= seen) {
      refuse(
        'FORBIDDEN',
        `${said} was decided by ${ruled.standing.username}, ${ruled.standing.role}. Ask them to change it.`,
      );
    }
    // What was put before a supervisor is theirs; whoever asked may take the question back.
    const asked = questionAbout(rulings(own), askedAbout(field) ?? field);
    const mayAnswer = weightOf(user.role) === 2 || (askedAbout(field) !== null && asked?.user_id === user.user_id);
    if (asked && asked.rev <= seen && !mayAnswer) {
      refuse('FORBIDDEN', `${asked.username} has asked a supervisor about ${said}. It is theirs to decide.`);
    }
    const row: CorrectionsTable = {
      correction_id: `${client_id}.${mid}.${i}`,
      batch_id,
      sheet_id: page.sheet_id,
      field,
      value,
      previous: ruled?.value ?? readOf(page, field),
      reason: reason ?? null,
      user_id: user.user_id,
      role: user.role,
      client_id,
      base_rev: seen,
      rev,
      created_at: now,
    };
    rows.push(row);
    const { batch_id: _, sheet_id: __, created_at, ...rest } = row;
    const at = new Date(created_at).toISOString();
    known.set(page.sheet_id, [...own, { ...rest, role: user.role, username: user.username, at }]);
  }
  const opening = items.some(
    ({ sheet_id, field }) => field === 'opens' || (field === 'task' && pages.get(Number(sheet_id))?.kind === 'cover'),
  );
  if (opening && !ENDED_WELL.includes(batch.status)) {
    refuse(
      'CONFLICT',
      `Batch ${batch_id} is ${batch.status}: groups are settled when it has completed. Wait for that, then settle.`,
    );
  }
  for (const row of rows) await appendCorrection(db, tx, row, user.device);

  const before = opening ? await indexesOf(tx, batch_id) : [];
  const placed = await place(tx, batch, opening, items);
  const told = [...new Set([...ids, ...placed.sheets])];
  const doubtful = await rescoreSheets(db, tx, batch, told);
  await tx
    .updateTable('batches')
    .set((eb) => ({ doubtful_sheets: eb('doubtful_sheets', '+', doubtful), rev: eb('rev', '+', 1) }))
    .where('batch_id', '=', batch_id)
    .execute();
  // Another packet, or another task: what fits its key is to be judged anew, over the whole batch.
  const rescore = placed.sheets.length > 0 || placed.groups;
  if (rescore) await requestRescoreOf(db, tx, batch_id, `correction:${client_id}.${mid}`, user.user_id);
  await tellChanges(db, tx, scopeOf(batch_id), 'sheet', told);
  // A group tells by which version of its key its sheets were scored, and these may be the first by a new one.
  const groups = await indexesOf(tx, batch_id, placed.groups ? undefined : told);
  // Those that are there no longer too.
  await tellChanges(db, tx, scopeOf(batch_id), 'group', [...new Set([...before, ...groups])]);
  await tellBatch(tx, batch_id);
  return { batch_id, rescore };
}

const ENDED_WELL: readonly string[] = ['completed', 'completed_with_errors'];

/** Puts pages where they belong now. @param opening somebody has said where a group begins: all of them are made anew */
async function place(
  tx: Tx,
  batch: BatchesTable,
  opening: boolean,
  items: Correct['items'],
): Promise<{ sheets: number[]; groups: boolean }> {
  if (!opening && !items.some(({ field }) => field === 'task' || field === 'group'))
    return { sheets: [], groups: false };
  const groups = opening ? await groupsOf(tx, batch) : [];
  const moved = opening ? await keepGroups(tx, batch, groups) : [];
  // What was said of one sheet holds within what is said of groups.
  const placed = await placePages(tx, batch);
  if (opening) {
    const held = groups.some(({ state }) => HELD.includes(state));
    await tx
      .updateTable('batches')
      .set({ status: held || batch.failed_sheets > 0 ? 'completed_with_errors' : 'completed' })
      .where('batch_id', '=', batch.batch_id)
      .execute();
  }
  return { sheets: [...moved, ...placed.sheets], groups: opening || placed.groups };
}

const nameOf = (field: string): string => {
  const about = askedAbout(field);
  if (about !== null) return `The question about ${nameOf(about)}`;
  const question = questionOf(field);
  return question === null ? field : `Question ${question}`;
};

interface Page {
  kind: string | null;
  sheet_id: number;
  page_index: number;
  name: string;
  group_index: number | null;
  task_id: string | null;
  /** null: it was not read as a sheet */
  read: AsRead | null;
}

async function pagesOf(
  tx: Tx,
  batch: Pick<BatchesTable, 'batch_id'>,
  ids: readonly number[],
): Promise<Map<number, Page>> {
  const pages = await tx
    .selectFrom('pages')
    .select(['sheet_id', 'page_index', 'name', 'kind', 'group_index', 'task_id'])
    .where('batch_id', '=', batch.batch_id)
    .where('sheet_id', 'in', [...ids])
    .execute();
  const marks = await tx
    .selectFrom('marks')
    .selectAll()
    .where('sheet_id', 'in', [...ids])
    .execute();
  const read = new Map(marks.map((row) => [row.sheet_id, readFromRow(row)]));
  return new Map(
    pages.map((page) => [
      page.sheet_id,
      { ...page, read: page.kind === 'sheet' ? (read.get(page.sheet_id) ?? null) : null },
    ]),
  );
}

/** What stands in a field that nobody has decided. */
function readOf({ read, group_index, task_id }: Page, field: string): string | null {
  switch (field) {
    case 'task':
      return task_id;
    case 'opens':
      return null;
    case 'group':
      return group_index === null ? null : `group ${group_index}`;
    case 'void':
      return 'false';
    case 'roll':
      return read?.marks.roll ?? '';
    case 'variant':
      return read?.marks.variant ?? '';
    default:
      return read?.marks.values[(questionOf(field) ?? 0) - 1] ?? null;
  }
}

/** @param sheets only the groups these are in; undefined: all of the batch */
async function indexesOf(tx: Tx, batch_id: string, sheets?: readonly number[]): Promise<number[]> {
  const rows = sheets
    ? await tx
        .selectFrom('pages')
        .select('group_index')
        .distinct()
        .where('sheet_id', 'in', [...sheets])
        .execute()
    : await tx.selectFrom('sheet_groups').select('group_index').where('batch_id', '=', batch_id).execute();
  return rows.flatMap(({ group_index }) => group_index ?? []);
}
