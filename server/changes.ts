// The change feed: one row an entity, the newest change wins, numbered within its scope. A number is taken in the
// transaction that makes the change and its row stays locked until the commit, so commit order is number order.
import type { Database, Tx } from './adapters/database.ts';

/** A batch's sheets and groups have a scope of their own; what the whole office shares is in OFFICE. */
export const OFFICE = 'office';
export const scopeOf = (batchId: string): string => `batch:${batchId}`;

/** Says that these entities have changed. Call last in a transaction: others who change the scope wait for its end. */
export async function tellChanges(
  db: Database,
  tx: Tx,
  scope: string,
  entity_type: string,
  ids: readonly (string | number)[],
): Promise<void> {
  if (ids.length === 0) return;
  const last = await db.nextSeq(tx, scope, ids.length);
  const first = last - ids.length + 1;
  const rows = ids.map((id, i) => ({
    scope,
    entity_type,
    entity_id: String(id),
    seq: first + i,
    deleted: 0 as const,
  }));
  await db.upsert(tx, 'changes', rows);
}
