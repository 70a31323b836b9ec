// A person's decisions taken in: checked, appended with their entries in the audit, the pages put where they now belong and
// scored again, and everybody told, in the caller's one transaction.
import type { Correct } from '../../shared/protocol/sync.ts';
import { type AsRead, askedAbout, questionAbout, rulings, weightOf, wrongWith } from '../../shared/review.ts';
import { questionOf } from '../../shared/scoring/marks.ts';
import type { BatchesTable, CorrectionsTable, Database, Tx } from '../adapters/database.ts';
import { appendCorrection } from '../audit/corrections.ts';
import { visible } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { tasksIn, tellOtherFiles } from '../batches/other-files.ts';
import { scopeOf, tellBatch, tellChanges } from '../changes.ts';
import { requestRescoreOf, rescoreSheets } from '../keys/rescore.ts';
import { readFromRow } from '../keys/score-batch.ts';
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
    .select(['batch_id', 'batch_no'])
    .where('batch_id', '=', batch_id)
    .where(visible(user))
    .forUpdate()
    .executeTakeFirst();
  if (!batch)
    refuse('NOT_FOUND', `There is no batch ${batch_id}, or it is not one of yours. Your decision was not taken.`);
  const ids = [...new Set(items.map(({ sheet_id }) => Number(sheet_id)))];
  const pages = await pagesOf(tx, batch, ids);
  const known = await correctionsOf(tx, batch_id, ids);
  const tasksBefore = await tasksIn(tx, batch_id);
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
  for (const row of rows) await appendCorrection(db, tx, row, user.device);

  const placing = items.some(({ field }) => field === 'task' || field === 'group');
  const placed = placing ? await placePages(tx, batch) : { sheets: [], groups: false };
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
  const groups = await groupsOf(tx, batch_id, placed.groups ? undefined : told);
  await tellChanges(db, tx, scopeOf(batch_id), 'group', groups);
  await tellBatch(tx, batch_id);
  await tellOtherFiles(db, tx, batch_id, tasksBefore, await tasksIn(tx, batch_id));
  return { batch_id, rescore };
}

const nameOf = (field: string): string => {
  const about = askedAbout(field);
  if (about !== null) return `The question about ${nameOf(about)}`;
  const question = questionOf(field);
  return question === null ? field : `Question ${question}`;
};

interface Page {
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
    pages.map(({ kind, ...page }) => [
      page.sheet_id,
      { ...page, read: kind === 'sheet' ? (read.get(page.sheet_id) ?? null) : null },
    ]),
  );
}

/** What stands in a field that nobody has decided. */
function readOf({ read, group_index, task_id }: Page, field: string): string | null {
  switch (field) {
    case 'task':
      return task_id;
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
async function groupsOf(tx: Tx, batch_id: string, sheets?: readonly number[]): Promise<number[]> {
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
