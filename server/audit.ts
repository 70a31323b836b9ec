// The audit log: append-only, each row carrying the hash of the one before it, so that a changed or missing row shows.
// Who signs its head is audit/heads.ts, who checks it audit/chain.ts.
import { createHash } from 'node:crypto';
import type { AuditTable, Database, Tx } from './adapters/database.ts';

export interface AuditEntry {
  user_id: string | null;
  device?: string | null;
  /** what was done: `batch.purge`, `key.create` … */
  action: string;
  /** what it was done to: `batch:…`, `task:14900113` */
  subject: string;
  before?: unknown;
  after?: unknown;
}

/** Who did it and on which device, for an entry. */
export const by = (user: { user_id: string; device: string }): Pick<AuditEntry, 'user_id' | 'device'> => ({
  user_id: user.user_id,
  device: user.device,
});

/** How content is named in an entry that does not repeat it: a row that is changed behind the log's back shows. */
export const contentHash = (content: string): string => createHash('sha256').update(content).digest('hex');

const text = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

/** SHA-256 over all of a row but its own hash, the hash of the row before it included. */
export function auditHash(row: Omit<AuditTable, 'hash'>): string {
  const { seq, at, user_id, device, action, subject, before_value, after_value, previous_hash } = row;
  const told = [seq, at, user_id, device, action, subject, before_value, after_value, previous_hash];
  return createHash('sha256').update(JSON.stringify(told)).digest('hex');
}

/** Appends inside the caller's transaction, so that what is done and its record stand or fall together. */
export async function audit(db: Database, tx: Tx, entry: AuditEntry): Promise<void> {
  const seq = await db.nextSeq(tx, 'audit');
  const last = await tx
    .selectFrom('audit')
    .select('hash')
    .where('seq', '=', seq - 1)
    .executeTakeFirst();
  const row = {
    seq,
    at: Date.now(),
    user_id: entry.user_id,
    device: entry.device ?? null,
    action: entry.action,
    subject: entry.subject.slice(0, 191),
    before_value: text(entry.before),
    after_value: text(entry.after),
    previous_hash: last?.hash ?? '',
  };
  await tx
    .insertInto('audit')
    .values({ ...row, hash: auditHash(row) })
    .execute();
}
