// The server's half of the sync engine without a socket: the real feed and push over a real database, behind a `fetch`
// that a test may cut, swallow answers of, or call twice.
import type { Database } from '../../server/adapters/database.ts';
import type { User } from '../../server/auth/sessions.ts';
import { rescoreAsked } from '../../server/keys/rescore.ts';
import { RequestRefused } from '../../server/problem.ts';
import { pull } from '../../server/sync/feed.ts';
import { push } from '../../server/sync/push.ts';
import type { PushForm } from '../../shared/protocol/sync.ts';

/** What happens to the next request to the sync routes, and to those after it. */
export type Fault = 'none' | 'lost' | 'answer-lost' | 'twice';

export interface SyncOffice {
  /** `fetch` of a device on which `user` is signed in */
  fetchAs(user: () => User, fault?: () => Fault): typeof globalThis.fetch;
  /** batches that the server has still to score again */
  rescore(): Promise<void>;
}

export const person = (user_id: string, role: User['role'], centres: string[] = []): User => ({
  user_id,
  username: user_id,
  role,
  centres,
  must_change_password: false,
  session_id: `session of ${user_id}`,
  device: `device of ${user_id}`,
});

export async function storeUsers(db: Database, users: readonly User[]): Promise<void> {
  await db.write((tx) =>
    db.insertNew(
      tx,
      'users',
      users.map(({ user_id, username, role }) => ({
        user_id,
        username,
        role,
        password_hash: '',
        must_change_password: 0 as const,
        disabled: 0 as const,
        created_at: 1,
      })),
    ),
  );
}

const problem = (error: RequestRefused): Response =>
  Response.json(
    { type: 'about:blank', title: error.code, status: error.status, code: error.code, detail: error.message },
    { status: error.status, headers: { 'content-type': 'application/problem+json' } },
  );

export function syncOffice(db: Database): SyncOffice {
  async function answer(user: User, path: string, body: string | null): Promise<Response> {
    const url = new URL(path, 'http://sheaf');
    try {
      if (url.pathname === '/api/sync/pull') {
        const { scope = '', cursor } = Object.fromEntries(url.searchParams);
        return Response.json(await pull(db, user, scope, cursor));
      }
      if (url.pathname === '/api/sync/push')
        return Response.json((await push(db, user, JSON.parse(body ?? '') as PushForm)).answer);
    } catch (error) {
      if (error instanceof RequestRefused) return problem(error);
      throw error;
    }
    const { user_id, username, role, centres } = user;
    if (url.pathname === '/api/auth/refresh')
      return Response.json({ access_token: user_id, token_type: 'bearer', expires_in: 600 });
    if (url.pathname === '/api/auth/me')
      return Response.json({
        user_id,
        username,
        role,
        is_admin: role === 'admin',
        centres,
        must_change_password: false,
      });
    throw new Error(`nobody answers ${path}`);
  }
  return {
    fetchAs:
      (user, fault = () => 'none') =>
      async (input, init) => {
        const path = String(input);
        const body = typeof init?.body === 'string' ? init.body : null;
        const happens = path.startsWith('/api/sync') ? fault() : 'none';
        if (happens === 'lost') throw new TypeError('the line is cut');
        if (happens === 'twice') await answer(user(), path, body);
        const answered = await answer(user(), path, body);
        if (happens === 'answer-lost') throw new TypeError('the line was cut before the answer came');
        return answered;
      },
    rescore: async () => void (await rescoreAsked(db)),
  };
}
