// The sync engine's edge: what changed, and what was changed elsewhere.
import { PullQuery, PushForm } from '../../shared/protocol/sync.ts';
import type { Database } from '../adapters/database.ts';
import { rescoreAsked } from '../keys/rescore.ts';
import { pull } from '../sync/feed.ts';
import { push } from '../sync/push.ts';
import { sendPacked } from './packed.ts';
import { parse, type Routes } from './routes.ts';

export interface SyncRouteDeps {
  db: Database;
  /** wakes whoever watches a batch */
  touch: (batchId: string) => void;
  report: (error: unknown) => void;
}

const batchOf = (scope: string): string | null => (scope.startsWith('batch:') ? scope.slice('batch:'.length) : null);

export function syncRoutes(routes: Routes, { db, touch, report }: SyncRouteDeps): void {
  routes.on('GET /api/sync/pull', async (req, res, { user }) => {
    const { scope, cursor } = parse(PullQuery, req.query, 'query');
    // A batch's first pull is megabytes.
    await sendPacked(req, res, await pull(db, user, scope, cursor));
  });
  routes.on('POST /api/sync/push', async (req, res, { user }) => {
    const { answer, rescore } = await push(db, user, parse(PushForm, req.body, 'push'));
    res.set('Cache-Control', 'no-store').json(answer);
    const scopes = answer.outcomes
      .flatMap((one) => (one.status === 'applied' ? one.covers : []))
      .map(({ scope }) => scope);
    const touched = new Set([...scopes.flatMap((scope) => batchOf(scope) ?? []), ...rescore]);
    for (const batch of touched) touch(batch);
    if (rescore.length === 0) return;
    // It is written down that they are to be scored again: nobody has to wait, and nothing is forgotten.
    await rescoreAsked(db, rescore).catch(report);
    for (const batch of rescore) touch(batch);
  });
}
