// The audit log as admins read it: who did what to what, when, on which device, and what it was before and after.
import * as v from 'valibot';

export const AuditRow = v.object({
  seq: v.number(),
  at: v.string(),
  user_id: v.nullable(v.string()),
  /** null: the system itself, or a user who is gone */
  username: v.nullable(v.string()),
  device: v.nullable(v.string()),
  /** `user.create`, `key.publish`, `batch.purge` … */
  action: v.string(),
  /** `user:…`, `key:…@3`, `batch:…` */
  subject: v.string(),
  before: v.unknown(),
  after: v.unknown(),
  /** SHA-256 over the row and the hash of the one before it */
  hash: v.string(),
});
export type AuditRow = v.InferOutput<typeof AuditRow>;

/** The newest row under the server's signature: whoever keeps it can show later that nothing before it was changed. */
export const AuditHead = v.object({
  seq: v.number(),
  hash: v.string(),
  /** RFC 3339 */
  at: v.string(),
  /** Ed25519 over `sheaf-audit-head\n{seq}\n{hash}\n{at}`, base64 */
  signature: v.string(),
});
export type AuditHead = v.InferOutput<typeof AuditHead>;

export const AuditQuery = v.object({
  page: v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,6}$/, 'a page from 1 on'), v.transform(Number)), '1'),
  /** in action, subject and user name */
  search: v.optional(v.string()),
  user_id: v.optional(v.string()),
  subject: v.optional(v.string()),
  action: v.optional(v.string()),
});
export type AuditQuery = v.InferOutput<typeof AuditQuery>;

export const AuditList = v.object({
  /** newest first */
  items: v.array(AuditRow),
  total: v.number(),
  page: v.number(),
  pages: v.number(),
  head: v.nullable(AuditHead),
  /** SPKI, PEM */
  public_key: v.string(),
});
export type AuditList = v.InferOutput<typeof AuditList>;
