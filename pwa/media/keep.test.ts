import 'fake-indexeddb/auto';
import * as v from 'valibot';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { toBase64 } from '../../shared/omr/base64.ts';
import { SnippetQuery } from '../../shared/protocol/snippet.ts';
import type { SheetLine } from '../../shared/protocol/sync.ts';
import { createApi } from '../api.ts';
import { closeChannel, forgetUser, openQueue, openUser, type QueueDb, type UserDb } from '../db.ts';
import { createSession } from '../session.ts';
import { keepBatch, scopeOf, unpinBatch } from '../sync/feed.ts';
import type { PullDeps } from '../sync/pull.ts';
import { fieldsToSee, KEPT_PX, keepOffline, wantedOf } from './keep.ts';
import { picturesHere } from './store.ts';

const ME = {
  user_id: 'sue',
  username: 'sue',
  role: 'reviewer' as const,
  is_admin: false,
  centres: [],
  must_change_password: false,
};
let queue: QueueDb;
let user: UserDb;
let asked: string[];
/** requests that are still answered; then the line is cut */
let answers: number;
let deps: PullDeps;

const json = (body: object, status = 200) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': status === 200 ? 'application/json' : 'application/problem+json' },
  });

async function answer(input: RequestInfo | URL): Promise<Response> {
  const url = new URL(String(input), 'http://sheaf.test');
  if (url.pathname.endsWith('/refresh')) return json({ access_token: 't', token_type: 'bearer', expires_in: 600 });
  if (url.pathname.endsWith('/me')) return json(ME);
  if (answers-- <= 0) throw new TypeError('the line is cut');
  asked.push(url.pathname.replace('/api/batches/b/', '') + decodeURIComponent(url.search));
  if (url.pathname.endsWith('/image')) {
    if (url.pathname.includes('1000003'))
      return json(
        { type: 'about:blank', title: '', status: 422, code: 'IMAGE_REFUSED', detail: 'no image', request_id: 'r' },
        422,
      );
    return new Response(new TextEncoder().encode(url.pathname), { headers: { 'content-type': 'image/jpeg' } });
  }
  if (url.pathname.endsWith('/snippets')) {
    const { of } = v.parse(SnippetQuery, { of: url.searchParams.get('of') });
    return json({
      items: of.map(({ sheet_id, fields }) => ({
        sheet_id,
        image_sha256: 'sha',
        template: 'sheaf-40@1',
        snippets: fields.map((field) => ({ field, jpeg: toBase64(new TextEncoder().encode(`${sheet_id} ${field}`)) })),
        problem: null,
      })),
    });
  }
  throw new Error(`nobody answers ${url.pathname}`);
}

beforeEach(async () => {
  queue = await openQueue();
  user = await openUser('sue');
  await queue.put('device', { key: 'identity', me: ME, signed_in: true });
  [asked, answers] = [[], 1000];
  const api = createApi({ fetch: answer });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  deps = { user, api, session, now: () => 1 };
});
afterEach(async () => {
  user.close();
  queue.close();
  await forgetUser('sue');
});
afterAll(closeChannel);

/** A page that was read, with what is doubted on it; `what`: a page that failed, or one that is no sheet. */
const line = (page: number, notes: string, what: 'sheet' | 'failed' | 'cover' = 'sheet'): SheetLine => [
  page,
  `${page}.jpg`,
  what === 'failed' ? 'failed' : 'read',
  what === 'failed' ? null : what,
  0,
  '12345678',
  null,
  'sha',
  what === 'sheet' ? 'sheaf-40@1' : null,
  '00000001',
  'A',
  3,
  'A B C',
  notes,
  0,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
  notes.split(' ').filter((one) => /:[a-z]*d/.test(one)).length,
  null,
  0,
  [],
];

async function pulled(lines: SheetLine[]): Promise<void> {
  const scope = scopeOf('b');
  await user.put('feeds', {
    scope,
    cursor: 'e.1',
    generation: 1,
    building: null,
    batch_no: 1,
    true_at: 1,
  });
  await user.put('parts', { scope, generation: 1, part: 0, lines, groups: [], office: null });
}
const noEnd = () => new AbortController().signal;

test('what somebody has to look at: doubted fields, fields in conflict, the pages they are on, and failed pages', () => {
  const contested: SheetLine = [...line(4, '')];
  const said = (value: string, client_id: string, rev: number) => ({
    correction_id: client_id,
    field: 'q2',
    value,
    previous: null,
    reason: null,
    user_id: client_id,
    username: client_id,
    role: 'reviewer' as const,
    client_id,
    base_rev: 0,
    rev,
    at: '',
  });
  contested[25] = [said('A', 'one', 1), said('B', 'two', 2)];
  expect(fieldsToSee(contested)).toEqual(['q2']);
  const lines = [line(0, '', 'cover'), line(1, 'q1:60:d q3:90:f'), line(2, ''), line(3, '', 'failed'), contested];
  const { fields, pages } = wantedOf('b', { batch_no: 1, lines, groups: [] });
  const short = (of: (typeof fields)[number]) =>
    `${of.sheet_id} ${of.what.kind} ${of.what.kind === 'field' ? of.what.field : ''}`.trim();
  expect(fields.map(short)).toEqual(['1000001 field q1', '1000004 field q2']);
  expect(pages.map(short)).toEqual([
    '1000001 reading',
    '1000001 page',
    '1000003 page',
    '1000004 reading',
    '1000004 page',
  ]);
  const unreadableCover = { state: 'unreadable-cover', cover_page: 0, first_page: 1 } as never;
  expect(wantedOf('b', { batch_no: 1, lines: [line(0, '', 'cover')], groups: [unreadableCover] }).pages).toHaveLength(
    1,
  );
});

test('a cut line costs nothing that is here: it goes on where it was, and asks for nothing twice', async () => {
  await pulled([line(0, 'q1:60:d'), line(1, 'q2:60:d'), line(2, '', 'failed'), line(3, '', 'failed')]);
  await keepBatch(user, 'b', true, 0);
  answers = 1;
  expect(await keepOffline(deps, 'b', noEnd())).toMatchObject({ state: 'cut', wanted: 8, here: 2 });
  expect(asked).toEqual(['snippets?of=1000000.q1,1000001.q2']);
});

test('what the server has not is not asked for again, and does not stand in the way of the rest', async () => {
  await pulled([line(2, '', 'failed'), line(3, '', 'failed')]);
  await keepBatch(user, 'b', true, 0);
  expect(await keepOffline(deps, 'b', noEnd())).toMatchObject({ state: 'whole', wanted: 2, here: 1 });
  expect(asked).toEqual([2, 3].map((n) => `sheets/100000${n}/image?width=${KEPT_PX}`));
  expect(await keepOffline(deps, 'b', noEnd())).toMatchObject({ state: 'whole', wanted: 2, here: 1 });
  expect(asked).toHaveLength(2);
});

test('pages go on where the line was cut', async () => {
  await pulled([line(2, '', 'failed'), line(4, '', 'failed'), line(5, '', 'failed')]);
  await keepBatch(user, 'b', true, 0);
  answers = 2;
  expect(await keepOffline(deps, 'b', noEnd())).toMatchObject({ state: 'cut', here: 2 });
  answers = 1000;
  expect(await keepOffline(deps, 'b', noEnd())).toMatchObject({ state: 'whole', here: 3 });
  expect(asked.map((one) => /\d{7}/.exec(one)?.[0])).toEqual(['1000002', '1000004', '1000005']);
  expect(await user.get('keeping', 'b')).toMatchObject({ state: 'whole', wanted: 3, here: 3 });
});

test('under a small budget it says that there is no room, and asks for nothing it could not keep', async () => {
  await pulled([line(2, '', 'failed')]);
  await keepBatch(user, 'b', true, 0);
  expect(await keepOffline(deps, 'b', noEnd(), 100)).toMatchObject({ state: 'no-room', here: 0 });
  expect(asked).toEqual([]);
});

test('a batch that is let go stops at the next question', async () => {
  await pulled([line(2, '', 'failed'), line(4, '', 'failed')]);
  await keepBatch(user, 'b', true, 0);
  await unpinBatch(user, 'b', 1);
  expect(await keepOffline(deps, 'b', noEnd())).toBeNull();
  expect([asked, (await picturesHere(user)).pictures]).toEqual([[], 0]);
});
