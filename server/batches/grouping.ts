// A batch's groups as its pages, its people and the tasks that exist make them (shared/grouping.ts says how), and how they
// are kept.

import { groupPages, type PageSeen, type Settled } from '../../shared/grouping.ts';
import type { GroupRow } from '../../shared/protocol/batch.ts';
import type { Correction } from '../../shared/protocol/correction.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { decided, rulings } from '../../shared/review.ts';
import { pageIndexIn } from '../../shared/sheet-id.ts';
import type { BatchesTable, Database, SheetGroupsTable, Tx } from '../adapters/database.ts';
import { correctionsOf } from '../corrections/read.ts';

type GroupState = GroupRow['state'];
export type Group = Omit<SheetGroupsTable, 'batch_id' | 'state'> & { state: GroupState };

/** Groups whose sheets wait for a person: nothing tells which task they belong to. */
export const HELD: readonly string[] = ['no-cover', 'unreadable-cover', 'maybe-cover'] satisfies GroupState[];
/** States that follow from covers and people alone; the others follow from task and key. */
export const isByHand = (state: string): boolean => HELD.includes(state) || state === 'set-aside';

type Reader = Database['sql'] | Tx;

/** A batch's groups as its pages, its people and the tasks that exist make them. */
export async function groupsOf(sql: Reader, batch: Pick<BatchesTable, 'batch_id' | 'task_id'>): Promise<Group[]> {
  const { batch_id } = batch;
  const rows = await sql
    .selectFrom('pages')
    .select(['page_index', 'kind', 'name'])
    .where('batch_id', '=', batch_id)
    .orderBy('page_index')
    .execute();
  const covers = await sql
    .selectFrom('readings')
    .innerJoin('pages', 'pages.sheet_id', 'readings.sheet_id')
    .select(['page_index', 'content'])
    .where('batch_id', '=', batch_id)
    .where('kind', '=', 'cover')
    .execute();
  const taskOfCover = new Map(
    covers.map((cover) => {
      const reading = JSON.parse(cover.content) as Reading;
      return [cover.page_index, reading.kind === 'cover' ? reading.task_id : null];
    }),
  );
  const covered = new Set(rows.flatMap(({ page_index, kind }) => (kind === 'cover' ? [page_index] : [])));
  const settled = settledBy(await correctionsOf(sql, batch_id), covered);
  const pages = rows.map(({ page_index, kind }) => ({
    page_index,
    kind: kind as PageSeen['kind'],
    cover_task: taskOfCover.get(page_index) ?? null,
  }));
  const groups: Group[] = groupPages(pages, batch.task_id, settled).map((group, group_index) => ({
    ...group,
    group_index,
    suspicion: null,
    confirmed_key: null,
  }));
  const asked = [...new Set(groups.flatMap((group) => group.task_id ?? []))];
  const known = asked.length
    ? await sql.selectFrom('tasks').select('task_id').where('task_id', 'in', asked).execute()
    : [];
  const tasks = new Set(known.map((task) => task.task_id));
  for (const group of groups) if (group.task_id !== null && !tasks.has(group.task_id)) group.state = 'no-task';
  return groups;
}

/**
 * What people say begins at a page, by page index.
 * @param decisions of all pages, by sheet id
 * @param covers the task that somebody gives a cover is that of the sheets behind it
 */
export function settledBy(
  decisions: ReadonlyMap<number, readonly Correction[]>,
  covers: ReadonlySet<number>,
): Map<number, Settled> {
  const settled = new Map<number, Settled>();
  for (const [sheet_id, own] of decisions) {
    const page = pageIndexIn(sheet_id);
    const ruled = rulings(own.filter(({ field }) => field === 'opens' || field === 'task'));
    const said = decided(ruled, 'opens') ?? (covers.has(page) ? decided(ruled, 'task') : null);
    if (said === null) continue;
    settled.set(page, said === 'join' || said === 'set-aside' ? { what: said } : { what: 'task', task_id: said });
  }
  return settled;
}

/** Writes the groups over those that stand there, and what changes of it to the pages. A group that begins where it did,
 *  with the task it had, keeps what was found and said of its key. @returns sheet ids of the
 *  pages that changed hands */
export async function keepGroups(
  tx: Tx,
  { batch_id, total_pages }: Pick<BatchesTable, 'batch_id' | 'total_pages'>,
  groups: readonly Group[],
): Promise<number[]> {
  const before = new Map(
    (await tx.selectFrom('sheet_groups').selectAll().where('batch_id', '=', batch_id).forUpdate().execute()).map(
      (group) => [`${group.first_page} ${group.task_id}`, group],
    ),
  );
  await tx.deleteFrom('sheet_groups').where('batch_id', '=', batch_id).execute();
  const moved: number[] = [];
  for (const [i, group] of groups.entries()) {
    const { suspicion = null, confirmed_key = null } = before.get(`${group.first_page} ${group.task_id}`) ?? {};
    const state = group.state === 'ok' && suspicion !== null ? 'suspect-key' : group.state;
    await tx
      .insertInto('sheet_groups')
      .values({ ...group, batch_id, state, suspicion, confirmed_key })
      .execute();
    const { group_index, task_id } = group;
    const strangers = await tx
      .selectFrom('pages')
      .select('sheet_id')
      .where('batch_id', '=', batch_id)
      .where('page_index', '>=', group.first_page)
      .where('page_index', '<', groups[i + 1]?.first_page ?? total_pages)
      .where((eb) =>
        eb.or([
          eb('group_index', 'is', null),
          eb('group_index', '!=', group_index),
          task_id === null
            ? eb('task_id', 'is not', null)
            : eb.or([eb('task_id', 'is', null), eb('task_id', '!=', task_id)]),
        ]),
      )
      .execute();
    if (strangers.length === 0) continue;
    moved.push(...strangers.map(({ sheet_id }) => sheet_id));
    await tx
      .updateTable('pages')
      .set({ group_index, task_id })
      .where('batch_id', '=', batch_id)
      .where('page_index', '>=', group.first_page)
      .where('page_index', '<', groups[i + 1]?.first_page ?? total_pages)
      .execute();
  }
  return moved;
}

/** The last page of a group, covers and blank ones included. */
export const lastPage = (groups: readonly Pick<Group, 'first_page'>[], index: number, totalPages: number): number =>
  (groups[index + 1]?.first_page ?? totalPages) - 1;
