// Who may do what, as one table of data: every route has a row, and a route without one cannot be registered. What a
// user may see of what exists is the other half (`visible`): it goes into the queries themselves.
import type { ExpressionBuilder } from 'kysely';
import type { Role } from '../../shared/protocol/auth.ts';
import type { Schema } from '../adapters/database.ts';
import type { User } from './sessions.ts';

const EVERYONE: readonly Role[] = ['admin', 'supervisor', 'reviewer', 'operator', 'viewer'];
const SENDERS: readonly Role[] = ['admin', 'supervisor', 'reviewer', 'operator'];
const KEYHOLDERS: readonly Role[] = ['admin', 'supervisor'];

interface Row {
  /** roles that may, or `public` for no sign-in at all */
  who: readonly Role[] | 'public';
  /** an upload's own token opens this route too, for that upload alone */
  uploadToken?: true;
}

export const ACCESS = {
  'POST /api/auth/login': { who: 'public' },
  'POST /api/auth/refresh': { who: 'public' },
  'POST /api/auth/logout': { who: 'public' },
  'POST /api/auth/password': { who: EVERYONE },
  'GET /api/auth/me': { who: EVERYONE },
  'POST /api/batches/upload': { who: SENDERS },
  'POST /api/batches/uploads': { who: SENDERS },
  'POST /api/batches/upload-chunk': { who: SENDERS, uploadToken: true },
  'GET /api/batches/uploads/:upload_id': { who: SENDERS, uploadToken: true },
  'POST /api/batches/uploads/:upload_id/seal': { who: SENDERS, uploadToken: true },
  'POST /api/batches/uploads/:upload_id/adopt': { who: KEYHOLDERS },
  'DELETE /api/batches/uploads/:upload_id': { who: SENDERS },
  'GET /api/batches': { who: EVERYONE },
  'GET /api/batches/:batch_id/status': { who: EVERYONE },
  'GET /api/batches/:batch_id/progress': { who: EVERYONE },
  'GET /api/batches/:batch_id/stream': { who: EVERYONE },
  'GET /api/batches/:batch_id/groups': { who: EVERYONE },
  'GET /api/batches/:batch_id/sheets': { who: EVERYONE },
  'GET /api/batches/:batch_id/sheets/:sheet_id': { who: EVERYONE },
  'GET /api/batches/:batch_id/sheets/:sheet_id/image': { who: EVERYONE },
  'GET /api/batches/:batch_id/export': { who: EVERYONE },
  'POST /api/batches/:batch_id/restore': { who: ['admin'] },
  'DELETE /api/batches/:batch_id': { who: ['admin'] },
  'POST /api/answer-keys': { who: KEYHOLDERS },
  'GET /api/answer-keys/:key_id': { who: EVERYONE },
  'POST /api/tasks': { who: KEYHOLDERS },
  'GET /api/tasks/:task_id': { who: EVERYONE },
  'GET /api/templates': { who: EVERYONE },
  'GET /healthz': { who: 'public' },
  'GET /readyz': { who: 'public' },
} as const satisfies Record<string, Row>;

export type RouteKey = keyof typeof ACCESS;
export const accessRow = (key: RouteKey): Row => ACCESS[key];

/** The batches a user may know of: operators their own, admins all, everyone else their centres' and their own. What
 *  lies in the bin is the admins' alone. */
export function visible(user: User) {
  return (eb: ExpressionBuilder<Schema, 'batches'>) => {
    if (user.role === 'admin') return eb.lit(true);
    const own = eb('batches.uploaded_by', '=', user.user_id);
    const whose =
      user.role === 'operator' || user.centres.length === 0
        ? own
        : eb.or([own, eb('batches.centre_id', 'in', user.centres)]);
    return eb.and([whose, eb('batches.deleted_at', 'is', null)]);
  };
}
