import 'fake-indexeddb/auto';
import * as v from 'valibot';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { toBase64 } from '../../shared/omr/base64.ts';
import { SnippetQuery } from '../../shared/protocol/snippet.ts';
import { createApi } from '../api.ts';
import { closeChannel, forgetUser, openQueue, openUser, type QueueDb, type UserDb } from '../db.ts';
import { createSession } from '../session.ts';
import { createPictures, type Pictures, questions } from './pictures.ts';
import type { PictureOf } from './store.ts';

let queue: QueueDb;
let user: UserDb;
let asked: string[];
let line: 'up' | 'down';
let pictures: Pictures;

const json = (body: object) => new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
const ME = {
  user_id: 'sue',
  username: 'sue',
  role: 'reviewer',
  is_admin: false,
  centres: [],
  must_change_password: false,
};

/** A server that has every field but q9, and pages of three bytes. */
const answer = async (input: RequestInfo | URL): Promise<Response> => {
  if (line === 'down') throw new TypeError('no network');
  const url = new URL(String(input), 'http://sheaf.test');
  if (url.pathname.endsWith('/refresh')) return json({ access_token: 't', token_type: 'bearer', expires_in: 600 });
  if (url.pathname.endsWith('/me')) return json(ME);
  asked.push(url.pathname + url.search);
  if (url.pathname.endsWith('/image'))
    return new Response(Uint8Array.of(1, 2, 3), { headers: { 'content-type': 'image/jpeg', 'x-scan-size': '20x30' } });
  const { of } = v.parse(SnippetQuery, { of: url.searchParams.get('of') });
  return json({
    items: of.map(({ sheet_id, fields }) => ({
      sheet_id,
      image_sha256: 's',
      template: 't@1',
      snippets: fields
        .filter((field) => field !== 'q9')
        .map((field) => ({ field, jpeg: toBase64(new TextEncoder().encode(`${sheet_id} ${field}`)) })),
      problem: null,
    })),
  });
};

beforeEach(async () => {
  queue = await openQueue();
  user = await openUser('sue');
  await queue.put('device', { key: 'identity', me: { ...ME, role: 'reviewer' }, signed_in: true });
  [asked, line] = [[], 'up'];
  const api = createApi({ fetch: answer });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  pictures = createPictures({ api, session, now: Date.now });
});
afterEach(async () => {
  user.close();
  queue.close();
  await forgetUser('sue');
});
afterAll(closeChannel);

const field = (sheet: number, name: string, batch = 'b'): PictureOf => ({
  batch,
  sheet_id: String(sheet),
  image: 's',
  what: { kind: 'field', field: name, template: 't@1' },
});
const textOf = async (of: PictureOf): Promise<string> => {
  const shown = await pictures.show(user, of);
  return shown.at === 'here' ? shown.blob.text() : shown.at === 'none' ? shown.why : shown.at;
};

test('fields wanted together are one question, and the same one is asked for once', async () => {
  const wanted = [field(1, 'q1'), field(1, 'q2'), field(2, 'roll'), field(1, 'q1')];
  expect(await Promise.all(wanted.map(textOf))).toEqual(['1 q1', '1 q2', '2 roll', '1 q1']);
  expect(asked).toEqual(['/api/batches/b/snippets?of=1.q1.q2,2.roll']);
});

test('what was shown once is shown again without a network; what was not says so', async () => {
  await Promise.all([field(1, 'q1'), field(2, 'q1')].map(textOf));
  line = 'down';
  expect(await Promise.all([field(1, 'q1'), field(2, 'q1'), field(3, 'q1')].map(textOf))).toEqual([
    '1 q1',
    '2 q1',
    'away',
  ]);
  line = 'up';
  expect(await textOf(field(3, 'q1'))).toBe('3 q1');
});

test('a field that the sheet has not is told apart from one that cannot be fetched', async () => {
  expect(await Promise.all([field(1, 'q9'), field(1, 'q1')].map(textOf))).toEqual([
    'its template has no such field',
    '1 q1',
  ]);
});

test('a smaller page comes with the size of the raster that it was read on, kept or fresh', async () => {
  const page: PictureOf = { batch: 'b', sheet_id: '1', image: 's', what: { kind: 'page', width: 1600 } };
  for (const network of ['up', 'down'] as const) {
    line = network;
    expect(await pictures.show(user, page)).toMatchObject({ at: 'here', raster: { width: 20, height: 30 } });
  }
  expect(asked).toEqual(['/api/batches/b/sheets/1/image?width=1600']);
});

test('questions keep to what the server takes: 16 sheets, 64 fields, one batch', () => {
  const many = Array.from({ length: 40 }, (_, i) => field(i, 'q1'));
  expect(questions(many).map((one) => one.length)).toEqual([16, 16, 8]);
  const full = Array.from({ length: 70 }, (_, i) => field(1, `q${i + 1}`));
  expect(questions(full).map((one) => one.length)).toEqual([64, 6]);
  expect(questions([field(1, 'q1'), field(2, 'q1', 'c')]).map(([one]) => one?.batch)).toEqual(['b', 'c']);
});
