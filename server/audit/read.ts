// The audit log as admins read and search it, newest first.
import { sql } from 'kysely';
import type { AuditList, AuditQuery } from '../../shared/protocol/audit.ts';
import type { Database } from '../adapters/database.ts';
import { iso } from '../progress/log.ts';
import { newestHead, publicKeyOf } from './heads.ts';

const PAGE_SIZE = 100;

const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

export async function listAudit(db: Database, query: AuditQuery): Promise<AuditList> {
  let found = db.sql.selectFrom('audit').leftJoin('users', 'users.user_id', 'audit.user_id');
  if (query.user_id) found = found.where('audit.user_id', '=', query.user_id);
  if (query.subject) found = found.where('subject', '=', query.subject);
  if (query.action) found = found.where('action', '=', query.action);
  if (query.search) {
    const like = `%${query.search.toLowerCase().replace(/[!%_]/g, (c) => `!${c}`)}%`;
    found = found.where((eb) =>
      eb.or([
        sql<boolean>`lower(action) like ${like} escape '!'`,
        sql<boolean>`lower(subject) like ${like} escape '!'`,
        sql<boolean>`lower(coalesce(username, '')) like ${like} escape '!'`,
      ]),
    );
  }
  const { total } = await found.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  const rows = await found
    .selectAll('audit')
    .select('username')
    .orderBy('seq', 'desc')
    .limit(PAGE_SIZE)
    .offset((query.page - 1) * PAGE_SIZE)
    .execute();
  return {
    items: rows.map(({ at, before_value, after_value, previous_hash: _, ...row }) => ({
      ...row,
      at: iso(at),
      before: parsed(before_value),
      after: parsed(after_value),
    })),
    total: Number(total),
    page: query.page,
    pages: Math.max(1, Math.ceil(Number(total) / PAGE_SIZE)),
    head: await newestHead(db),
    public_key: await publicKeyOf(db),
  };
}
