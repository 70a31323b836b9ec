// Organising: covers in page order open groups, groups name tasks. A cover that cannot be read opens a group all the
// same, held for a person: its sheets never fall into the group before it [R3].
import type { Reading } from '../../shared/protocol/reading.ts';
import type { SheetGroupsTable } from '../adapters/database.ts';
import { placePages } from '../corrections/place.ts';
import { endStage, type Logged, tell } from '../progress/log.ts';
import type { Step } from './steps.ts';

export interface PageSeen {
  page_index: number;
  /** null: it failed */
  kind: Reading['kind'] | null;
  /** what a cover's QR says, null when it cannot be read */
  cover_task: string | null;
}
export type Group = Omit<SheetGroupsTable, 'batch_id'>;

/** Groups pages that are in file order. `typedTask` is the task of a batch without covers; it holds for all its pages. */
export function groupPages(pages: readonly PageSeen[], typedTask: string | null): Group[] {
  const groups: Group[] = [];
  const open = (page: number, task_id: string | null, cover_page: number | null, state: string): Group => {
    const group = {
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
  let current = typedTask === null ? null : open(0, typedTask, null, 'ok');
  for (const page of pages) {
    if (page.kind === 'cover') {
      if (typedTask === null) {
        current = open(
          page.page_index,
          page.cover_task,
          page.page_index,
          page.cover_task === null ? 'unreadable-cover' : 'ok',
        );
      }
      continue;
    }
    if (page.kind === 'blank') continue;
    current ??= open(page.page_index, null, null, 'no-cover');
    current.sheets++;
    if (page.kind === null) current.failed_sheets++;
  }
  return groups;
}

/** Index of the group each page belongs to, for pages in file order; null before the first group. */
export function groupOfPage(groups: readonly Group[], pageIndex: number): Group | null {
  let found: Group | null = null;
  for (const group of groups) {
    if (group.first_page > pageIndex) break;
    found = group;
  }
  return found;
}

export const organize: Step = async (batch, { db, announce }) => {
  const { batch_id } = batch;
  if (batch.done_pages < batch.total_pages) return 'waiting';
  const rows = await db.sql
    .selectFrom('pages')
    .select(['page_index', 'kind'])
    .where('batch_id', '=', batch_id)
    .orderBy('page_index')
    .execute();
  const covers = await db.sql
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
  const pages = rows.map((row) => ({
    page_index: row.page_index,
    kind: row.kind as Reading['kind'] | null,
    cover_task: taskOfCover.get(row.page_index) ?? null,
  }));
  const groups = groupPages(pages, batch.task_id);
  const named = [...new Set(groups.flatMap((group) => group.task_id ?? []))];
  const known = named.length
    ? await db.sql.selectFrom('tasks').select('task_id').where('task_id', 'in', named).execute()
    : [];
  const tasks = new Set(known.map((task) => task.task_id));
  for (const group of groups) if (group.task_id !== null && !tasks.has(group.task_id)) group.state = 'no-task';

  const logged = await db.write(async (tx) => {
    const at = Date.now();
    if (!(await endStage(tx, batch_id, 'organizing_qr', at))) return [];
    await tx.deleteFrom('sheet_groups').where('batch_id', '=', batch_id).execute();
    for (const [i, group] of groups.entries()) {
      await tx
        .insertInto('sheet_groups')
        .values({ ...group, batch_id })
        .execute();
      await tx
        .updateTable('pages')
        .set({ group_index: group.group_index, task_id: group.task_id })
        .where('batch_id', '=', batch_id)
        .where('page_index', '>=', group.first_page)
        .where('page_index', '<', groups[i + 1]?.first_page ?? batch.total_pages)
        .execute();
    }
    // What people said of covers and pages holds for this reading too.
    await placePages(tx, batch);
    const told: Logged[] = [];
    for (const [i, group] of groups.entries()) {
      const message = `Processing group ${i + 1}/${groups.length}: ${describe(group)}`;
      // The last group's message is not the end: that is said below.
      const percentage = Math.min(99.9, ((i + 1) / groups.length) * 100);
      told.push(...(await tell(tx, batch_id, { stage: 'organizing_qr', message, percentage }, at)));
    }
    const sheets = groups.reduce((sum, group) => sum + group.sheets, 0);
    const failed = groups.reduce((sum, group) => sum + group.failed_sheets, 0);
    const message = `Organized into ${groups.length} groups, ${sheets} sheets total`;
    told.push(...(await tell(tx, batch_id, { stage: 'organizing_qr', message, percentage: 100 }, at)));
    await endStage(tx, batch_id, 'processing_sheets', at);
    const all = `All ${sheets} sheets completed (${failed} failed)`;
    told.push(...(await tell(tx, batch_id, { stage: 'processing_sheets', message: all, percentage: 100 }, at)));
    return told;
  });
  announce(logged);
  return 'done';
};

const sheetCount = (n: number): string => `${n} ${n === 1 ? 'sheet' : 'sheets'}`;
function describe(group: Group): string {
  const count = sheetCount(group.sheets);
  switch (group.state) {
    case 'no-cover':
      return `${count} before the first cover, held for a person`;
    case 'unreadable-cover':
      return `QR code unreadable, ${count} held for a person`;
    case 'no-task':
      return `QR code ${group.task_id}, ${count}, no such task yet`;
    default:
      return `QR code ${group.task_id}, ${count}`;
  }
}
