// What the review screens read of the store: kept batches with people's decisions over them, and what it takes to score.
import type { Me } from '../../../shared/protocol/auth.ts';
import type { ResultColumns } from '../../../shared/review.ts';
import { viewSheet } from '../../../shared/sheet-line.ts';
import type { Edit, UserDb, UserStore } from '../../db.ts';
import {
  DECIDED_STORES,
  type DecidedBatch,
  type DecidedPage,
  readDecided,
  readTasksKnown,
  type TaskOf,
} from '../../sync/decisions.ts';
import { HELD_STORES, type Held, holds, readHeld } from '../../sync/held.ts';
import { readTemplates, type Templates } from './templates.ts';

const READ = [...new Set([...DECIDED_STORES, ...HELD_STORES, 'kept', 'batches'] as const)];
export const REVIEW_STORES: readonly UserStore[] = [...READ, 'templates'];

export interface ReviewData {
  batches: DecidedBatch[];
  /** by sheet id */
  pages: ReadonlyMap<string, DecidedPage>;
  names: ReadonlyMap<string, string>;
  taskOf: TaskOf | null;
  tasks: string[];
  templates: Templates;
  refused: Edit[];
  /** batches that are kept, and of those that are not, the ones with something to look at */
  known: { batch_id: string; name: string; doubtful: number; held: Held | null; kept: boolean }[];
  /** what waits in groups, by batch, of those that are read here */
  held: ReadonlyMap<string, Held>;
}

/** @param batch null: all that are kept */
export async function readReview(user: UserDb, me: Me, batch: string | null): Promise<ReviewData> {
  const tx = user.transaction(READ);
  const kept = new Set((await tx.objectStore('kept').getAll()).map((one) => one.batch));
  const wanted = batch === null ? [...kept] : [batch];
  const taskOf = await readTasksKnown(tx);
  const batches = (await Promise.all(wanted.map((id) => readDecided(tx, me, id, taskOf)))).flatMap((one) => one ?? []);
  const rows = (await tx.objectStore('batches').getAll()).sort((a, b) => b.created_at.localeCompare(a.created_at));
  const edits = await tx.objectStore('outbox').getAll();
  const tasks = (await tx.objectStore('tasks').getAllKeys()).sort();
  const held = await readHeld(tx);
  return {
    batches,
    pages: new Map(batches.flatMap(({ pages }) => pages.map((page) => [page.sheet_id, page] as const))),
    names: new Map(rows.map(({ batch_id, name }) => [batch_id, name])),
    taskOf,
    tasks,
    templates: await readTemplates(user),
    held: new Map([...held].filter(([id]) => batches.some(({ batch: own }) => own === id))),
    refused: edits.filter(({ change, state }) => change.kind === 'correct' && state.at === 'refused'),
    known: rows
      .filter(
        (row) =>
          row.deleted_at === null &&
          (kept.has(row.batch_id) || row.doubtful_sheets + row.failed_sheets > 0 || holds(held.get(row.batch_id))),
      )
      .map(({ batch_id, name, doubtful_sheets }) => ({
        batch_id,
        name,
        doubtful: doubtful_sheets,
        held: held.get(batch_id) ?? null,
        kept: kept.has(batch_id),
      })),
  };
}

/** Whether a sheet belongs to no task, or to one that does not exist: it has no score, whatever it says. */
export const isTaskless = ({ line }: Pick<DecidedPage, 'line'>): boolean => line[23] === 'no-task';

/** What a page's score comes to under all that was decided, at once. */
export const scoreOf = (page: DecidedPage, taskOf: ReviewData['taskOf']): ResultColumns | null =>
  (taskOf && viewSheet(page.line, page.pending, taskOf)?.result) ?? null;
