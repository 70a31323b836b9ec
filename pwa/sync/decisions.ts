// What people decided about the pages of a kept batch, on this device and elsewhere, laid over what was read; and how a
// decision is made here. What comes of it is shared/review.ts, so that a score changes at once and the server's answer is
// no surprise.
import type { IDBPTransaction } from 'idb';
import type { Me } from '../../shared/protocol/auth.ts';
import type { Correction } from '../../shared/protocol/correction.ts';
import type { Correct, SheetLine } from '../../shared/protocol/sync.ts';
import { type Ruling, rulings, type Waiting } from '../../shared/review.ts';
import { sheetIdOf } from '../../shared/sheet-id.ts';
import { correctionsOf, type KnownTask, pageOf, pendingCorrections, waitingOn } from '../../shared/sheet-line.ts';
import type { Edit, FeedPart, UserDb, UserSchema, UserStore } from '../db.ts';
import { keptPages } from './feed.ts';
import { record } from './outbox.ts';

export interface DecidedPage {
  batch: string;
  batch_no: number;
  sheet_id: string;
  line: SheetLine;
  /** made here, and not shown by the server yet */
  pending: readonly Correction[];
  /** one of these the server does not have yet */
  unsent: boolean;
  ruled: ReadonlyMap<string, Ruling>;
  /** fields that wait for a person */
  waiting: ReadonlyMap<string, Waiting>;
}

export interface DecidedBatch {
  batch: string;
  pages: DecidedPage[];
  groups: FeedPart['groups'];
  /** when the server said so, ms since 1970 */
  true_at: number;
}

const NOTHING: ReadonlyMap<string, Ruling> = new Map();

type Item = Correct['items'][number];
type Said = Item & Pick<Correction, 'reason'> & { unsent: boolean };
/** What was decided here and counts until the server has answered and told it, by sheet id. */
function standing(edits: readonly Edit[]): Map<string, Said[]> {
  const found = new Map<string, Said[]>();
  for (const { change, state } of edits) {
    if (change.kind !== 'correct' || state.at === 'refused') continue;
    for (const item of change.items)
      found.set(item.sheet_id, [
        ...(found.get(item.sheet_id) ?? []),
        { ...item, reason: change.reason, unsent: state.at !== 'answered' },
      ]);
  }
  return found;
}

type Who = Pick<Me, 'user_id' | 'username' | 'role'>;

export type TaskOf = (task_id: string) => KnownTask | undefined;

type Look = IDBPTransaction<UserSchema, UserStore[], 'readonly'>;
/** What reading decided pages looks at; a screen that reads more belonging to them does so in the same transaction [S2]. */
export const DECIDED_STORES = ['feeds', 'parts', 'outbox', 'sync', 'keys', 'tasks', 'pulls'] as const;

/**
 * The pages of a kept batch as they stand; null until all of it is on this device.
 * @param tx over `DECIDED_STORES`: a decision leaves the outbox in the transaction that brings it back in a line
 * @param taskOf null while keys are not here
 * @param near only those around this page
 */
export async function readDecided(
  tx: Look,
  me: Who,
  batch: string,
  taskOf: TaskOf | null,
  near?: number,
): Promise<DecidedBatch | null> {
  const kept = await keptPages(tx, batch, near);
  if (!kept) return null;
  const { user_id, username, role } = me;
  const here = standing(await tx.objectStore('outbox').getAll());
  const by = { user_id, username, role, client_id: (await tx.objectStore('sync').get('client'))?.client_id ?? '' };
  const pages = kept.lines.map((line): DecidedPage => {
    const sheet_id = String(sheetIdOf(kept.batch_no, pageOf(line)));
    const said = here.get(sheet_id) ?? [];
    const pending = pendingCorrections(line, said, by);
    const unsent = said.some((one) => one.unsent);
    const all = [...correctionsOf(line), ...pending];
    const ruled = all.length > 0 ? rulings(all) : NOTHING;
    const waiting = waitingOn(line, ruled, pending, taskOf);
    return { batch, batch_no: kept.batch_no, sheet_id, line, pending, unsent, ruled, waiting };
  });
  return { batch, pages, groups: kept.groups, true_at: kept.true_at };
}

/** Tasks as this device knows them, each with the newest published version of its key; null before keys have come: then
 *  every sheet would be one without a key. */
export async function readTasksKnown(tx: Look): Promise<TaskOf | null> {
  if ((await tx.objectStore('pulls').get('keys')) === undefined) return null;
  const keys = new Map((await tx.objectStore('keys').getAll()).map((key) => [key.key_id, key]));
  const known = (await tx.objectStore('tasks').getAll()).map(({ task_id, key_id, template_id }) => {
    const published = (key_id === null ? undefined : keys.get(key_id))?.published ?? [];
    const newest = published.reduce<(typeof published)[number] | null>(
      (best, one) => (best && best.version > one.version ? best : one),
      null,
    );
    return [task_id, { key: newest?.content ?? null, template_id }] as const;
  });
  const tasks = new Map(known);
  return (task_id) => tasks.get(task_id);
}

/** Keeps decisions that stand or fall together. When this resolves they are on the disk. @returns the edit's number */
export const decide = (user: UserDb, batch_id: string, items: Item[], reason: string | null = null): Promise<number> =>
  record(user, { kind: 'correct', batch_id, items, reason }, null, Date.now());
