// A task whose sheets came in several files: the groups of each batch note that others have its task too (`other-files`),
// so devices that keep one batch are told when another one takes a task up or lets it go.
import type { Database, Tx } from '../adapters/database.ts';
import { scopeOf, tellChanges } from '../changes.ts';

/** The tasks that groups of this batch have. */
export async function tasksIn(tx: Tx, batch_id: string): Promise<Set<string>> {
  const rows = await tx
    .selectFrom('sheet_groups')
    .select('task_id')
    .distinct()
    .where('batch_id', '=', batch_id)
    .where('task_id', 'is not', null)
    .execute();
  return new Set(rows.flatMap(({ task_id }) => task_id ?? []));
}

/** Tells the groups of other batches whose note may be another one now. Call last in a transaction.
 *  @param before the batch's tasks as they counted for others when it began, @param after as they count now */
export async function tellOtherFiles(
  db: Database,
  tx: Tx,
  batch_id: string,
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): Promise<void> {
  const changed = [...before].filter((task) => !after.has(task)).concat([...after].filter((task) => !before.has(task)));
  if (changed.length === 0) return;
  const rows = await tx
    .selectFrom('sheet_groups')
    .select(['batch_id', 'group_index'])
    .where('task_id', 'in', changed)
    .where('batch_id', '!=', batch_id)
    .orderBy('batch_id')
    .execute();
  for (const other of new Set(rows.map((row) => row.batch_id))) {
    const own = rows.filter((row) => row.batch_id === other).map(({ group_index }) => group_index);
    await tellChanges(db, tx, scopeOf(other), 'group', own);
  }
}

/** The tasks of a batch in the bin count for nobody. */
export const NO_TASKS: ReadonlySet<string> = new Set();
