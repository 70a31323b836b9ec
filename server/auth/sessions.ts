// Who is asking. A short access token (JWT, 10 min) proves a session; a refresh token is used once and replaced. A
// refresh token that comes back after its use is a stolen one: its whole session ends.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import type { Me, Role, TokenAnswer } from '../../shared/protocol/auth.ts';
import { passwordProblem } from '../../shared/protocol/password.ts';
import type { Database, Tx } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { refuse } from '../problem.ts';
import { type Attempt, countFailure, forgive, needUnlocked, plainName } from './attempts.ts';
import { hashPassword, verifyPassword } from './passwords.ts';

export const ACCESS_TOKEN_SECONDS = 600;
export const REFRESH_TOKEN_SECONDS = 30 * 86_400;
/** An answer that was lost on a flaky line makes an honest client ask twice. */
const REUSE_GRACE_MS = 30_000;

export interface User {
  user_id: string;
  username: string;
  role: Role;
  centres: string[];
  must_change_password: boolean;
  session_id: string;
  /** what the device they are on calls itself */
  device: string;
}

/** Where a request comes from. */
export interface Origin {
  device: string;
  address: string | null;
}

export interface Tokens {
  answer: TokenAnswer;
  refresh_token: string;
}

export type Sessions = ReturnType<typeof createSessions>;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
export const newToken = (): string => randomBytes(32).toString('base64url');

/** Reads the signing secret that all API processes share, making it at the first start. */
export async function signingSecret(db: Database): Promise<Uint8Array> {
  await db.write((tx) => db.insertNew(tx, 'settings', [{ name: 'signing_secret', value: newToken() }]));
  const row = await db.sql
    .selectFrom('settings')
    .select('value')
    .where('name', '=', 'signing_secret')
    .executeTakeFirstOrThrow();
  return new TextEncoder().encode(row.value);
}

export function createSessions(db: Database, secret: Uint8Array) {
  const accessToken = (user_id: string, session_id: string): Promise<string> =>
    new SignJWT({ sid: session_id })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user_id)
      .setIssuedAt()
      .setExpirationTime(`${ACCESS_TOKEN_SECONDS}s`)
      .sign(secret);

  async function tokens(user_id: string, session_id: string, refresh_token: string): Promise<Tokens> {
    const access_token = await accessToken(user_id, session_id);
    return { refresh_token, answer: { access_token, token_type: 'bearer', expires_in: ACCESS_TOKEN_SECONDS } };
  }

  /** Loads the user of a session that has not been ended. */
  async function userOf(user_id: string, session_id: string): Promise<User | null> {
    const row = await db.sql
      .selectFrom('users')
      .innerJoin('sessions', 'sessions.user_id', 'users.user_id')
      .select(['users.user_id', 'username', 'role', 'must_change_password', 'device'])
      .where('users.user_id', '=', user_id)
      .where('session_id', '=', session_id)
      .where('revoked_at', 'is', null)
      .where('disabled', '=', 0)
      .executeTakeFirst();
    if (!row) return null;
    const centres = await db.sql
      .selectFrom('user_centres')
      .select('centre_id')
      .where('user_id', '=', user_id)
      .orderBy('centre_id')
      .execute();
    return {
      user_id,
      session_id,
      username: row.username,
      device: row.device,
      role: row.role as Role,
      centres: centres.map((c) => c.centre_id),
      must_change_password: row.must_change_password === 1,
    };
  }

  return {
    async login(username: string, password: string, { device, address }: Origin): Promise<Tokens> {
      const attempt: Attempt = { username, address };
      await needUnlocked(db.sql, attempt);
      const name = plainName(username);
      const user = await db.sql.selectFrom('users').selectAll().where('username', '=', name).executeTakeFirst();
      // The same work for an unknown name, so that time does not tell which names exist.
      const right = await verifyPassword(password, user?.password_hash ?? NOBODY);
      if (!user || !right || user.disabled) {
        await countFailure(db, attempt);
        refuse('UNAUTHORIZED', 'User name or password is wrong. Check both and try again.');
      }
      const session_id = randomUUID();
      const refresh_token = newToken();
      const now = Date.now();
      await db.write(async (tx) => {
        // Again, now that it counts: of many guesses sent at once only the first few may be right.
        await needUnlocked(tx, attempt);
        await forgive(tx, username);
        await tx
          .insertInto('sessions')
          .values({
            session_id,
            user_id: user.user_id,
            device: device.slice(0, 191),
            address,
            created_at: now,
            last_used_at: now,
            revoked_at: null,
          })
          .execute();
        await tx
          .insertInto('refresh_tokens')
          .values({ token_hash: sha256(refresh_token), session_id, created_at: now, used_at: null })
          .execute();
      });
      return tokens(user.user_id, session_id, refresh_token);
    },

    async refresh(token: string | undefined, address: string | null): Promise<Tokens> {
      if (!token) refuse('UNAUTHORIZED', 'No refresh token was sent. Sign in again.');
      const token_hash = sha256(token);
      const next = newToken();
      const now = Date.now();
      const session = await db.write(async (tx) => {
        const row = await tx
          .selectFrom('refresh_tokens')
          .innerJoin('sessions', 'sessions.session_id', 'refresh_tokens.session_id')
          .innerJoin('users', 'users.user_id', 'sessions.user_id')
          .select([
            'sessions.session_id',
            'sessions.user_id',
            'device',
            'revoked_at',
            'used_at',
            'refresh_tokens.created_at',
          ])
          .where('token_hash', '=', token_hash)
          .where('disabled', '=', 0)
          .forUpdate()
          .executeTakeFirst();
        if (!row || row.revoked_at !== null || row.created_at < now - REFRESH_TOKEN_SECONDS * 1000) return 'unknown';
        if (row.used_at !== null && row.used_at < now - REUSE_GRACE_MS) {
          await tx.updateTable('sessions').set({ revoked_at: now }).where('session_id', '=', row.session_id).execute();
          await audit(db, tx, { ...by(row), action: 'session.reuse', subject: `session:${row.session_id}` });
          return 'reused';
        }
        await tx
          .updateTable('refresh_tokens')
          .set({ used_at: now })
          .where('token_hash', '=', token_hash)
          .where('used_at', 'is', null)
          .execute();
        await tx
          .insertInto('refresh_tokens')
          .values({ token_hash: sha256(next), session_id: row.session_id, created_at: now, used_at: null })
          .execute();
        await tx
          .updateTable('sessions')
          .set({ last_used_at: now, address })
          .where('session_id', '=', row.session_id)
          .execute();
        return row;
      });
      if (session === 'unknown') refuse('UNAUTHORIZED', 'This session has ended. Sign in again.');
      if (session === 'reused') {
        refuse('REFRESH_REUSED', 'A refresh token was used twice, so the session was ended. Sign in again.');
      }
      return tokens(session.user_id, session.session_id, next);
    },

    async logout(token: string | undefined): Promise<void> {
      if (!token) return;
      const row = await db.sql
        .selectFrom('refresh_tokens')
        .select('session_id')
        .where('token_hash', '=', sha256(token))
        .executeTakeFirst();
      if (!row) return;
      await db.write((tx) =>
        tx.updateTable('sessions').set({ revoked_at: Date.now() }).where('session_id', '=', row.session_id).execute(),
      );
    },

    /** Ends the user's sessions on all other devices. */
    async changePassword(user: User, current: string, next: string, address: string | null): Promise<void> {
      const attempt: Attempt = { username: user.username, address };
      await needUnlocked(db.sql, attempt);
      const row = await db.sql
        .selectFrom('users')
        .select('password_hash')
        .where('user_id', '=', user.user_id)
        .executeTakeFirstOrThrow();
      if (!(await verifyPassword(current, row.password_hash))) {
        await countFailure(db, attempt);
        refuse('FORBIDDEN', 'The current password is wrong. Type it again.');
      }
      needGoodPassword(next, user.username, 'new_password');
      if (next.normalize('NFKC') === current.normalize('NFKC')) {
        refuseField('new_password', 'choose another password than the one you have');
      }
      const password_hash = await hashPassword(next);
      await db.write(async (tx) => {
        await tx
          .updateTable('users')
          .set({ password_hash, must_change_password: 0 })
          .where('user_id', '=', user.user_id)
          .execute();
        await forgive(tx, user.username);
        await endSessions(tx, { user_id: user.user_id, except: user.session_id });
        await audit(db, tx, { ...by(user), action: 'password.change', subject: `user:${user.user_id}` });
      });
    },

    /** The user an access token stands for, with the seconds it is still good for; null when it proves nothing. */
    async authenticate(token: string): Promise<{ user: User; expires_at: number } | null> {
      try {
        const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] });
        const user = await userOf(payload.sub ?? '', String(payload.sid));
        return user && { user, expires_at: (payload.exp ?? 0) * 1000 };
      } catch (error) {
        if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_J')) return null;
        throw error;
      }
    },
  };
}

interface Which {
  user_id: string;
  /** that one alone */
  only?: string;
  /** all but this one */
  except?: string;
}

/** Ends sessions in the caller's transaction; returns those that were open. */
export async function endSessions(tx: Tx, { user_id, only, except }: Which): Promise<string[]> {
  let open = tx
    .selectFrom('sessions')
    .select('session_id')
    .where('user_id', '=', user_id)
    .where('revoked_at', 'is', null);
  if (only !== undefined) open = open.where('session_id', '=', only);
  if (except !== undefined) open = open.where('session_id', '!=', except);
  const ids = (await open.forUpdate().execute()).map((row) => row.session_id);
  if (ids.length > 0)
    await tx.updateTable('sessions').set({ revoked_at: Date.now() }).where('session_id', 'in', ids).execute();
  return ids;
}

export const me = (user: User): Me => ({
  user_id: user.user_id,
  username: user.username,
  role: user.role,
  is_admin: user.role === 'admin',
  centres: user.centres,
  must_change_password: user.must_change_password,
});

export function refuseField(field: string, message: string): never {
  return refuse('VALIDATION_FAILED', `${field}: ${message}.`, { errors: [{ field, message }] });
}

/** @throws RequestRefused VALIDATION_FAILED that says what to do about `field` */
export function needGoodPassword(password: string, username: string, field: string): void {
  const wrong = passwordProblem(password, username);
  if (wrong !== null) refuseField(field, wrong);
}

/** A well-formed hash that no password has. */
const NOBODY = `scrypt$32768$8$3$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Makes the first admin of an empty system; returns null when there are users already. */
export async function firstAdmin(
  db: Database,
  given: string | undefined,
): Promise<{ username: string; password: string } | null> {
  const someone = await db.sql.selectFrom('users').select('user_id').limit(1).executeTakeFirst();
  if (someone) return null;
  const password = given ?? randomBytes(12).toString('base64url');
  const password_hash = await hashPassword(password);
  const made = await db.write(async (tx) => {
    const inserted = await db.insertNew(tx, 'users', [
      {
        user_id: FIRST_ADMIN_ID,
        username: 'admin',
        password_hash,
        role: 'admin',
        must_change_password: given ? 0 : 1,
        disabled: 0,
        created_at: Date.now(),
      },
    ]);
    if (inserted === 1) {
      const after = { username: 'admin', role: 'admin', centres: [], disabled: false, must_change_password: !given };
      await audit(db, tx, { user_id: null, action: 'user.create', subject: `user:${FIRST_ADMIN_ID}`, after });
    }
    return inserted;
  });
  return made ? { username: 'admin', password } : null;
}
/** Fixed, so that two processes starting at once make one admin. */
const FIRST_ADMIN_ID = '00000000-0000-4000-8000-000000000001';
