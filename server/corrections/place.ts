// Which group and task a page belongs to, after people have said what the covers do not. Organising puts every page where
// it lies in the file; this puts the corrected ones where they belong, from the reading and the corrections alone, so that
// it may be done again at any time and a decision that is taken back leaves no trace.
import type { Reading } from '../../shared/protocol/reading.ts';
import { decided, rulings } from '../../shared/review.ts';
import type { BatchesTable, SheetGroupsTable, Tx } from '../adapters/database.ts';
import { isByHand } from '../batches/grouping.ts';
import { correctionsOf } from './read.ts';

const PLACING = ['task', 'group'];

/** The group a page lies in, for groups in file order; null before the first. */
export function groupAt<G extends { first_page: number }>(groups: readonly G[], page: number): G | null {
  return groups.findLast(({ first_page }) => first_page <= page) ?? null;
}

/** @returns pages whose group or task is another one now, and whether any group changed */
export async function placePages(
  tx: Tx,
  batch: Pick<BatchesTable, 'batch_id' | 'batch_no'>,
): Promise<{ sheets: number[]; groups: boolean }> {
  const { batch_id } = batch;
  const all = await correctionsOf(tx, batch_id);
  const placed = new Map(
    [...all].flatMap(([sheet_id, own]) => {
      const placing = own.filter(({ field }) => PLACING.includes(field));
      return placing.length > 0 ? [[sheet_id, rulings(placing)] as const] : [];
    }),
  );
  if (placed.size === 0) return { sheets: [], groups: false };
  const groups = await tx
    .selectFrom('sheet_groups')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .orderBy('group_index')
    .execute();
  const idOf = (page: number): number => batch.batch_no * 1_000_000 + page;

  // Covers first: theirs is the task of every sheet behind them.
  const ofCover = new Map<number, SheetGroupsTable>();
  let regrouped = false;
  for (const group of groups) {
    if (group.cover_page === null) continue;
    const ruled = placed.get(idOf(group.cover_page));
    if (!ruled) continue;
    ofCover.set(group.group_index, group);
    const task_id = decided(ruled, 'task') ?? (await taskOfCover(tx, idOf(group.cover_page)));
    const held = isByHand(group.state);
    // From here on what a group waits for follows from its task, which is looked up when it is scored.
    const state = task_id === null ? 'unreadable-cover' : held ? 'ok' : group.state;
    if (task_id === group.task_id && state === group.state) continue;
    Object.assign(group, { task_id, state });
    regrouped = true;
    await tx
      .updateTable('sheet_groups')
      .set({ task_id, state, confirmed_key: null })
      .where('batch_id', '=', batch_id)
      .where('group_index', '=', group.group_index)
      .execute();
  }

  const pages = await tx
    .selectFrom('pages')
    .select(['sheet_id', 'page_index', 'group_index', 'task_id'])
    .where('batch_id', '=', batch_id)
    .where((eb) =>
      eb.or([
        eb('sheet_id', 'in', [...placed.keys()]),
        ...(ofCover.size > 0 ? [eb('group_index', 'in', [...ofCover.keys()])] : []),
      ]),
    )
    .execute();
  const moved: number[] = [];
  let recount = false;
  for (const page of pages) {
    const ruled = placed.get(page.sheet_id);
    const named = ruled ? decided(ruled, 'group') : null;
    const home = groupAt(groups, page.page_index);
    // A group is named by a page of it, since its number may be another one after the batch is read again.
    const group = (named === null ? null : groupAt(groups, Number(named))) ?? home;
    const isCover = group?.cover_page === page.page_index;
    const task_id = (ruled && !isCover ? decided(ruled, 'task') : null) ?? group?.task_id ?? null;
    const group_index = group?.group_index ?? null;
    if (task_id === page.task_id && group_index === page.group_index) continue;
    if (group_index !== page.group_index) recount = true;
    moved.push(page.sheet_id);
    await tx.updateTable('pages').set({ group_index, task_id }).where('sheet_id', '=', page.sheet_id).execute();
  }
  if (recount) await countSheets(tx, batch_id, groups);
  return { sheets: moved, groups: regrouped || recount };
}

async function taskOfCover(tx: Tx, sheet_id: number): Promise<string | null> {
  const row = await tx.selectFrom('readings').select('content').where('sheet_id', '=', sheet_id).executeTakeFirst();
  const reading = row ? (JSON.parse(row.content) as Reading) : null;
  return reading?.kind === 'cover' ? reading.task_id : null;
}

async function countSheets(tx: Tx, batch_id: string, groups: readonly SheetGroupsTable[]): Promise<void> {
  const counts = await tx
    .selectFrom('pages')
    .select(['group_index', 'state', (eb) => eb.fn.countAll<number>().as('n')])
    .where('batch_id', '=', batch_id)
    .where((eb) => eb.or([eb('kind', '=', 'sheet'), eb('state', '=', 'failed')]))
    .groupBy(['group_index', 'state'])
    .execute();
  for (const { group_index } of groups) {
    const own = counts.filter((row) => row.group_index === group_index);
    const sheets = own.reduce((sum, { n }) => sum + Number(n), 0);
    const failed_sheets = own.reduce((sum, { n, state }) => sum + (state === 'failed' ? Number(n) : 0), 0);
    await tx
      .updateTable('sheet_groups')
      .set({ sheets, failed_sheets })
      .where('batch_id', '=', batch_id)
      .where('group_index', '=', group_index)
      .execute();
  }
}
