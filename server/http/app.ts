// The HTTP application: everything it answers, in one list.
import express, { type Express } from 'express';
import { isKnown } from '../auth/known.ts';
import type { Sessions } from '../auth/sessions.ts';
import { sha256 } from '../auth/sessions.ts';
import { refuse } from '../problem.ts';
import { auditRoutes } from './audit.ts';
import { authRoutes } from './auth.ts';
import { type BatchRouteDeps, batchRoutes } from './batches.ts';
import { type EventsDeps, eventRoutes } from './events.ts';
import { keyRoutes } from './keys.ts';
import { createRoutes, problems, type Routes } from './routes.ts';
import { streamRoutes } from './stream.ts';
import { syncRoutes } from './sync.ts';
import { type UploadRouteDeps, uploadRoutes } from './uploads.ts';
import { userRoutes } from './users.ts';
import { webRoutes } from './web.ts';

export interface AppDeps extends UploadRouteDeps, EventsDeps, BatchRouteDeps {
  sessions: Sessions;
  webDir: string;
  /** whose word is taken for where a request comes from, and whether it came by TLS */
  trustedProxies: string[];
  /** rejects when something that serving needs is away, saying what */
  check: () => Promise<void>;
}

export function createApp(deps: AppDeps): { app: Express; routes: Routes } {
  const { db } = deps;
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', deps.trustedProxies);
  app.set('etag', false);
  app.use('/api', express.json({ limit: '4mb' }), express.urlencoded({ extended: false, limit: '64kb' }));
  const routes = createRoutes(app, {
    sessions: deps.sessions,
    async uploadOfToken(token) {
      const row = await db.sql
        .selectFrom('uploads')
        .select('upload_id')
        .where('token_hash', '=', sha256(token))
        .executeTakeFirst();
      return row?.upload_id ?? null;
    },
    isKnown: (user, kind, id) => isKnown(db, user, kind, id),
  });
  authRoutes(routes, deps.sessions);
  uploadRoutes(routes, deps);
  batchRoutes(routes, deps);
  keyRoutes(routes, deps);
  streamRoutes(routes, deps);
  eventRoutes(routes, deps);
  userRoutes(routes, deps);
  auditRoutes(routes, deps);
  syncRoutes(routes, deps);
  routes.open('GET /healthz', (_req, res) => res.json({ ok: true }));
  routes.open('GET /readyz', async (_req, res) => {
    await deps
      .check()
      .catch((error: unknown) => refuse('UNAVAILABLE', `Not ready: ${String(error)}.`, { retryAfter: 5 }));
    res.json({ ok: true });
  });
  app.use('/api', (req) =>
    refuse(
      'NOT_FOUND',
      `There is no ${req.method} ${req.originalUrl.split('?')[0]}. Check the path; docs/protocol.md has the upload routes.`,
    ),
  );
  webRoutes(app, deps.webDir);
  app.use(problems(deps.report));
  return { app, routes };
}
