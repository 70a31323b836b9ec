// Which group and task a single page belongs to, after people have said so. Groups (batches/grouping.ts) put every page where
// it lies in the file; this puts the corrected ones where they belong, from the reading and the corrections alone, so that
// it may be done again at any time and a decision that is taken back leaves no trace.
import { decided, rulings } from '../../shared/review.ts';
import type { BatchesTable, SheetGroupsTable, Tx } from '../adapters/database.ts';
import { correctionsOf } from './read.ts';

const PLACING = ['task', 'group'];

/** The group a page lies in, for groups in file order; null before the first. */
export function groupAt<G extends { first_page: number }>(groups: readonly G[], page: number): G | null {
  return groups.findLast(({ first_page }) => first_page <= page) ?? null;
}

/** @returns pages whose group or task is another one now, and whether any group changed */
export async function placePages(
  tx: Tx,
  { batch_id }: Pick<BatchesTable, 'batch_id'>,
): Promise<{ sheets: number[]; groups: boolean }> {
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
  const pages = await tx
    .selectFrom('pages')
    .select(['sheet_id', 'page_index', 'group_index', 'task_id'])
    .where('batch_id', '=', batch_id)
    .where('sheet_id', 'in', [...placed.keys()])
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
  return { sheets: moved, groups: recount };
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
