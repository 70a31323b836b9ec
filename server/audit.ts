// The audit log: append-only, each row carrying the hash of the one before it, so that a changed or missing row shows.
import { createHash } from 'node:crypto';
import type { Database, Tx } from './adapters/database.ts';

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

const text = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

/** Appends inside the caller's transaction, so that what is done and its record stand or fall together. */
export async function audit(db: Database, tx: Tx, entry: AuditEntry): Promise<void> {
  const seq = await db.nextSeq(tx, 'audit');
  const last = await tx
    .selectFrom('audit')
    .select('hash')
    .where('seq', '=', seq - 1)
    .executeTakeFirst();
  const previous_hash = last?.hash ?? '';
  const row = {
    seq,
    at: Date.now(),
    user_id: entry.user_id,
    device: entry.device ?? null,
    action: entry.action,
    subject: entry.subject,
    before_value: text(entry.before),
    after_value: text(entry.after),
    previous_hash,
  };
  const hash = createHash('sha256')
    .update(JSON.stringify(Object.values(row)))
    .digest('hex');
  await tx
    .insertInto('audit')
    .values({ ...row, hash })
    .execute();
}
