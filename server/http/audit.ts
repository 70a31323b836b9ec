// The audit log, for admins.
import { AuditQuery } from '../../shared/protocol/audit.ts';
import type { Database } from '../adapters/database.ts';
import { listAudit } from '../audit/read.ts';
import { parse, type Routes } from './routes.ts';

export function auditRoutes(routes: Routes, { db }: { db: Database }): void {
  routes.on('GET /api/audit', async (req, res) => {
    res.set('Cache-Control', 'no-store').json(await listAudit(db, parse(AuditQuery, req.query, 'query')));
  });
}
