// Sessions over a real database: what each token is good for, for how long, and what ends it.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import { hashPassword } from './passwords.ts';
import {
  ACCESS_TOKEN_SECONDS,
  createSessions,
  firstAdmin,
  type Origin,
  REFRESH_TOKEN_SECONDS,
  type Sessions,
  sha256,
  signingSecret,
  type Tokens,
} from './sessions.ts';

// A guess is meant to cost a good part of a second, and more on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const PASSWORD = 'a password of ten or more';
const NEXT_PASSWORD = 'eleven grey pencils';
const TABLET: Origin = { device: 'a tablet', address: null };

let folder: string;
let db: Database;
let sessions: Sessions;
/** a new user for each test */
let username: string;
let password_hash: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-auth-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  sessions = createSessions(db, await signingSecret(db));
  password_hash = await hashPassword(PASSWORD);
});
afterAll(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  username = `olga ${randomUUID()}`;
  await db.write(async (tx) => {
    const user_id = randomUUID();
    await tx
      .insertInto('users')
      .values({
        user_id,
        username,
        password_hash,
        role: 'reviewer',
        must_change_password: 0,
        disabled: 0,
        created_at: Date.now(),
      })
      .execute();
    await tx
      .insertInto('user_centres')
      .values([
        { user_id, centre_id: 'south' },
        { user_id, centre_id: 'north' },
      ])
      .execute();
  });
});

const login = (password = PASSWORD): Promise<Tokens> => sessions.login(username, password, TABLET);
/** Whom an access token stands for; null: nobody. */
const who = async ({ answer }: Tokens): Promise<string | null> =>
  (await sessions.authenticate(answer.access_token))?.user.username ?? null;
const refused = (code = 'UNAUTHORIZED') => expect.objectContaining({ name: 'RequestRefused', code, status: 401 });
const setUser = (to: { disabled: 0 | 1 }) =>
  db.write((tx) => tx.updateTable('users').set(to).where('username', '=', username).execute());
/** Lets time pass for one refresh token. */
const age = (token: string, column: 'used_at' | 'created_at', ms: number) =>
  db.write((tx) =>
    tx
      .updateTable('refresh_tokens')
      .set((eb) => ({ [column]: eb(column, '-', ms) }))
      .where('token_hash', '=', sha256(token))
      .execute(),
  );

describe('signing in', () => {
  test('gives an access token that says who it is, with role and centres, for ten minutes', async () => {
    const tokens = await login();
    expect(tokens.answer).toMatchObject({ token_type: 'bearer', expires_in: ACCESS_TOKEN_SECONDS });
    const signedIn = await sessions.authenticate(tokens.answer.access_token);
    expect(signedIn?.user).toMatchObject({ username, role: 'reviewer', centres: ['north', 'south'] });
    const left = signedIn!.expires_at - Date.now();
    expect(left).toBeGreaterThan((ACCESS_TOKEN_SECONDS - 60) * 1000);
    expect(left).toBeLessThanOrEqual(ACCESS_TOKEN_SECONDS * 1000);
  });

  test('a wrong password and an unknown name are refused in the same words', async () => {
    const wrong = await login('wrong').catch((error: Error) => error);
    const unknown = await sessions.login('nobody', 'wrong', TABLET).catch((error: Error) => error);
    expect(wrong).toEqual(refused());
    expect((unknown as Error).message).toBe((wrong as Error).message);
  });

  test('no token stands in the database as it is', async () => {
    const { answer, refresh_token } = await login();
    const rows = [
      ...(await db.sql.selectFrom('refresh_tokens').selectAll().execute()),
      ...(await db.sql.selectFrom('sessions').selectAll().execute()),
    ];
    for (const token of [answer.access_token, refresh_token]) expect(JSON.stringify(rows)).not.toContain(token);
  });

  test('an access token is good in every process that shares the database, and nowhere else', async () => {
    const { answer } = await login();
    const elsewhere = createSessions(db, await signingSecret(db));
    expect((await elsewhere.authenticate(answer.access_token))?.user.username).toBe(username);
    expect(await createSessions(db, Buffer.from('another secret')).authenticate(answer.access_token)).toBeNull();
    for (const token of ['', 'x', 'a.b.c', answer.access_token.slice(0, -2)]) {
      expect(await sessions.authenticate(token)).toBeNull();
    }
  });
});

describe('a refresh token', () => {
  test('is good for new tokens, which go on in the same session', async () => {
    const first = await login();
    const second = await sessions.refresh(first.refresh_token, TABLET.address);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await who(second)).toBe(username);
    expect(await who(await sessions.refresh(second.refresh_token, TABLET.address))).toBe(username);
    const session = (tokens: Tokens) =>
      sessions.authenticate(tokens.answer.access_token).then((s) => s?.user.session_id);
    expect(await session(second)).toBe(await session(first));
  });

  test('may be shown again within the grace, because an answer can get lost', async () => {
    const first = await login();
    const lost = await sessions.refresh(first.refresh_token, TABLET.address);
    const again = await sessions.refresh(first.refresh_token, TABLET.address);
    expect(await who(again)).toBe(username);
    expect(await who(await sessions.refresh(again.refresh_token, TABLET.address))).toBe(username);
    expect(await who(lost)).toBe(username);
  });

  test('that comes back after the grace was stolen: its session ends, for the thief and for the user', async () => {
    const [first, elsewhere] = [await login(), await login()];
    const second = await sessions.refresh(first.refresh_token, TABLET.address);
    await age(first.refresh_token, 'used_at', 31_000);
    await expect(sessions.refresh(first.refresh_token, TABLET.address)).rejects.toEqual(refused('REFRESH_REUSED'));
    expect(await who(second)).toBeNull();
    await expect(sessions.refresh(second.refresh_token, TABLET.address)).rejects.toEqual(refused());
    expect(await who(elsewhere)).toBe(username); // another session of the same user has nothing to do with it
    const audited = await db.sql.selectFrom('audit').select('action').orderBy('seq', 'desc').executeTakeFirst();
    expect(audited?.action).toBe('session.reuse');
  });

  test('runs out after thirty days', async () => {
    const { refresh_token } = await login();
    await age(refresh_token, 'created_at', REFRESH_TOKEN_SECONDS * 1000 - 60_000);
    const next = await sessions.refresh(refresh_token, TABLET.address);
    await age(next.refresh_token, 'created_at', REFRESH_TOKEN_SECONDS * 1000 + 1000);
    await expect(sessions.refresh(next.refresh_token, TABLET.address)).rejects.toEqual(refused());
  });

  test('that nobody was given, or that is missing, is refused', async () => {
    await expect(sessions.refresh('made up', TABLET.address)).rejects.toEqual(refused());
    await expect(sessions.refresh(undefined, TABLET.address)).rejects.toEqual(refused());
  });

  test('shown twice at the same moment gives two good answers', async () => {
    const { refresh_token } = await login();
    const both = await Promise.all([
      sessions.refresh(refresh_token, TABLET.address),
      sessions.refresh(refresh_token, TABLET.address),
    ]);
    for (const tokens of both) expect(await who(tokens)).toBe(username);
  });
});

describe('what ends a session', () => {
  test('logging out, at once and for all its tokens', async () => {
    const first = await login();
    const second = await sessions.refresh(first.refresh_token, TABLET.address);
    await sessions.logout(second.refresh_token);
    for (const tokens of [first, second]) {
      expect(await who(tokens)).toBeNull();
      await expect(sessions.refresh(tokens.refresh_token, TABLET.address)).rejects.toEqual(refused());
    }
    await sessions.logout(second.refresh_token);
    await sessions.logout('made up');
    await sessions.logout(undefined);
  });

  test('being disabled: no signing in, no token is good, none can be renewed, until that is taken back', async () => {
    const tokens = await login();
    await setUser({ disabled: 1 });
    await expect(login()).rejects.toEqual(refused());
    expect(await who(tokens)).toBeNull();
    await expect(sessions.refresh(tokens.refresh_token, TABLET.address)).rejects.toEqual(refused());
    await setUser({ disabled: 0 });
    expect(await who(tokens)).toBe(username);
    expect(await who(await sessions.refresh(tokens.refresh_token, TABLET.address))).toBe(username);
  });

  test('a new password, everywhere but where it was changed', async () => {
    const [here, elsewhere] = [await login(), await login()];
    const { user } = (await sessions.authenticate(here.answer.access_token))!;
    await expect(sessions.changePassword(user, 'wrong', NEXT_PASSWORD, TABLET.address)).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(await who(elsewhere)).toBe(username);
    await sessions.changePassword(user, PASSWORD, NEXT_PASSWORD, TABLET.address);
    expect(await who(here)).toBe(username);
    expect(await who(elsewhere)).toBeNull();
    await expect(login()).rejects.toEqual(refused());
    expect(await who(await login(NEXT_PASSWORD))).toBe(username);
  });
});

test('the first admin is made once, however many processes start, and must change a password made up for them', async () => {
  const empty = await openSqlite(path.join(folder, 'empty.sqlite'));
  try {
    await empty.migrate();
    const made = await Promise.all([firstAdmin(empty, undefined), firstAdmin(empty, undefined)]);
    const admins = made.filter((admin) => admin !== null);
    expect(admins).toHaveLength(1);
    expect(await firstAdmin(empty, undefined)).toBeNull();
    const { username, password } = admins[0]!;
    const here = createSessions(empty, await signingSecret(empty));
    const { answer } = await here.login(username, password, TABLET);
    expect((await here.authenticate(answer.access_token))?.user).toMatchObject({
      role: 'admin',
      must_change_password: true,
    });
  } finally {
    await empty.close();
  }
});

test('every process signs with the same secret', async () => {
  const [one, two] = await Promise.all([signingSecret(db), signingSecret(db)]);
  expect(one).toEqual(two);
  expect(one.length).toBeGreaterThanOrEqual(32);
});
