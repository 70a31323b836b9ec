import 'fake-indexeddb/auto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Fault, person, storeUsers, syncOffice } from '../../e2e/support/sync-office.ts';
import type { Database } from '../../server/adapters/database.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import { editDraft, findKey, validateVersion } from '../../server/keys/keys.ts';
import { findTask } from '../../server/keys/tasks.ts';
import { storeBuiltIns } from '../../server/templates.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import { keyStamp } from '../../shared/protocol/sync.ts';
import { validateKey } from '../../shared/scoring/validate-key.ts';
import { createApi } from '../api.ts';
import { closeChannel, forgetUser, openQueue, openUser, type QueueDb, type TaskFields, type UserDb } from '../db.ts';
import { readKey, readKeys, shapeFor } from '../screens/keys/view.ts';
import { readTasks } from '../screens/tasks/view.ts';
import { createSession } from '../session.ts';
import { pullKept } from './feed.ts';
import { isDue } from './office.ts';
import { discard, isPending, nextToSend, pushOutbox, record, sendAgain, unsay } from './outbox.ts';

// A real database under a machine that does other things too.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let db: Database;
let queue: QueueDb;
let user: UserDb;
let number = 0;
let fault: Fault;
let who = person('sue', 'admin', ['North']);
const sue = who;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sheaf-outbox-'));
  queue = await openQueue();
});
beforeEach(async () => {
  db = await openSqlite(path.join(folder, `${number++}.sqlite`));
  await db.migrate();
  await storeBuiltIns(db);
  await storeUsers(db, [sue, person('bea', 'admin')]);
  user = await openUser('sue');
  for (const store of user.objectStoreNames) await user.clear(store);
  fault = 'none';
  who = sue;
  await queue.put('device', { key: 'identity', me: ME, signed_in: true });
  return async () => {
    user.close();
    await db.close();
  };
});
afterAll(async () => {
  queue.close();
  closeChannel();
  await rm(folder, { recursive: true, force: true });
});
const ME = {
  user_id: 'sue',
  username: 'sue',
  role: 'admin' as const,
  is_admin: true,
  centres: ['North'],
  must_change_password: false,
};

const content = (...answers: string[]): KeyContent => ({
  answers: { '': answers },
  marks: { correct: 1, wrong: 0, blank: 0 },
});
const key = (key_id: string, ...answers: string[]) => ({ kind: 'key' as const, key_id, content: content(...answers) });
const task = (task_id: string, change: Partial<TaskFields> = {}) => ({
  kind: 'task' as const,
  task: {
    task_id,
    exam: 'Spring',
    centre: 'North',
    packet: null,
    template_id: 'sheaf-40',
    key_id: null,
    expected_count: null,
    ...change,
  },
});

/** A device on which Sue is signed in, or whoever `who` is by now. */
function device() {
  const api = createApi({
    fetch: syncOffice(db).fetchAs(
      () => who,
      () => fault,
    ),
  });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  const deps = { user, api, session, userId: 'sue', now: () => 7 };
  const signal = new AbortController().signal;
  return {
    push: () => pushOutbox(deps, signal),
    pull: () => pullKept(deps, signal),
    pending: async () => (await user.getAll('outbox')).filter(isPending),
  };
}

test('[S3] an edit and what it makes of the thing are kept together, and only together', async () => {
  await record(user, key('k', 'A'), null, 0);
  expect(await user.getAll('overlays')).toMatchObject([{ subject: 'key:k', n: (await user.getAllKeys('outbox'))[0] }]);
  const bad = { ...key('k', 'B'), content: { answers: { '': [7] } } as unknown as KeyContent };
  await expect(record(user, bad, null, 0)).rejects.toThrow();
  expect(await user.count('outbox')).toBe(1);
});

test('[S3] without a network nothing is sent and nothing is lost', async () => {
  fault = 'lost';
  await record(user, key('k', 'A'), null, 0);
  expect(await device().push()).toBe(0);
  expect(await user.count('outbox')).toBe(1);
});

test('[S1] edits arrive in the order they were made, each upon the answer to the one before', async () => {
  const { push, pull, pending } = device();
  await record(user, key('k', 'A'), null, 0);
  await record(user, task('11111111', { key_id: 'k' }), null, 0);
  await record(user, key('k', 'B'), null, 0);
  expect(await push()).toBeNull();
  expect(await findKey(db, sue, 'k')).toMatchObject({ rev: 2, content: content('B') });
  expect(await findTask(db, sue, '11111111')).toMatchObject({ key_id: 'k' });
  expect(await pending()).toEqual([]);
  await pull();
  expect([await user.count('outbox'), await user.count('overlays')]).toEqual([0, 0]);
  expect(await user.get('keys', 'k')).toMatchObject({
    newest: { rev: 2 },
    row: { draft: 1, published: null, tasks: 1 },
  });
});

test('[S2] what was edited is shown from the outbox until what was pulled shows it', async () => {
  const { push, pull } = device();
  await pull();
  await record(user, key('k', 'A'), null, 0);
  await push();
  expect([await user.count('outbox'), await user.count('overlays'), await user.count('keys')]).toEqual([1, 1, 0]);
  await pull();
  expect([await user.count('outbox'), await user.count('overlays'), await user.count('keys')]).toEqual([0, 0, 1]);
});

test('[S2] whoever looks while an edit comes back from the server sees it once, from the one place or the other', async () => {
  const { push, pull } = device();
  await pull();
  for (let i = 0; i < 10; i++) {
    await record(user, key(`k${i}`, 'A'), null, 0);
    await record(user, task(`1111111${i}`), null, 0);
    await push();
    let here = false;
    const pulling = pull().then(() => {
      here = true;
    });
    // At every moment of it: many look at once, each a little later than the one before.
    const seen: Promise<unknown>[] = [];
    do {
      seen.push(
        readKeys(user).then((keys) => keys.map(({ key_id, edited_at }) => [key_id, Date.parse(edited_at) >= 0])),
      );
      seen.push(readTasks(user).then((tasks) => tasks.map(({ task }) => [task.task_id, true])));
      await new Promise((resolve) => setImmediate(resolve));
    } while (!here);
    await pulling;
    const all = (prefix: string) => Array.from({ length: i + 1 }, (_, n) => [`${prefix}${n}`, true]);
    for (const [n, list] of (await Promise.all(seen)).entries())
      expect(list).toEqual(all(n % 2 === 0 ? 'k' : '1111111'));
  }
});

test('[S1] an edit whose answer was lost on the way is applied once', async () => {
  const { push } = device();
  await record(user, key('k', 'A'), null, 0);
  await record(user, task('22222222', { packet: 'P' }), null, 0);
  fault = 'answer-lost';
  expect(await push()).toBe(0);
  expect(await push()).toBe(0);
  // Another one is made meanwhile: those sent before keep their numbers.
  await record(user, key('other', 'A'), null, 0);
  fault = 'twice';
  expect(await push()).toBeNull();
  const audited = await db.sql
    .selectFrom('audit')
    .select('subject')
    .where('user_id', '=', 'sue')
    .orderBy('seq')
    .execute();
  expect(audited.map(({ subject }) => subject)).toEqual(['key:k@1', 'task:22222222', 'key:other@1']);
});

test('[S3] what somebody else changed meanwhile is not overwritten: the edit stays, and is sent when a person says so', async () => {
  const { push, pull, pending } = device();
  await record(user, key('k', 'A'), null, 0);
  await push();
  await pull();
  const seen = (await user.get('keys', 'k'))!.newest;
  await editDraft(db, person('bea', 'admin'), 'k', content('C'), 1);
  await record(user, key('k', 'B'), keyStamp(seen), 0);
  expect(await push()).toBeNull();
  expect((await findKey(db, sue, 'k')).content).toEqual(content('C'));
  expect((await pending())[0]?.state).toMatchObject({ at: 'refused', code: 'CONFLICT' });
  expect(await user.get('overlays', 'key:k')).toMatchObject({ change: { content: content('B') } });
  // The server's is fetched, the person has compared.
  await pull();
  await sendAgain(user, 'key:k');
  expect(await push()).toBeNull();
  expect(await findKey(db, sue, 'k')).toMatchObject({ rev: 3, content: content('B') });
  await pull();
  expect(await user.count('outbox')).toBe(0);
});

test('[S3] a new key does not become a version of one that has its name already', async () => {
  const { push, pending } = device();
  await record(user, key('k', 'A'), null, 0);
  await push();
  await user.clear('outbox');
  await record(user, key('k', 'D'), null, 0);
  await push();
  expect((await pending())[0]?.state).toMatchObject({ detail: 'There is an answer key k already.' });
});

test('a refusal holds back what builds on it, and nothing else', async () => {
  const { push, pending } = device();
  await record(user, key('k', 'A'), '1.1.draft', 0);
  await push();
  await record(user, task('11111111', { key_id: 'k' }), null, 0);
  await record(user, task('22222222'), null, 0);
  await push();
  await expect(findTask(db, sue, '11111111')).rejects.toThrow();
  expect(await findTask(db, sue, '22222222')).toMatchObject({ rev: 1 });
  expect(nextToSend(await user.getAll('outbox'))).toEqual([]);
  expect((await pending()).map(({ subject }) => subject)).toEqual(['key:k', 'task:11111111']);
});

test('a refused edit that is said anew is replaced by the new one', async () => {
  const { push } = device();
  await record(user, key('k', 'F'), '9.9.draft', 0);
  await push();
  await record(user, key('k', 'E'), null, 0);
  expect(await user.count('outbox')).toBe(1);
  await push();
  expect((await findKey(db, sue, 'k')).content).toEqual(content('E'));
});

test('an edit is not sent under the name of another user', async () => {
  await record(user, key('k', 'A'), null, 0);
  who = person('bea', 'admin');
  expect(await device().push()).toBe(0);
  await expect(findKey(db, sue, 'k')).rejects.toThrow();
});

test('what a person throws away is gone, and only that; what may have been sent is not unsaid', async () => {
  await record(user, key('k', 'A'), null, 0);
  await record(user, key('other', 'A'), null, 0);
  await discard(user, 'key:k');
  expect((await user.getAll('outbox')).map(({ subject }) => subject)).toEqual(['key:other']);
  expect(await user.getAllKeys('overlays')).toEqual(['key:other']);
  const item = { sheet_id: '1000001', field: 'q1', value: 'A', base_rev: 0 };
  const decision = { kind: 'correct' as const, batch_id: 'b', items: [item], reason: null };
  expect(await unsay(user, await record(user, decision, null, 0))).toBe(true);
  const n = await record(user, decision, null, 0);
  fault = 'lost';
  await device().push();
  expect(await unsay(user, n)).toBe(false);
});

test('a key that names no sheet is held against the one of its tasks, sent or not', async () => {
  const { push, pull } = device();
  await record(user, key('k', 'A'), null, 0);
  await record(user, task('11111111', { key_id: 'k', template_id: 'sheaf-60' }), null, 0);
  const checked = async (): Promise<string[]> => {
    const view = (await readKey(user, 'k'))!;
    return validateKey(view.content, shapeFor(view.content, view.sheets)).map(({ message }) => message);
  };
  expect(await checked()).toEqual(['questions 2–60 have no answer and will not count.']);
  await push();
  await pull();
  expect(await user.count('tasks')).toBe(1);
  expect(await checked()).toEqual(['questions 2–60 have no answer and will not count.']);
  expect((await validateVersion(db, sue, 'k')).problems.map(({ message }) => message)).toEqual(await checked());
  await record(user, task('22222222', { key_id: 'k', template_id: 'sheaf-40' }), null, 0);
  expect(await checked()).toEqual([]);
});

test('[U3] a sign-out forgets what was seen and keeps what was not sent, with the numbers it was sent under', async () => {
  const { push, pull } = device();
  await record(user, task('11111111'), null, 0);
  await push();
  await pull();
  fault = 'answer-lost';
  await record(user, key('k', 'A'), null, 0);
  await push();
  const before = await user.get('sync', 'client');
  user.close();
  await forgetUser('sue');
  user = await openUser('sue');
  expect([await user.count('tasks'), await user.count('outbox'), await user.count('overlays')]).toEqual([0, 1, 1]);
  expect(await user.get('sync', 'client')).toEqual(before);
  await discard(user, 'key:k');
  user.close();
  await forgetUser('sue');
  user = await openUser('sue');
  expect(await user.count('sync')).toBe(0);
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
