// A session is a device: which ones a user is signed in on, how they are ended, and when they are forgotten.
import type { DeviceRow } from '../../shared/protocol/user.ts';
import type { Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { refuse } from '../problem.ts';
import { iso } from '../progress/log.ts';
import { forgetFailures } from './attempts.ts';
import { endSessions, REFRESH_TOKEN_SECONDS, type User } from './sessions.ts';

/** The devices that can still ask for a token, the last used first. */
export async function listDevices(db: Database, user_id: string, asking: User): Promise<DeviceRow[]> {
  const rows = await db.sql
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', user_id)
    .where('revoked_at', 'is', null)
    .where('last_used_at', '>', Date.now() - REFRESH_TOKEN_SECONDS * 1000)
    .orderBy('last_used_at', 'desc')
    .execute();
  return rows.map((row) => ({
    session_id: row.session_id,
    device: row.device,
    address: row.address,
    created_at: iso(row.created_at),
    last_used_at: iso(row.last_used_at),
    current: row.session_id === asking.session_id,
  }));
}

/** Signs one device out. Its access token is worth nothing from then on.
 *  @throws RequestRefused NOT_FOUND when the user is not signed in there */
export async function revokeDevice(db: Database, asking: User, user_id: string, session_id: string): Promise<void> {
  await db.write(async (tx) => {
    const [ended] = await endSessions(tx, { user_id, only: session_id });
    if (!ended)
      return refuse(
        'NOT_FOUND',
        `This user has no open session ${session_id}. GET /api/users/${user_id}/sessions lists them.`,
      );
    return audit(db, tx, { ...by(asking), action: 'session.revoke', subject: `session:${ended}`, before: { user_id } });
  });
}

/** Signs a user out everywhere but on the device that asks; returns how many devices that were. */
export async function revokeDevices(db: Database, asking: User, user_id: string): Promise<number> {
  return db.write(async (tx) => {
    const ended = await endSessions(tx, { user_id, except: asking.session_id });
    if (ended.length > 0)
      await audit(db, tx, {
        ...by(asking),
        action: 'session.revoke-all',
        subject: `user:${user_id}`,
        before: { sessions: ended },
      });
    return ended.length;
  });
}

/** Drops what can prove nothing any more: refresh tokens past their life, the sessions they belonged to, old counts of
 *  failures. A used token stays until then, since it may still come back from a thief. */
export async function forgetSessions(db: Database, now = Date.now()): Promise<void> {
  const dead = now - REFRESH_TOKEN_SECONDS * 1000;
  await db.write(async (tx) => {
    await tx.deleteFrom('refresh_tokens').where('created_at', '<', dead).execute();
    await tx.deleteFrom('sessions').where('last_used_at', '<', dead).execute();
  });
  await forgetFailures(db, now);
}
