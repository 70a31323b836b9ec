import 'fake-indexeddb/auto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createApi } from './api.ts';
import { closeChannel, openQueue, openUser, type QueueDb } from './db.ts';
import { createSession, type Exclusively } from './session.ts';

let queue: QueueDb;
let clock = 0;

beforeEach(async () => {
  queue ??= await openQueue();
  await queue.clear('device');
  clock = 0;
});
afterAll(() => {
  queue.close();
  closeChannel();
});

/** The other end: counts what it is asked; `user` is who the cookie stands for, null when it stands for nobody. */
function office() {
  const asked: string[] = [];
  const state = { user: 'u1' as string | null, reachable: true, refused: new Set<string>() };
  let tokens = 0;
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const path = String(input);
    if (!state.reachable) throw new TypeError('no line');
    asked.push(path);
    const token = new Headers(init?.headers).get('authorization')?.replace('Bearer ', '') ?? '';
    if (path === '/api/auth/login' || path === '/api/auth/refresh') {
      if (path === '/api/auth/login') state.user = new URLSearchParams(String(init?.body)).get('username');
      // Answers take a moment, so that two who ask at once would both be under way.
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (state.user === null) return new Response('{}', { status: 401 });
      return Response.json({ access_token: `${state.user}-${++tokens}`, token_type: 'bearer', expires_in: 600 });
    }
    if (path === '/api/auth/logout') {
      state.user = null;
      return new Response(null, { status: 204 });
    }
    if (state.refused.has(token)) return new Response('{}', { status: 401 });
    if (path === '/api/auth/me')
      return Response.json({
        user_id: token.split('-')[0],
        username: token.split('-')[0],
        role: 'operator',
        is_admin: false,
        centres: [],
        must_change_password: false,
      });
    return Response.json({ upload_id: 'x', batch_id: 'y', state: 'sealed' });
  };
  return { asked, state, api: createApi({ fetch }) };
}

/** One lock for all sessions of a test, as the browser has one for all tabs. */
function locks(): Exclusively {
  let tail: Promise<unknown> = Promise.resolve();
  return (_, work) => {
    const run = tail.then(work);
    tail = run.catch(() => {});
    return run;
  };
}

const open = (api: ReturnType<typeof createApi>, exclusively: Exclusively = locks()) =>
  createSession({ queue, api, exclusively, now: () => clock });

test('whoever asks at the same time shares one renewal', async () => {
  const { api, asked } = office();
  const session = open(api);
  await session.signIn('u1', 'secret');
  clock += 600_000;
  asked.length = 0;
  const answers = await Promise.all([session.access(), session.access(), session.access()]);
  expect(new Set(answers.map((answer) => (answer.kind === 'token' ? answer.token : answer.kind))).size).toBe(1);
  expect(asked.filter((path) => path === '/api/auth/refresh')).toHaveLength(1);
});

test('a token is kept until a minute before its end', async () => {
  const { api, asked } = office();
  const session = open(api);
  await session.signIn('u1', 'secret');
  clock += 539_000;
  await session.access();
  expect(asked).not.toContain('/api/auth/refresh');
  clock += 2_000;
  await session.access();
  expect(asked).toContain('/api/auth/refresh');
});

test('a refused token is renewed once, and the question asked again', async () => {
  const { api, state, asked } = office();
  const session = open(api);
  await session.signIn('u1', 'secret');
  state.refused.add('u1-1');
  expect((await session.ask((token) => api.seal(token, 'x'))).kind).toBe('ok');
  expect(asked.filter((path) => path.endsWith('/seal'))).toHaveLength(2);
});

test('without a network the session is not taken for ended', async () => {
  const { api, state } = office();
  await open(api).signIn('u1', 'secret');
  state.reachable = false;
  const woken = open(api);
  expect((await woken.access()).kind).toBe('unreachable');
  expect(await woken.identity()).toMatchObject({ signed_in: true, me: { username: 'u1' } });
});

test('a session that ended on the server keeps who it was, so that what is stored can be read', async () => {
  const { api, state } = office();
  await open(api).signIn('u1', 'secret');
  state.user = null;
  const woken = open(api);
  expect((await woken.access()).kind).toBe('signed-out');
  expect(await woken.identity()).toMatchObject({ signed_in: false, me: { username: 'u1' } });
});

test('a sign-out without a network is told to the server before anything else, once there is one', async () => {
  const { api, state, asked } = office();
  const session = open(api);
  await session.signIn('u1', 'secret');
  (await openUser('u1')).close();
  state.reachable = false;
  await session.signOut();
  expect(await session.identity()).toBeNull();
  expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain('sheaf-u1');
  state.reachable = true;
  asked.length = 0;
  // The cookie still stands for them: it must not bring them back.
  expect((await open(api).access()).kind).toBe('signed-out');
  expect(asked).toEqual(['/api/auth/logout']);
});

test('a token in the memory of another tab is worth nothing after somebody else signed in', async () => {
  const { api } = office();
  const shared = locks();
  const [mine, theirs] = [open(api, shared), open(api, shared)];
  await mine.signIn('u1', 'secret');
  await theirs.signIn('u2', 'secret');
  const answer = await mine.access();
  expect(answer).toMatchObject({ kind: 'token', user_id: 'u2' });
});
