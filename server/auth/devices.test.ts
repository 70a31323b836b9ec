// What is forgotten of sessions, and what has to stay, over a real database.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import { countFailure } from './attempts.ts';
import { forgetSessions } from './devices.ts';
import { createSessions, REFRESH_TOKEN_SECONDS, sha256, signingSecret } from './sessions.ts';

const DAY = 86_400_000;
const LIFE = REFRESH_TOKEN_SECONDS * 1000;

let folder: string;
let db: Database;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-devices-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
});
afterAll(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const addSession = (session_id: string, last_used_at: number, tokens: Record<string, [number, number | null]>) =>
  db.write(async (tx) => {
    await db.insertNew(tx, 'sessions', [
      { session_id, user_id: 'u', device: 'd', address: null, created_at: 0, last_used_at, revoked_at: null },
    ]);
    for (const [token, [created_at, used_at]] of Object.entries(tokens))
      await db.insertNew(tx, 'refresh_tokens', [{ token_hash: sha256(token), session_id, created_at, used_at }]);
  });

test('tokens past their life go, used ones of a session that lives stay so that a thief is found out', async () => {
  const now = Date.now();
  await addSession('dead', now - LIFE - DAY, { old: [now - LIFE - DAY, null] });
  await addSession('alive', now - DAY, {
    first: [now - LIFE - 1000, now - LIFE],
    stolen: [now - 20 * DAY, now - 19 * DAY],
    current: [now - DAY, null],
  });
  await forgetSessions(db, now);
  const sessions = await db.sql.selectFrom('sessions').select('session_id').execute();
  expect(sessions).toEqual([{ session_id: 'alive' }]);
  const hashes = (await db.sql.selectFrom('refresh_tokens').select('token_hash').execute()).map(
    (row) => row.token_hash,
  );
  expect(new Set(hashes)).toEqual(new Set([sha256('stolen'), sha256('current')]));

  const refresh = createSessions(db, await signingSecret(db)).refresh;
  await db.write((tx) =>
    db.insertNew(tx, 'users', [
      {
        user_id: 'u',
        username: 'u',
        password_hash: '',
        role: 'viewer',
        must_change_password: 0,
        disabled: 0,
        created_at: now,
      },
    ]),
  );
  await expect(refresh('first', null)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await expect(refresh('stolen', null)).rejects.toMatchObject({ code: 'REFRESH_REUSED' });
  await expect(refresh('current', null)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

test('failures are forgotten an hour after the last one, a lock that still holds is not', async () => {
  const now = Date.now();
  const fail = async (username: string, times: number, at: number): Promise<void> => {
    for (let i = 0; i < times; i++) await countFailure(db, { username, address: null }, at);
  };
  await fail('long-ago', 3, now - 2 * 3_600_000);
  await fail('just-now', 3, now - 1000);
  const names = async () =>
    (await db.sql.selectFrom('login_failures').select('scope').execute()).map((row) => row.scope);
  await forgetSessions(db, now);
  expect(await names()).toEqual([`name:${sha256('just-now')}`]);
  // Nothing lasts longer than a quarter of an hour, however many there were.
  await fail('just-now', 40, now);
  const { blocked_until } = await db.sql.selectFrom('login_failures').select('blocked_until').executeTakeFirstOrThrow();
  expect(blocked_until).toBe(now + 15 * 60_000);
});
