// The people of a Sheaf: made, changed and disabled by admins, never deleted, since what they did keeps their name.
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type * as v from 'valibot';
import type { Role } from '../../shared/protocol/auth.ts';
import type { NewUser, SetPassword, UserList, UserPatch, UserQuery, UserRow } from '../../shared/protocol/user.ts';
import type { Database, Tx, UsersTable } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { refuse } from '../problem.ts';
import { iso } from '../progress/log.ts';
import { visibleUser } from './access.ts';
import { forgive } from './attempts.ts';
import { hashPassword } from './passwords.ts';
import { endSessions, needGoodPassword, refuseField, type User } from './sessions.ts';

/** Rows a page of the list. */
const PAGE_SIZE = 50;

const usersOf = (db: Database, user: User) => db.sql.selectFrom('users').where(visibleUser(user));

async function centresOf(db: Database, ids: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  if (ids.length === 0) return found;
  const rows = await db.sql
    .selectFrom('user_centres')
    .selectAll()
    .where('user_id', 'in', ids)
    .orderBy('centre_id')
    .execute();
  for (const { user_id, centre_id } of rows) found.set(user_id, [...(found.get(user_id) ?? []), centre_id]);
  return found;
}

async function rowsOf(db: Database, users: readonly UsersTable[]): Promise<UserRow[]> {
  const ids = users.map((user) => user.user_id);
  const centres = await centresOf(db, ids);
  const seen = ids.length
    ? await db.sql
        .selectFrom('sessions')
        .select(['user_id', (eb) => eb.fn.max('last_used_at').as('at')])
        .where('user_id', 'in', ids)
        .groupBy('user_id')
        .execute()
    : [];
  const lastUsed = new Map(seen.map(({ user_id, at }) => [user_id, Number(at)]));
  return users.map((user) => {
    const at = lastUsed.get(user.user_id);
    return {
      user_id: user.user_id,
      username: user.username,
      role: user.role as Role,
      centres: centres.get(user.user_id) ?? [],
      disabled: user.disabled === 1,
      must_change_password: user.must_change_password === 1,
      created_at: iso(user.created_at),
      last_used_at: at === undefined ? null : iso(at),
    };
  });
}

export async function listUsers(db: Database, user: User, query: v.InferOutput<typeof UserQuery>): Promise<UserList> {
  let found = usersOf(db, user);
  if (query.role) found = found.where('role', '=', query.role);
  if (query.search) {
    const like = `%${query.search.toLowerCase().replace(/[!%_]/g, (c) => `!${c}`)}%`;
    found = found.where(sql<boolean>`lower(username) like ${like} escape '!'`);
  }
  const { total } = await found.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  const users = await found
    .selectAll()
    .orderBy('username')
    .limit(PAGE_SIZE)
    .offset((query.page - 1) * PAGE_SIZE)
    .execute();
  const pages = Math.max(1, Math.ceil(Number(total) / PAGE_SIZE));
  return { items: await rowsOf(db, users), total: Number(total), page: query.page, pages };
}

/** The user, when `asking` may know of them; otherwise 404. */
export async function findUser(db: Database, asking: User, user_id: string): Promise<UserRow> {
  const user = await usersOf(db, asking).selectAll().where('user_id', '=', user_id).executeTakeFirst();
  const [row] = user ? await rowsOf(db, [user]) : [];
  return (
    row ?? refuse('NOT_FOUND', `There is no user ${user_id}, or it is not you. GET /api/users lists them for admins.`)
  );
}

async function giveCentres(db: Database, tx: Tx, user_id: string, centres: readonly string[]): Promise<void> {
  const wanted = [...new Set(centres)];
  const known = wanted.length
    ? await tx.selectFrom('centres').select('centre_id').where('centre_id', 'in', wanted).execute()
    : [];
  const missing = wanted.filter((centre) => !known.some(({ centre_id }) => centre_id === centre));
  if (missing.length > 0)
    refuseField('centres', `there is no centre ${missing.join(', ')}; POST /api/centres makes one`);
  await tx.deleteFrom('user_centres').where('user_id', '=', user_id).execute();
  await db.insertNew(
    tx,
    'user_centres',
    wanted.map((centre_id) => ({ user_id, centre_id })),
  );
}

export async function createUser(db: Database, asking: User, asked: NewUser): Promise<UserRow> {
  const { username, role } = asked;
  needGoodPassword(asked.password, username, 'password');
  const password_hash = await hashPassword(asked.password);
  const user_id = randomUUID();
  const centres = [...new Set(asked.centres)].sort();
  await db.write(async (tx) => {
    const inserted = await db.insertNew(tx, 'users', [
      {
        user_id,
        username,
        password_hash,
        role,
        must_change_password: asked.must_change_password ? 1 : 0,
        disabled: 0,
        created_at: Date.now(),
      },
    ]);
    if (inserted !== 1)
      refuse('CONFLICT', `There is a user ${username} already. Choose another name, or change that user.`);
    await giveCentres(db, tx, user_id, centres);
    await audit(db, tx, {
      ...by(asking),
      action: 'user.create',
      subject: `user:${user_id}`,
      after: { username, role, centres, disabled: false, must_change_password: asked.must_change_password },
    });
  });
  return findUser(db, asking, user_id);
}

const unknown = (user_id: string): never =>
  refuse('NOT_FOUND', `There is no user ${user_id}. GET /api/users lists them.`);

/** Refuses to leave a system that nobody can administer. All admins are locked, so that two who demote each other at
 *  the same moment do it one after the other. */
async function keepAnAdmin(tx: Tx, user_id: string): Promise<void> {
  const admins = await tx
    .selectFrom('users')
    .select('user_id')
    .where('role', '=', 'admin')
    .where('disabled', '=', 0)
    .orderBy('user_id')
    .forUpdate()
    .execute();
  if (admins.some((admin) => admin.user_id === user_id) && admins.length === 1)
    refuse('CONFLICT', 'This is the last admin: make somebody else an admin first.');
}

/** Changes role, centres, or whether the user may sign in; disabling ends their sessions at once. */
export async function patchUser(db: Database, asking: User, user_id: string, patch: UserPatch): Promise<UserRow> {
  await db.write(async (tx) => {
    if ((patch.role !== undefined && patch.role !== 'admin') || patch.disabled === true) await keepAnAdmin(tx, user_id);
    const user =
      (await tx.selectFrom('users').selectAll().where('user_id', '=', user_id).forUpdate().executeTakeFirst()) ??
      unknown(user_id);
    const centres = await tx
      .selectFrom('user_centres')
      .select('centre_id')
      .where('user_id', '=', user_id)
      .orderBy('centre_id')
      .execute();
    const before = { role: user.role, centres: centres.map((row) => row.centre_id), disabled: user.disabled === 1 };
    const after = {
      role: patch.role ?? before.role,
      centres: patch.centres ? [...new Set(patch.centres)].sort() : before.centres,
      disabled: patch.disabled ?? before.disabled,
    };
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    await tx
      .updateTable('users')
      .set({ role: after.role, disabled: after.disabled ? 1 : 0 })
      .where('user_id', '=', user_id)
      .execute();
    if (patch.centres) await giveCentres(db, tx, user_id, after.centres);
    if (after.disabled) await endSessions(tx, { user_id });
    await audit(db, tx, { ...by(asking), action: 'user.change', subject: `user:${user_id}`, before, after });
  });
  return findUser(db, asking, user_id);
}

/** Gives a user a password; it ends their sessions, but for the device that asks, and lifts a lock on their name. */
export async function setPassword(db: Database, asking: User, user_id: string, asked: SetPassword): Promise<UserRow> {
  const user = await findUser(db, asking, user_id);
  needGoodPassword(asked.password, user.username, 'password');
  const password_hash = await hashPassword(asked.password);
  await db.write(async (tx) => {
    await tx
      .updateTable('users')
      .set({ password_hash, must_change_password: asked.must_change_password ? 1 : 0 })
      .where('user_id', '=', user_id)
      .execute();
    await endSessions(tx, { user_id, except: asking.session_id });
    await forgive(tx, user.username);
    await audit(db, tx, {
      ...by(asking),
      action: 'user.set-password',
      subject: `user:${user_id}`,
      after: { must_change_password: asked.must_change_password },
    });
  });
  return findUser(db, asking, user_id);
}
