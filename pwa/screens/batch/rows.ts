// The sheets of a batch as its screen lists them: as the server did, and those about which somebody has decided something
// as that comes out on this device, also before the server has it.
import type { Me } from '../../../shared/protocol/auth.ts';
import type { SheetRow } from '../../../shared/protocol/batch.ts';
import { correctionsOf, pageOf, viewSheet } from '../../../shared/sheet-line.ts';
import type { UserDb } from '../../db.ts';
import { DECIDED_STORES, type DecidedPage, readDecided, readTasksKnown, type TaskOf } from '../../sync/decisions.ts';
import { eventsOf } from '../../sync/pull.ts';

export interface ShownSheet extends SheetRow {
  /** decided here, and the server does not have it yet */
  pending: boolean;
}

const READ = [...DECIDED_STORES, 'sheets'] as const;
/** When these change the rows may: not when a feed was asked and had nothing new. */
export const ROW_STORES = ['sheets', 'parts', 'outbox', 'keys', 'tasks'] as const;

/** @param keys whether answer keys come to this device */
export async function readRows(
  user: UserDb,
  me: Pick<Me, 'user_id' | 'username' | 'role'>,
  batch: string,
  keys: boolean,
): Promise<ShownSheet[]> {
  const tx = user.transaction(READ);
  const rows = await tx.objectStore('sheets').getAll(eventsOf(batch));
  const taskOf = keys ? await readTasksKnown(tx) : null;
  const pages = (await readDecided(tx, me, batch, taskOf))?.pages ?? [];
  const decided = new Map(
    pages
      .filter(({ line, pending }) => correctionsOf(line).length + pending.length > 0)
      .map((page) => [pageOf(page.line), page]),
  );
  return rows.map((row) => decidedRow(row, decided.get(row.page_index), taskOf));
}

/**
 * The list and the feed are fetched apart: once somebody has decided about a page the feed alone is asked, so that a score
 * does not go back when its decision arrives.
 */
function decidedRow(row: SheetRow, page: DecidedPage | undefined, taskOf: TaskOf | null): ShownSheet {
  const pending = page !== undefined && page.pending.length > 0;
  const view = page && viewSheet(page.line, page.pending, taskOf);
  if (!view) return { ...row, pending: page?.unsent ?? false };
  const { line, waiting } = page;
  const { marks, task_id } = view.final;
  const told = {
    score: line[16],
    max_score: line[17],
    correct: line[18],
    wrong: line[19],
    blank: line[20],
    multiple: line[21],
    unscored: line[23],
  };
  return {
    ...row,
    ...((pending && view.result) || told),
    roll: marks.roll,
    variant: marks.variant,
    doubtful: waiting.size,
    task_id: task_id ?? line[5],
    pending: page.unsent,
  };
}
