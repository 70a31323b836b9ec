// Accounts from outside: users and their scopes, devices, stolen tokens, guessed passwords. Two API processes share one
// database, on both databases, so that nothing may depend on which of them is asked.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openDatabase } from '../server/adapters/open-database.ts';
import { sha256 } from '../server/auth/sessions.ts';
import { ApiRefusal, type Client, signIn } from '../server/cli/client.ts';
import type { DatabasePlace } from '../server/config.ts';
import { AuditList } from '../shared/protocol/audit.ts';
import { Me, type Role, TokenAnswer } from '../shared/protocol/auth.ts';
import { Problem } from '../shared/protocol/problem.ts';
import { Centre, CentreList, DeviceList, ExamList, UserList, UserRow } from '../shared/protocol/user.ts';
import { temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const GIVEN = 'lent until tomorrow';
const OWN = 'quiet river under stones';

const mariadb = (): DatabasePlace => {
  const url = new URL(process.env.TEST_MARIADB_URL ?? '');
  url.pathname = `/sheaf_accounts_${process.pid}`;
  return { kind: 'mysql', url: url.href };
};

describe.each(['SQLite', 'MariaDB'] as const)('accounts on %s', (kind) => {
  let folder: string;
  let one: Sheaf;
  let two: Sheaf;
  let db: Database;
  let admin: Client;

  beforeAll(async () => {
    folder = temporaryFolder();
    const place: DatabasePlace =
      kind === 'MariaDB' ? mariadb() : { kind: 'sqlite', file: path.join(folder, 'sheaf.sqlite') };
    const redis = `${process.env.TEST_REDIS_URL}/${kind === 'MariaDB' ? 12 : 13}`;
    const env = { REDIS_URL: redis, ...(place.kind === 'mysql' ? { DATABASE_URL: place.url } : {}) };
    one = await startSheaf({ dataDir: folder, args: ['api'], env });
    two = await startSheaf({ dataDir: folder, args: ['api'], env });
    db = await openDatabase(place);
    admin = await signIn(one.url, 'admin', one.admin.password);
    for (const name of ['North', 'South']) await admin.call(Centre, 'POST', '/api/centres', { centre_id: name, name });
  });
  afterAll(async () => {
    await one?.stop();
    await two?.stop();
    if (kind === 'MariaDB') await sql.raw(`drop database sheaf_accounts_${process.pid}`).execute(db.sql);
    await db?.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const name = (): string => `user-${randomUUID().slice(0, 8)}`;
  const addUser = (role: Role, more: object = {}) =>
    admin.call(UserRow, 'POST', '/api/users', {
      username: name(),
      password: OWN,
      role,
      must_change_password: false,
      ...more,
    });
  /** @param password what they sign in with */
  const asUser = (user: { username: string }, password = OWN, sheaf = one) =>
    signIn(sheaf.url, user.username, password);

  async function refusal(response: Promise<Response>): Promise<Problem & { retryAfter: string | null }> {
    const answer = await response;
    return { ...v.parse(Problem, await answer.json()), retryAfter: answer.headers.get('retry-after') };
  }
  const login = (
    username: string,
    password: string,
    headers: Record<string, string> = {},
    sheaf = one,
  ): Promise<Response> =>
    fetch(`${sheaf.url}/api/auth/login`, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ username, password, token_in_body: 'true' }),
    });
  const refresh = (refresh_token: string, sheaf = one): Promise<Response> =>
    fetch(`${sheaf.url}/api/auth/refresh`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refresh_token }),
    });
  const me = (token: string, sheaf = one): Promise<Response> =>
    fetch(`${sheaf.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } });

  describe('users', () => {
    test('an admin makes one, who chooses a password of their own before anything else', async () => {
      const made = await admin.call(UserRow, 'POST', '/api/users', {
        username: `  Olga.${name()} `,
        password: GIVEN,
        role: 'operator',
        centres: ['North', 'North'],
      });
      expect(made).toMatchObject({ role: 'operator', centres: ['North'], disabled: false, must_change_password: true });
      expect(made.username).toMatch(/^olga\.user-/);

      // Names are compared without regard to case.
      const olga = await signIn(one.url, made.username.toUpperCase(), GIVEN);
      expect(await olga.call(Me, 'GET', '/api/auth/me')).toMatchObject({ must_change_password: true });
      expect(await refusal(olga.request('GET', '/api/batches'))).toMatchObject({ code: 'PASSWORD_CHANGE_REQUIRED' });
      const change = (current_password: string, new_password: string): Promise<Response> =>
        olga.request('POST', '/api/auth/password', { current_password, new_password });
      expect(await refusal(change('wrong', OWN))).toMatchObject({ code: 'FORBIDDEN' });
      for (const weak of ['short', 'password123', made.username, GIVEN]) {
        const { code, errors } = await refusal(change(GIVEN, weak));
        expect({ weak, code, field: errors?.[0]?.field }).toEqual({
          weak,
          code: 'VALIDATION_FAILED',
          field: 'new_password',
        });
      }
      expect((await change(GIVEN, OWN)).status).toBe(204);
      expect((await olga.request('GET', '/api/batches')).status).toBe(200);
      expect((await login(made.username, GIVEN)).status).toBe(401);
    });

    test('a name that is taken, a centre that is not there and a weak password are refused, and nobody is made', async () => {
      const taken = await addUser('viewer');
      const before = await admin.call(UserList, 'GET', '/api/users');
      const make = (more: object): Promise<Response> =>
        admin.request('POST', '/api/users', { username: name(), password: OWN, role: 'viewer', ...more });
      expect(await refusal(make({ username: taken.username.toUpperCase() }))).toMatchObject({ code: 'CONFLICT' });
      for (const [field, more] of Object.entries({
        centres: { centres: ['North', 'Atlantis'] },
        password: { password: 'qwertyuiop' },
        username: { username: '-' },
        role: { role: 'owner' },
      })) {
        const { code, errors } = await refusal(make(more));
        expect({ code, field: errors?.[0]?.field }).toEqual({ code: 'VALIDATION_FAILED', field });
      }
      expect((await admin.call(UserList, 'GET', '/api/users')).total).toBe(before.total);
    });

    test('the list is searched by name and by role', async () => {
      const user = await addUser('reviewer', { centres: ['South', 'North'] });
      const search = (query: string) => admin.call(UserList, 'GET', `/api/users?${query}`);
      expect((await search(`search=${user.username.slice(2).toUpperCase()}`)).items).toEqual([user]);
      expect((await search('search=%25')).total).toBe(0);
      const reviewers = await search('role=reviewer');
      expect(reviewers.items.map((row) => row.role)).toContain('reviewer');
      expect(new Set(reviewers.items.map((row) => row.role)).size).toBe(1);
    });

    test('a changed role holds from the next request on, with the token that is already out', async () => {
      const user = await addUser('supervisor');
      const client = await asUser(user);
      expect((await client.request('GET', '/api/users')).status).toBe(403);
      const patch = (body: object) => admin.call(UserRow, 'PATCH', `/api/users/${user.user_id}`, body);
      expect(await patch({ role: 'admin' })).toMatchObject({ role: 'admin' });
      expect((await client.request('GET', '/api/users')).status).toBe(200);
      expect(await patch({ role: 'viewer', centres: ['South'] })).toMatchObject({ role: 'viewer', centres: ['South'] });
      expect((await client.request('GET', '/api/users')).status).toBe(403);
      expect(await client.call(CentreList, 'GET', '/api/centres')).toEqual({
        items: [{ centre_id: 'South', name: 'South' }],
      });
    });

    test('who is disabled is out at once, on every device and in every process', async () => {
      const user = await addUser('operator');
      const signedIn = v.parse(TokenAnswer, await (await login(user.username, OWN)).json());
      expect((await me(signedIn.access_token, two)).status).toBe(200);
      await admin.call(UserRow, 'PATCH', `/api/users/${user.user_id}`, { disabled: true });
      for (const sheaf of [one, two]) {
        expect((await me(signedIn.access_token, sheaf)).status).toBe(401);
        expect((await refresh(signedIn.refresh_token ?? '', sheaf)).status).toBe(401);
        expect((await login(user.username, OWN, {}, sheaf)).status).toBe(401);
      }
      // Enabled again, they sign in anew: what was ended stays ended.
      await admin.call(UserRow, 'PATCH', `/api/users/${user.user_id}`, { disabled: false });
      expect((await me(signedIn.access_token)).status).toBe(401);
      expect((await login(user.username, OWN)).status).toBe(200);
    });

    test('the last admin stays one, also when two take each other down at the same moment', async () => {
      const root = await admin.call(Me, 'GET', '/api/auth/me');
      const change = (client: Client, user_id: string, body: object): Promise<Response> =>
        client.request('PATCH', `/api/users/${user_id}`, body);
      for (const body of [{ role: 'viewer' }, { disabled: true }]) {
        const { code, detail } = await refusal(change(admin, root.user_id, body));
        expect({ code, detail }).toEqual({ code: 'CONFLICT', detail: expect.stringContaining('the last admin') });
      }
      const second = await addUser('admin');
      const other = await asUser(second, OWN, two);
      const answers = await Promise.all([
        change(admin, second.user_id, { role: 'viewer' }),
        change(other, root.user_id, { role: 'viewer' }),
      ]);
      expect(answers.map((answer) => answer.status).filter((status) => status === 200)).toHaveLength(1);
      const admins = await db.sql.selectFrom('users').select('user_id').where('role', '=', 'admin').execute();
      expect(admins).toHaveLength(1);
      if (admins[0]?.user_id === second.user_id) await change(other, root.user_id, { role: 'admin' });
      await change(admin, second.user_id, { role: 'viewer' });
    });

    test('exams and centres are those of one’s centres', async () => {
      const exam = { exam_id: `exam-${name()}`, name: 'Physics' };
      await admin.request('POST', '/api/exams', exam);
      const [template] = await db.sql.selectFrom('templates').selectAll().limit(1).execute();
      const task_id = String(10_000_000 + Math.floor(Math.random() * 80_000_000));
      await admin.request('POST', '/api/tasks', {
        task_id,
        exam: exam.exam_id,
        centre: 'North',
        template_id: template?.template_id,
        key_id: null,
      });
      const north = await asUser(await addUser('viewer', { centres: ['North'] }));
      const south = await asUser(await addUser('viewer', { centres: ['South'] }));
      const nowhere = await asUser(await addUser('viewer'));
      const exams = async (client: Client) => (await client.call(ExamList, 'GET', '/api/exams')).items;
      expect(await exams(north)).toContainEqual({ ...exam, tasks: 1 });
      for (const client of [south, nowhere])
        expect((await exams(client)).map((row) => row.exam_id)).not.toContain(exam.exam_id);
      expect((await nowhere.call(CentreList, 'GET', '/api/centres')).items).toEqual([]);
      expect((await north.request('GET', `/api/tasks/${task_id}`)).status).toBe(200);
      expect((await south.request('GET', `/api/tasks/${task_id}`)).status).toBe(404);
    });
  });

  describe('devices', () => {
    const devices = async (client: Client, user_id: string) =>
      (await client.call(DeviceList, 'GET', `/api/users/${user_id}/sessions`)).items;
    const on = async (username: string, device: string): Promise<TokenAnswer> =>
      v.parse(
        TokenAnswer,
        await (await login(username, OWN, { 'user-agent': device, 'x-forwarded-for': '203.0.113.9' })).json(),
      );

    test('an admin sees where a user is signed in, and ends one of them', async () => {
      const user = await addUser('operator');
      const tablet = await on(user.username, 'Tablet 7');
      const phone = await on(user.username, 'Phone');
      const seen = await devices(admin, user.user_id);
      expect(seen.map(({ device, address, current }) => ({ device, address, current }))).toEqual(
        expect.arrayContaining([
          { device: 'Tablet 7', address: '203.0.113.9', current: false },
          { device: 'Phone', address: '203.0.113.9', current: false },
        ]),
      );
      const lost = seen.find(({ device }) => device === 'Tablet 7')?.session_id;
      const end = (): Promise<Response> => admin.request('DELETE', `/api/users/${user.user_id}/sessions/${lost}`);
      expect((await end()).status).toBe(204);
      expect((await end()).status).toBe(404);
      expect((await me(tablet.access_token, two)).status).toBe(401);
      expect((await refresh(tablet.refresh_token ?? '', two)).status).toBe(401);
      expect((await me(phone.access_token, two)).status).toBe(200);
      expect((await devices(admin, user.user_id)).map(({ device }) => device)).toEqual(['Phone']);
    });

    test('a user sees and ends their own, and nobody else’s', async () => {
      const user = await addUser('reviewer');
      const tablet = await on(user.username, 'Tablet');
      const here = await asUser(user);
      const mine = await devices(here, user.user_id);
      expect(mine).toHaveLength(2);
      expect(mine.filter(({ current }) => current)).toHaveLength(1);
      expect(await (await here.request('DELETE', `/api/users/${user.user_id}/sessions`)).json()).toEqual({ ended: 1 });
      expect((await me(tablet.access_token)).status).toBe(401);
      expect(await devices(here, user.user_id)).toMatchObject([{ current: true }]);
      const other = await addUser('reviewer');
      for (const method of ['GET', 'DELETE'])
        expect((await here.request(method, `/api/users/${other.user_id}/sessions`)).status).toBe(404);
      // One's own address, another's session.
      const stranger = await on(other.username, 'Theirs');
      const [theirs] = await devices(admin, other.user_id);
      const reach = here.request('DELETE', `/api/users/${user.user_id}/sessions/${theirs?.session_id}`);
      expect((await reach).status).toBe(404);
      expect((await me(stranger.access_token)).status).toBe(200);
    });

    test('a stolen refresh token: when it comes back, the whole family of tokens is worth nothing', async () => {
      const user = await addUser('operator');
      const stolen = (await on(user.username, 'Tablet')).refresh_token ?? '';
      const elsewhere = await on(user.username, 'Phone');
      const thief = v.parse(TokenAnswer, await (await refresh(stolen)).json());
      const thiefLater = v.parse(TokenAnswer, await (await refresh(thief.refresh_token ?? '', two)).json());
      // The owner comes back after half a minute, in which a lost answer may be asked for again.
      await db.write((tx) =>
        tx
          .updateTable('refresh_tokens')
          .set((eb) => ({ used_at: eb('used_at', '-', 31_000) }))
          .where('token_hash', '=', sha256(stolen))
          .execute(),
      );
      expect(await refusal(refresh(stolen, two))).toMatchObject({ status: 401, code: 'REFRESH_REUSED' });
      for (const sheaf of [one, two]) {
        for (const { refresh_token = '' } of [thief, thiefLater])
          expect((await refresh(refresh_token, sheaf)).status).toBe(401);
        for (const { access_token } of [thief, thiefLater]) expect((await me(access_token, sheaf)).status).toBe(401);
      }
      expect((await me(elsewhere.access_token)).status).toBe(200);
      const { items } = await admin.call(AuditList, 'GET', '/api/audit?action=session.reuse');
      expect(items[0]).toMatchObject({ username: user.username, device: 'Tablet' });
    });

    test('the cookie is Secure when the proxy says that the caller came by TLS', async () => {
      const cookie = async (headers: Record<string, string>): Promise<string | null> => {
        const body = new URLSearchParams({ username: 'admin', password: one.admin.password });
        const response = await fetch(`${one.url}/api/auth/login`, { method: 'POST', headers, body });
        return response.headers.get('set-cookie');
      };
      expect(await cookie({ 'x-forwarded-proto': 'https' })).toMatch(/; HttpOnly; Secure; SameSite=Strict$/);
      expect(await cookie({})).not.toContain('Secure');
    });
  });

  describe('guessing', () => {
    const wrong = (username: string, headers: Record<string, string>, sheaf = one): Promise<Response> =>
      login(username, 'not the password', headers, sheaf);
    const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
    const letTimePass = (ms: number): Promise<unknown> =>
      db.write((tx) =>
        tx
          .updateTable('login_failures')
          .set((eb) => ({ blocked_until: eb('blocked_until', '-', ms) }))
          .execute(),
      );

    test('locks the name after five wrong passwords, in both processes, whether or not there is such a user', async () => {
      const user = await addUser('operator');
      const said: { status: number; detail: string }[][] = [];
      for (const username of [user.username, `nobody-${name()}`]) {
        const answers: { status: number; detail: string }[] = [];
        for (let i = 0; i < 6; i++) {
          const { status, detail } = await refusal(wrong(username, from('198.51.100.1'), i % 2 ? one : two));
          answers.push({ status, detail: detail.replace(/\d+ seconds/, 'N seconds') });
        }
        expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429]);
        said.push(answers);
      }
      expect(said[0]).toEqual(said[1]);

      // Spaces and capitals make no other name of it; nor does another address, nor the right password.
      const locked = await refusal(login(` ${user.username.toUpperCase()} `, OWN, from('198.51.100.2'), two));
      expect(locked).toMatchObject({ status: 429, code: 'TOO_MANY_REQUESTS' });
      expect(locked.detail).toMatch(/^Too many wrong passwords for this user name\. Wait \d+ seconds/);
      expect(Number(locked.retryAfter)).toBeGreaterThan(30);
      expect(Number(locked.retryAfter)).toBeLessThanOrEqual(60);

      // Who is signed in already works on; the lock ends by itself, and a next failure locks for longer.
      await letTimePass(60_000);
      expect((await wrong(user.username, from('198.51.100.1'))).status).toBe(401);
      const again = await refusal(login(user.username, OWN, from('198.51.100.1')));
      expect(Number(again.retryAfter)).toBeGreaterThan(60);
      await letTimePass(120_000);
      expect((await login(user.username, OWN, from('198.51.100.1'))).status).toBe(200);
      for (let i = 0; i < 4; i++) expect((await wrong(user.username, from('198.51.100.1'))).status).toBe(401);
      expect((await login(user.username, OWN, from('198.51.100.1'))).status).toBe(200);
    });

    test('of many guesses sent at once only a few count, though one of them is right', async () => {
      const user = await addUser('operator');
      const guesses = Array.from({ length: 24 }, (_, i) =>
        i === 23 ? login(user.username, OWN, from('198.51.100.3')) : wrong(user.username, from('198.51.100.3')),
      );
      const statuses = (await Promise.all(guesses)).map(({ status }) => status);
      const { failures } = await db.sql
        .selectFrom('login_failures')
        .select('failures')
        .where('scope', '=', `name:${sha256(user.username)}`)
        .executeTakeFirstOrThrow();
      expect(failures).toBeGreaterThanOrEqual(5);
      expect(statuses[23]).toBe(429);
    });

    test('an admin’s new password lifts the lock', async () => {
      const user = await addUser('operator');
      for (let i = 0; i < 5; i++) await wrong(user.username, from('198.51.100.4'));
      expect((await login(user.username, OWN)).status).toBe(429);
      const next = 'stones under a river';
      const set = (password: string) => ({ password, must_change_password: false });
      const weak = admin.request('POST', `/api/users/${user.user_id}/password`, set('password12'));
      expect((await weak).status).toBe(422);
      await admin.call(UserRow, 'POST', `/api/users/${user.user_id}/password`, set(next));
      expect((await login(user.username, next)).status).toBe(200);
    });

    test('locks an address that tries many names, an IPv6 one with its whole network, and no other', async () => {
      const addresses = Array.from({ length: 50 }, (_, i) => `2001:db8:0:7::${(i + 1).toString(16)}`);
      for (let i = 0; i < addresses.length; i += 5) {
        const some = addresses.slice(i, i + 5);
        await Promise.all(
          some.map((address, k) => wrong(`guess-${i + k}-${name()}`, from(address), k % 2 ? one : two)),
        );
      }
      const locked = await refusal(login('admin', one.admin.password, from('2001:db8:0:7:ffff::1')));
      expect(locked).toMatchObject({ status: 429, detail: expect.stringContaining('from this address') });
      expect((await login('admin', one.admin.password, from('2001:db8:0:8::1'))).status).toBe(200);
    });
  });

  describe('the audit log', () => {
    test('tells who did what to whom, on which device, before and after', async () => {
      const user = await addUser('operator', { centres: ['North'] });
      await admin.call(UserRow, 'PATCH', `/api/users/${user.user_id}`, { role: 'reviewer', centres: ['South'] });
      await admin.call(UserRow, 'PATCH', `/api/users/${user.user_id}`, { role: 'reviewer' }); // changes nothing
      const subject = encodeURIComponent(`user:${user.user_id}`);
      const { items, total, head, public_key } = await admin.call(AuditList, 'GET', `/api/audit?subject=${subject}`);
      expect(total).toBe(2);
      expect(items).toMatchObject([
        {
          username: 'admin',
          device: expect.stringMatching(/./),
          action: 'user.change',
          before: { role: 'operator', centres: ['North'], disabled: false },
          after: { role: 'reviewer', centres: ['South'], disabled: false },
        },
        { username: 'admin', action: 'user.create', before: null, after: { username: user.username } },
      ]);
      expect(head?.seq).toBeGreaterThan(0);
      expect(public_key).toContain('BEGIN PUBLIC KEY');
    });

    test('is paged, newest first, and searched', async () => {
      const first = await admin.call(AuditList, 'GET', '/api/audit');
      expect(first.items.map(({ seq }) => seq)).toEqual([...first.items.map(({ seq }) => seq)].sort((a, b) => b - a));
      const { items } = await admin.call(AuditList, 'GET', '/api/audit?search=SESSION.rev');
      expect(items.length).toBeGreaterThan(0);
      for (const { action } of items) expect(action).toMatch(/^session\.revoke/);
      expect((await admin.call(AuditList, 'GET', `/api/audit?page=${first.pages + 1}`)).items).toEqual([]);
    });

    test('holds no password, hash or token', async () => {
      const rows = await db.sql.selectFrom('audit').selectAll().execute();
      const hashes = await db.sql.selectFrom('users').select('password_hash').execute();
      const text = JSON.stringify(rows);
      expect(rows.length).toBeGreaterThan(10);
      for (const secret of [OWN, GIVEN, 'scrypt$', ...hashes.map((row) => row.password_hash)])
        expect(text.includes(secret)).toBe(false);
    });
  });

  test('a client that is refused is told so by name', async () => {
    const error = await signIn(one.url, 'admin', 'not it').catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(ApiRefusal);
    expect(error).toMatchObject({ status: 401, problem: { code: 'UNAUTHORIZED' } });
  });
});
