import 'fake-indexeddb/auto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { KeyAnswer, KeyContent, TaskAnswer } from '../../shared/protocol/key.ts';
import { createApi } from '../api.ts';
import { closeChannel, forgetUser, openQueue, openUser, type QueueDb, type TaskFields, type UserDb } from '../db.ts';
import { createSession } from '../session.ts';
import { isDue } from './office.ts';
import { discard, keyStamp, nextToSend, pushOutbox, record, sendAgain } from './outbox.ts';

let queue: QueueDb;
let user: UserDb;

beforeEach(async () => {
  queue ??= await openQueue();
  user?.close();
  user = await openUser('u1');
  for (const store of ['outbox', 'overlays', 'keys', 'tasks'] as const) await user.clear(store);
});
afterAll(() => {
  queue.close();
  user.close();
  closeChannel();
});

const content = (...answers: string[]): KeyContent => ({
  answers: { '': answers },
  marks: { correct: 1, wrong: 0, blank: 0 },
});
const key = (id: string, ...answers: string[]) => ({
  kind: 'key' as const,
  key_id: id,
  content: content(...answers),
});
const fields = (task_id: string, change: Partial<TaskFields> = {}): TaskFields => ({
  task_id,
  exam: 'Spring',
  centre: 'North',
  packet: null,
  template_id: 'sheaf-40',
  key_id: null,
  expected_count: null,
  ...change,
});
const task = (task_id: string, change: Partial<TaskFields> = {}) => ({
  kind: 'task' as const,
  task: fields(task_id, change),
});

/** The other end, with the server's rules for drafts and revisions. `lose` swallows the next answer after it was acted on. */
async function office() {
  const keys = new Map<string, KeyAnswer>();
  const tasks = new Map<string, TaskAnswer>();
  const state = { reachable: true, lose: false, refuse: null as Response | null, writes: [] as string[], me: ME };
  const problem = (status: number, code: string) =>
    Response.json({ type: 'about:blank', title: code, status, code, detail: `said ${code}` }, { status });
  const draft = (key_id: string, version: number, rev: number, given: KeyContent): KeyAnswer => ({
    key_id,
    version,
    state: 'draft',
    rev,
    created_by: 'u1',
    edited_by: 'u1',
    published_by: null,
    edited_at: '2026-01-01T00:00:00Z',
    published_at: null,
    content: given,
  });
  function act(method: string, path: string, body: Record<string, unknown>): Response {
    const [, kind, id] = /^\/api\/(answer-keys|tasks)(?:\/(.+))?$/.exec(path) ?? [];
    if (kind === 'answer-keys') {
      const key_id = decodeURIComponent(id ?? String(body.key_id));
      const now = keys.get(key_id);
      if (method === 'GET') return now ? Response.json(now) : problem(404, 'NOT_FOUND');
      if (method === 'POST' && now?.state === 'draft') return problem(409, 'CONFLICT');
      if (method === 'PATCH' && now?.rev !== body.base_rev) return problem(409, 'CONFLICT');
      const [version, rev] =
        method === 'POST' ? [(now?.version ?? 0) + 1, 1] : [now?.version ?? 1, (now?.rev ?? 0) + 1];
      keys.set(key_id, draft(key_id, version, rev, body.content as KeyContent));
      return Response.json(keys.get(key_id));
    }
    const task_id = id ?? String(body.task_id);
    const now = tasks.get(task_id);
    if (method === 'GET') return now ? Response.json(now) : problem(404, 'NOT_FOUND');
    const { base_rev, ...given } = body;
    if (method === 'PATCH' && now?.rev !== base_rev) return problem(409, 'CONFLICT');
    tasks.set(task_id, { ...fields(task_id), ...given, task_id, template_version: 1, rev: (now?.rev ?? 0) + 1 });
    return Response.json(tasks.get(task_id));
  }
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const path = String(input);
    if (!state.reachable) throw new TypeError('no line');
    if (path === '/api/auth/refresh')
      return Response.json({ access_token: 'u1-token', token_type: 'bearer', expires_in: 600 });
    if (path === '/api/auth/me') return Response.json(state.me);
    const method = init?.method ?? 'GET';
    if (method !== 'GET' && state.refuse) return state.refuse.clone();
    const answer = act(method, path, JSON.parse(String(init?.body ?? '{}')));
    if (method !== 'GET') state.writes.push(`${method} ${path}`);
    if (method !== 'GET' && state.lose) {
      state.lose = false;
      throw new TypeError('the line broke');
    }
    return answer;
  };
  await queue.put('device', { key: 'identity', me: ME, signed_in: true });
  const api = createApi({ fetch });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  const push = () => pushOutbox({ user, api, session, userId: 'u1', now: () => 7 }, new AbortController().signal);
  return { keys, tasks, state, push, problem };
}
const ME = {
  user_id: 'u1',
  username: 'sue',
  role: 'supervisor' as const,
  is_admin: false,
  centres: ['North'],
  must_change_password: false,
};

test('[S3] an edit and what it makes of the thing are kept together, and only together', async () => {
  await record(user, key('k', 'A'), null, 0);
  expect(await user.getAll('overlays')).toMatchObject([{ subject: 'key:k', n: (await user.getAllKeys('outbox'))[0] }]);
  const bad = { ...key('k', 'B'), content: { answers: { '': [7] } } as unknown as KeyContent };
  await expect(record(user, bad, null, 0)).rejects.toThrow();
  expect(await user.count('outbox')).toBe(1);
});

test('[S3] without a network nothing is sent and nothing is lost', async () => {
  const { state, push } = await office();
  state.reachable = false;
  await record(user, key('k', 'A'), null, 0);
  expect(await push()).toBe(0);
  expect(await user.count('outbox')).toBe(1);
});

test('[S1] edits arrive in the order they were made, each upon the answer to the one before', async () => {
  const { keys, tasks, state, push } = await office();
  await record(user, key('k', 'A'), null, 0);
  await record(user, task('11111111', { key_id: 'k' }), null, 0);
  await record(user, key('k', 'B'), null, 0);
  expect(await push()).toBeNull();
  expect(state.writes).toEqual(['POST /api/answer-keys', 'POST /api/tasks', 'PATCH /api/answer-keys/k']);
  expect(keys.get('k')).toMatchObject({ rev: 2, content: content('B') });
  expect(tasks.get('11111111')).toMatchObject({ key_id: 'k' });
  expect([await user.count('outbox'), await user.count('overlays')]).toEqual([0, 0]);
  expect(await user.get('keys', 'k')).toMatchObject({ newest: { rev: 2 }, row: { draft: 1, published: null } });
});

test('[S1] an edit whose answer was lost on the way is applied once', async () => {
  const { keys, tasks, state, push } = await office();
  tasks.set('22222222', { ...fields('22222222'), template_version: 1, rev: 4 });
  await record(user, key('k', 'A'), null, 0);
  await record(user, task('22222222', { packet: 'P' }), '4', 0);
  state.lose = true;
  expect(await push()).toBe(0);
  state.lose = true;
  expect(await push()).toBe(0);
  expect(await push()).toBeNull();
  expect(state.writes).toEqual(['POST /api/answer-keys', 'PATCH /api/tasks/22222222']);
  expect([keys.get('k')?.rev, tasks.get('22222222')?.rev]).toEqual([1, 5]);
});

test('[S3] what somebody else changed meanwhile is not overwritten: the edit stays, and is sent when a person says so', async () => {
  const { keys, push } = await office();
  await record(user, key('k', 'A'), null, 0);
  await push();
  const seen = (await user.get('keys', 'k'))!.newest;
  keys.set('k', { ...seen, rev: 2, content: content('C') });
  await record(user, key('k', 'B'), keyStamp(seen), 0);
  expect(await push()).toBeNull();
  expect(keys.get('k')?.content).toEqual(content('C'));
  expect((await user.getAll('outbox'))[0]?.state).toMatchObject({ at: 'refused', code: 'CONFLICT' });
  expect(await user.get('overlays', 'key:k')).toMatchObject({ change: { content: content('B') } });
  // The server's is fetched, the person has compared.
  await user.put('keys', { ...(await user.get('keys', 'k'))!, newest: keys.get('k')! });
  await sendAgain(user, 'key:k');
  expect(await push()).toBeNull();
  expect(keys.get('k')).toMatchObject({ rev: 3, content: content('B') });
  expect(await user.count('outbox')).toBe(0);
});

test('[S3] a new key does not become a version of one that has its name already', async () => {
  const { keys, push, state } = await office();
  await record(user, key('k', 'A'), null, 0);
  await push();
  keys.set('k', { ...keys.get('k')!, state: 'published' });
  await record(user, key('k', 'D'), null, 0);
  await push();
  expect(state.writes).toHaveLength(1);
  expect((await user.getAll('outbox'))[0]?.state).toMatchObject({ detail: 'There is an answer key k already.' });
});

test('a published key is edited as its next version', async () => {
  const { keys, push } = await office();
  await record(user, key('k', 'A'), null, 0);
  await push();
  const published = { ...keys.get('k')!, state: 'published' as const };
  keys.set('k', published);
  await record(user, key('k', 'B'), keyStamp(published), 0);
  await push();
  expect(keys.get('k')).toMatchObject({ version: 2, rev: 1, state: 'draft' });
});

test('a refusal holds back what builds on it, and nothing else', async () => {
  const { tasks, state, push, problem } = await office();
  await record(user, key('k', 'A'), null, 0);
  state.refuse = problem(403, 'FORBIDDEN');
  await push();
  state.refuse = null;
  await record(user, task('11111111', { key_id: 'k' }), null, 0);
  await record(user, task('22222222'), null, 0);
  await push();
  expect([...tasks.keys()]).toEqual(['22222222']);
  expect(nextToSend(await user.getAll('outbox'))).toBeNull();
  expect((await user.getAll('outbox')).map(({ subject }) => subject)).toEqual(['key:k', 'task:11111111']);
});

test('a refused edit that is said anew is replaced by the new one', async () => {
  const { keys, state, push, problem } = await office();
  await record(user, key('k', 'F'), null, 0);
  state.refuse = problem(422, 'VALIDATION_FAILED');
  await push();
  state.refuse = null;
  await record(user, key('k', 'E'), null, 0);
  expect(await user.count('outbox')).toBe(1);
  await push();
  expect(keys.get('k')?.content).toEqual(content('E'));
});

test('a busy server is left alone as long as it asks, and the edit waits', async () => {
  const { state, push, problem } = await office();
  await record(user, key('k', 'A'), null, 0);
  const busy = problem(503, 'UNAVAILABLE');
  busy.headers.set('retry-after', '9');
  state.refuse = busy;
  expect(await push()).toBe(9000);
  expect((await user.getAll('outbox'))[0]?.state).toEqual({ at: 'waiting' });
});

test('an edit is not sent under the name of another user', async () => {
  const { state, push } = await office();
  await record(user, key('k', 'A'), null, 0);
  state.me = { ...ME, user_id: 'u2' };
  expect(await push()).toBe(0);
  expect(state.writes).toEqual([]);
});

test('what a person throws away is gone, and only that', async () => {
  await record(user, key('k', 'A'), null, 0);
  await record(user, key('other', 'A'), null, 0);
  await discard(user, 'key:k');
  expect((await user.getAll('outbox')).map(({ subject }) => subject)).toEqual(['key:other']);
  expect(await user.getAllKeys('overlays')).toEqual(['key:other']);
});

test('[U3] a sign-out forgets what was seen and keeps what was not sent', async () => {
  await user.put('tasks', { ...fields('11111111'), template_version: 1, rev: 1, true_at: 0 });
  await record(user, key('k', 'A'), null, 0);
  user.close();
  await forgetUser('u1');
  user = await openUser('u1');
  expect([await user.count('tasks'), await user.count('outbox'), await user.count('overlays')]).toEqual([0, 1, 1]);
  await discard(user, 'key:k');
  user.close();
  await forgetUser('u1');
  user = await openUser('u1');
  expect(await user.count('outbox')).toBe(0);
});

test('a place is fetched when a person comes to look, often while they do, seldom otherwise', () => {
  const minute = 60_000;
  expect(isDue(undefined, undefined, 0)).toBe(true);
  expect(isDue(100, 50, 101)).toBe(true);
  expect(isDue(50, 100, 100 + 14_000)).toBe(false);
  expect(isDue(50, 100, 100 + 15_000)).toBe(true);
  expect(isDue(0, 5 * minute, 9 * minute)).toBe(false);
  expect(isDue(0, 5 * minute, 15 * minute)).toBe(true);
});
