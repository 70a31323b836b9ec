// The change feed: one row an entity, the newest change wins, numbered within its scope. A number is taken in the
// transaction that makes the change and its row stays locked until the commit, so commit order is number order. Who is
// told what is sync/feed.ts.
import type { Database, Tx } from './adapters/database.ts';

/** A batch's sheets and groups have a scope of their own; what the whole office shares is in OFFICE: batches, keys, tasks
 *  and templates. */
export const OFFICE = 'office';
export const scopeOf = (batchId: string): string => `batch:${batchId}`;

/** More changes at once than this, and whoever is behind pulls the scope anew: that is no longer than hearing them all. */
export const MOST_CHANGES = 1000;
/** The entity that stands for all of its scope. */
export const ALL = 'all';

/** Says that these entities have changed. Call last in a transaction: others who change the scope wait for its end. */
export async function tellChanges(
  db: Database,
  tx: Tx,
  scope: string,
  entity_type: string,
  ids: readonly (string | number)[],
): Promise<void> {
  if (ids.length === 0) return;
  if (ids.length > MOST_CHANGES) return tellAll(db, tx, scope);
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

/** Says that everything in the scope may have changed, by one number: a bulk load holds nobody up. */
export async function tellAll(db: Database, tx: Tx, scope: string): Promise<void> {
  const seq = await db.nextSeq(tx, scope);
  await tx.deleteFrom('changes').where('scope', '=', scope).execute();
  await db.upsert(tx, 'changes', [{ scope, entity_type: ALL, entity_id: '', seq, deleted: 0 }]);
}

/** Says that a batch's own row has changed: its state, its counts, or that it is there at all. */
export async function tellBatch(tx: Tx, batchId: string): Promise<void> {
  // Without the database's own verbs, for callers who have only the transaction; the office's row is always there.
  await tx
    .updateTable('sequences')
    .set((eb) => ({ seq: eb('seq', '+', 1) }))
    .where('scope', '=', OFFICE)
    .execute();
  const { seq } = await tx.selectFrom('sequences').select('seq').where('scope', '=', OFFICE).executeTakeFirstOrThrow();
  const batch = { scope: OFFICE, entity_type: 'batch', entity_id: batchId };
  await tx
    .deleteFrom('changes')
    .where('scope', '=', OFFICE)
    .where('entity_type', '=', 'batch')
    .where('entity_id', '=', batchId)
    .execute();
  await tx
    .insertInto('changes')
    .values({ ...batch, seq, deleted: 0 })
    .execute();
}
