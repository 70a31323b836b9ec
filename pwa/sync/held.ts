// What of a batch waits for somebody before it can have a score at all: groups that nobody can place, and tasks that do not
// exist yet. Worked out from the groups that are on this device, with what was decided and made here over them.
import type { IDBPTransaction } from 'idb';
import type { BatchRow, GroupRow } from '../../shared/protocol/batch.ts';
import { pageIndexIn } from '../../shared/sheet-id.ts';
import type { Edit, UserSchema, UserStore } from '../db.ts';
import { keptGroups } from './feed.ts';
import { versionOf } from './pull.ts';

export interface Held {
  /** without a task, and their sheets */
  groups: number;
  sheets: number;
  /** tasks that do not exist yet, and the sheets that wait for them */
  tasks: { task_id: string; sheets: number }[];
}

const UNPLACED: readonly GroupRow['state'][] = ['no-cover', 'unreadable-cover', 'maybe-cover'];
/** Nobody can tell which task its sheets belong to. */
export const isUnplaced = ({ state }: Pick<GroupRow, 'state'>): boolean => UNPLACED.includes(state);

/**
 * @param opened pages of which somebody has said here what begins there
 * @param made tasks that are on this device: the server may not have said yet that a group has found its own
 */
export function heldIn(
  groups: readonly GroupRow[],
  opened: ReadonlySet<number>,
  made: { has(task_id: string): boolean },
): Held {
  const held: Held = { groups: 0, sheets: 0, tasks: [] };
  for (const { state, task_id, first_page, sheets } of groups) {
    if (opened.has(first_page)) continue;
    if (isUnplaced({ state })) {
      held.groups++;
      held.sheets += sheets;
    } else if (state === 'no-task' && task_id !== null && !made.has(task_id)) {
      const same = held.tasks.find((one) => one.task_id === task_id);
      if (same) same.sheets += sheets;
      else held.tasks.push({ task_id, sheets });
    }
  }
  return held;
}

export const holds = (held: Held | null | undefined): held is Held =>
  held !== null && held !== undefined && held.groups + held.tasks.length > 0;

/** By batch, the pages of which somebody has said here what begins there. */
function openedHere(edits: readonly Edit[]): Map<string, Set<number>> {
  const said = new Map<string, Set<number>>();
  for (const { change, state } of edits) {
    if (change.kind !== 'correct' || state.at === 'refused') continue;
    for (const { sheet_id, field, value } of change.items) {
      if (field !== 'opens') continue;
      const own = said.get(change.batch_id) ?? new Set();
      if (value === null) own.delete(pageIndexIn(sheet_id));
      else own.add(pageIndexIn(sheet_id));
      said.set(change.batch_id, own);
    }
  }
  return said;
}

/** What reading it looks at; `HELD_CHANGES`: when it may have changed (a feed is noted at each asking, with nothing new). */
export const HELD_STORES = ['groups', 'feeds', 'parts', 'outbox', 'tasks', 'overlays'] as const;
export const HELD_CHANGES = ['groups', 'parts', 'outbox', 'tasks', 'overlays'] as const satisfies readonly UserStore[];

/** By batch: of those whose groups are on this device. @param only this batch */
export async function readHeld(
  tx: IDBPTransaction<UserSchema, UserStore[], 'readonly'>,
  only?: string,
): Promise<Map<string, Held>> {
  const listed =
    only === undefined
      ? await tx.objectStore('groups').getAll()
      : [await tx.objectStore('groups').get(only)].flatMap((one) => one ?? []);
  const groups = new Map(listed.map(({ batch, items }) => [batch, items]));
  // What is kept for review is told as it changes; a list is as old as the last look at it.
  for (const [batch, own] of await keptGroups(tx, only)) groups.set(batch, own);
  const opened = openedHere(await tx.objectStore('outbox').getAll());
  const made = new Set(await tx.objectStore('tasks').getAllKeys());
  for (const { change } of await tx.objectStore('overlays').getAll())
    if (change.kind === 'task') made.add(change.task.task_id);
  return new Map([...groups].map(([batch, own]) => [batch, heldIn(own, opened.get(batch) ?? new Set(), made)]));
}

/** Batches whose groups are looked up though nobody has opened them: the newest of the list. */
const MOST = 50;

/**
 * Batches that ended and whose groups are not on this device as they ended: the list says which of them wait for a person.
 * One that was opened or sent from here is fetched whole.
 */
export function ungrouped(
  rows: readonly BatchRow[],
  fetched: ReadonlyMap<string, { version?: string }>,
  wanted: ReadonlySet<string>,
): { batch: string; version: string }[] {
  return rows
    .filter(({ status, deleted_at }) => status.startsWith('completed') && deleted_at === null)
    .sort((a, b) => b.created_at.localeCompare(a.created_at))
    .slice(0, MOST)
    .map((row) => ({ batch: row.batch_id, version: versionOf(row) }))
    .filter(({ batch, version }) => !wanted.has(batch) && fetched.get(batch)?.version !== version);
}
