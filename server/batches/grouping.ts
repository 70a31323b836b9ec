// Which pages belong together: covers in page order open groups, groups name tasks. What cannot be told is not guessed:
// it opens a group that is held for a person, whose word then counts as if it had been read [R3].
import type { GroupRow } from '../../shared/protocol/batch.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import type { BatchesTable, Database, SheetGroupsTable, Tx } from '../adapters/database.ts';

export interface PageSeen {
  page_index: number;
  /** null: it failed, and may have been anything; 'damaged-sheet': it failed, and was no cover */
  kind: Reading['kind'] | 'damaged-sheet' | null;
  /** what a cover's QR says, null when it cannot be read */
  cover_task: string | null;
}
type GroupState = GroupRow['state'];
export type Group = Omit<SheetGroupsTable, 'batch_id' | 'state'> & { state: GroupState };

/** What a person said of the pages from one page on. */
export type Settled = { what: 'task'; task_id: string } | { what: 'join' } | { what: 'set-aside' };

/** Groups whose sheets wait for a person: nothing tells which task they belong to. */
export const HELD: readonly string[] = ['no-cover', 'unreadable-cover', 'maybe-cover'] satisfies GroupState[];
/** States that follow from covers and people alone; the others follow from task and key. */
export const isByHand = (state: string): boolean => HELD.includes(state) || state === 'set-aside';

/**
 * Groups pages that are in file order.
 * @param typedTask the task of a batch without covers; it holds for all its pages
 * @param settled by page index
 */
export function groupPages(
  pages: readonly PageSeen[],
  typedTask: string | null,
  settled: ReadonlyMap<number, Settled> = new Map(),
): Group[] {
  const groups: Group[] = [];
  const open = (page: number, task_id: string | null, cover_page: number | null, state: GroupState): Group => {
    const group: Group = {
      group_index: groups.length,
      task_id,
      cover_page,
      first_page: page,
      sheets: 0,
      failed_sheets: 0,
      state,
      suspicion: null,
      confirmed_key: null,
    };
    groups.push(group);
    return group;
  };
  const atStake = sheetsFollow(pages);
  let current = typedTask === null || settled.has(0) ? null : open(0, typedTask, null, 'ok');
  for (const [i, page] of pages.entries()) {
    const said = settled.get(page.page_index);
    const cover_page = page.kind === 'cover' ? page.page_index : null;
    if (said?.what === 'task') current = open(page.page_index, said.task_id, cover_page, 'ok');
    else if (said?.what === 'set-aside') current = open(page.page_index, null, cover_page, 'set-aside');
    else if (said === undefined && typedTask === null) {
      if (page.kind === 'cover') {
        current = open(
          page.page_index,
          page.cover_task,
          cover_page,
          page.cover_task === null ? 'unreadable-cover' : 'ok',
        );
      } else if (page.kind === null && current && atStake[i] && !isRunOfFailures(current)) {
        // It may have been the cover of what follows.
        current = open(page.page_index, null, null, 'maybe-cover');
      }
    }
    if (page.kind === 'cover' || page.kind === 'blank') continue;
    current ??= typedTask === null ? open(page.page_index, null, null, 'no-cover') : open(0, typedTask, null, 'ok');
    current.sheets++;
    if (page.kind === null || page.kind === 'damaged-sheet') current.failed_sheets++;
  }
  return groups;
}

/** For each page whether a sheet that was read comes after it, before the next cover. */
function sheetsFollow(pages: readonly PageSeen[]): boolean[] {
  const follow: boolean[] = [];
  let any = false;
  for (let i = pages.length - 1; i >= 0; i--) {
    follow[i] = any;
    if (pages[i]?.kind === 'sheet') any = true;
    else if (pages[i]?.kind === 'cover') any = false;
  }
  return follow;
}

/** One failed page after another is one question, not several. */
const isRunOfFailures = ({ state, sheets, failed_sheets }: Group): boolean =>
  state === 'maybe-cover' && sheets === failed_sheets;

type Reader = Database['sql'] | Tx;

/** A batch's groups as its pages, its people and the tasks that exist make them. */
export async function groupsOf(sql: Reader, batch: Pick<BatchesTable, 'batch_id' | 'task_id'>): Promise<Group[]> {
  const { batch_id } = batch;
  const rows = await sql
    .selectFrom('pages')
    .select(['page_index', 'kind'])
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
  const said = await sql.selectFrom('settlements').selectAll().where('batch_id', '=', batch_id).execute();
  const settled = new Map(
    said.map(({ first_page, what, task_id }) => [first_page, { what, task_id } as Settled] as const),
  );
  const pages = rows.map(({ page_index, kind }) => ({
    page_index,
    kind: kind as PageSeen['kind'],
    cover_task: taskOfCover.get(page_index) ?? null,
  }));
  const groups = groupPages(pages, batch.task_id, settled);
  const named = [...new Set(groups.flatMap((group) => group.task_id ?? []))];
  const known = named.length
    ? await sql.selectFrom('tasks').select('task_id').where('task_id', 'in', named).execute()
    : [];
  const tasks = new Set(known.map((task) => task.task_id));
  for (const group of groups) if (group.task_id !== null && !tasks.has(group.task_id)) group.state = 'no-task';
  return groups;
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
