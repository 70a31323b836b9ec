import 'fake-indexeddb/auto';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { type OpenUploadAnswer, SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import { createApi } from '../api.ts';
import { closeChannel, openQueue, type QueueDb } from '../db.ts';
import { createSession } from '../session.ts';
import type { AskDeps } from './drain.ts';
import { handedOver, handOver, prepare, renew, STALLED_MS, takeBackUnbegun, watchHandOvers } from './handover.ts';
import { chunksFor, enqueue, getUpload, release, setLanded, setServer, setStep, setWait } from './queue.ts';
import { stage } from './stage.ts';

const CHUNK = SMALLEST_CHUNK;
const server = { upload_id: 'up-1', batch_id: 'b-1', upload_token: 'token-1', epoch: 8 };
let queue: QueueDb;
let asked: string[] = [];

const me = {
  user_id: 'u1',
  username: 'amal',
  role: 'operator' as const,
  is_admin: false,
  centres: [],
  must_change_password: false,
};

beforeEach(async () => {
  queue ??= await openQueue();
  for (const store of ['uploads', 'chunks', 'bytes', 'device'] as const) await queue.clear(store);
  await queue.put('device', { key: 'identity', me, signed_in: true });
  asked = [];
});
afterAll(() => {
  queue.close();
  closeChannel();
});

async function queued(id: string, size: number): Promise<void> {
  await enqueue(queue, {
    id,
    owner: { user_id: 'u1', username: 'amal' },
    upload_type: 'zip_with_qr',
    name: `${id}.zip`,
    size,
    chunk_size: CHUNK,
    task_id: null,
    files: [{ name: 'scans.zip', size }],
    created_at: `2026-01-01T10:00:0${id.length}Z`,
  });
  await stage(queue, id, [new File([new Uint8Array(randomBytes(size))], 'scans.zip')]);
}

function deps(): AskDeps {
  const api = createApi({
    fetch: async (input, init) => {
      const path = String(input);
      asked.push(path);
      if (path === '/api/auth/refresh')
        return Response.json({ access_token: 'a', token_type: 'bearer', expires_in: 600 });
      if (path === '/api/auth/me') return Response.json(me);
      const { size, chunk_size, name } = JSON.parse(String(init?.body));
      const answer: OpenUploadAnswer = {
        ...server,
        upload_id: `up-${name}`,
        state: 'open',
        name,
        size,
        chunk_size,
        total_chunks: Math.ceil(size / chunk_size),
        held: [],
        partial: {},
        limits: { largest_file: 1e10, chunk_size },
        reason: null,
      };
      return Response.json(answer);
    },
  });
  return {
    queue,
    api,
    session: createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 }),
    now: () => 1_000,
    random: () => 0,
    sleep: async () => undefined,
    signal: new AbortController().signal,
  };
}

/** The part of a service worker's registration that takes hand-overs. */
function browser() {
  const taken = new Map<string, Request[]>();
  const uploaded = new Map<string, number>();
  const backgroundFetch = {
    fetch: async (id: string, requests: Request[]) => {
      taken.set(id, requests);
      return { id };
    },
    getIds: async () => [...taken.keys()],
    get: async (id: string) => ({ uploaded: uploaded.get(id) ?? 0, abort: async () => taken.delete(id) }),
  };
  return { taken, uploaded, registration: { backgroundFetch } as unknown as ServiceWorkerRegistration };
}

test('what is left of every upload is handed over, opened first where it was not', async () => {
  await queued('a', 3 * CHUNK);
  await setServer(queue, 'a', server);
  await release(queue, 'a', [2]);
  await setLanded(queue, 'a', 0, 100);
  await queued('bb', CHUNK);
  const loads = await prepare(deps(), async () => true);
  expect(loads.map(({ upload, parts }) => [upload.id, parts.map(({ index, offset }) => [index, offset])])).toEqual([
    [
      'a',
      [
        [0, 100],
        [1, 0],
      ],
    ],
    ['bb', [[0, 0]]],
  ]);
  expect((await getUpload(queue, 'bb'))?.server?.upload_id).toBe('up-bb.zip');

  // Requests are made of an address, which Node has none of.
  const { taken, registration } = browser();
  const { Request: NodeRequest } = globalThis;
  globalThis.Request = class extends NodeRequest {
    constructor(path: string, init: RequestInit) {
      super(new URL(path, 'http://tablet.example'), init);
    }
  } as typeof Request;
  try {
    expect(await handOver(registration, loads)).toBe(2);
  } finally {
    globalThis.Request = NodeRequest;
  }
  expect([...taken.keys()]).toEqual(['a 9', 'bb 9']);
  const [first] = taken.get('a 9') ?? [];
  const form = await first!.formData();
  const chunk = (await chunksFor(queue, 'a'))[0];
  expect(Object.fromEntries([...form].filter(([name]) => name !== 'chunk'))).toEqual({
    upload_id: 'up-1',
    chunk_index: '0',
    total_chunks: '3',
    offset: '100',
    sha256: chunk?.sha256,
    epoch: '9',
  });
  expect((form.get('chunk') as Blob).size).toBe(CHUNK - 100);
  expect(first?.headers.get('authorization')).toBe('Bearer token-1');
  expect([...(await handedOver(registration))]).toEqual(['a', 'bb']);
});

test('[U3] no more is handed over than the device can keep twice', async () => {
  await queued('a', 3 * CHUNK);
  await queued('bb', CHUNK);
  const loads = await prepare(deps(), async (bytes) => bytes <= 2 * CHUNK);
  expect(loads.map(({ upload, parts }) => [upload.id, parts.length])).toEqual([['a', 2]]);
});

test('a server that asked to be left alone is left alone by the browser too', async () => {
  await queued('a', CHUNK);
  await setWait(queue, 'a', {
    why: 'server-full',
    detail: '',
    not_before: 5_000,
    again_at: 5_000,
    patience_ms: 60_000,
  });
  expect(await prepare(deps(), async () => true)).toEqual([]);
  expect(asked).toEqual([]);
});

test('[U2] what the browser moves is left to it, and what it lets lie is not, as long as the line carries', async () => {
  await queued('a', CHUNK);
  await queued('bb', CHUNK);
  await setServer(queue, 'a', server);
  await setServer(queue, 'bb', server);
  const { taken, uploaded, registration } = browser();
  taken.set('a 9', []);
  taken.set('bb 9', []);
  let now = 1_000_000;
  const watch = watchHandOvers(
    registration,
    async () => queue,
    () => now,
  );
  const link = (state: 'online' | 'offline', since: number) =>
    queue.put('device', { key: 'link', state, since, last_ok: since });
  await link('online', 0);
  expect([...(await watch())]).toEqual(['a', 'bb']);
  now += STALLED_MS - 1;
  uploaded.set('a 9', 1);
  expect([...(await watch())]).toEqual(['a', 'bb']);
  now += 1;
  expect([...(await watch())]).toEqual(['a']);
  // A line that was gone is no sign that the browser rests.
  await link('offline', now);
  now += STALLED_MS;
  expect([...(await watch())]).toEqual(['a', 'bb']);
  await link('online', now);
  now += STALLED_MS - 1;
  expect([...(await watch())]).toEqual(['a', 'bb']);
  now += 1;
  expect([...(await watch())]).toEqual([]);
});

test('what somebody has sent since under a higher number is in nobody else’s hands', async () => {
  await queued('a', CHUNK);
  await setServer(queue, 'a', server);
  const { taken, registration } = browser();
  taken.set('a 9', []);
  const watch = watchHandOvers(registration, async () => queue, Date.now);
  expect([...(await watch())]).toEqual(['a']);
  await setServer(queue, 'a', { ...server, epoch: 10 });
  expect([...(await watch())]).toEqual([]);
});

test('what was prepared before a sender began is handed over under the number after it', async () => {
  await queued('a', CHUNK);
  await setServer(queue, 'a', server);
  const loads = await prepare(deps(), async () => true);
  await setServer(queue, 'a', { ...server, epoch: 10 });
  expect((await renew(queue, loads)).map((load) => load.server.epoch)).toEqual([10]);
});

test('what was sent without the browser is taken back from it, but never while it moves', async () => {
  for (const id of ['a', 'bb', 'ccc']) await queued(id, CHUNK);
  const { taken, uploaded, registration } = browser();
  for (const id of ['a 9', 'bb 9', 'ccc 9']) taken.set(id, []);
  await setStep(queue, 'a', { at: 'sent', sealed_at: '2026-01-01T10:00:00Z' });
  await setStep(queue, 'bb', { at: 'sent', sealed_at: '2026-01-01T10:00:00Z' });
  uploaded.set('bb 9', 1);
  await takeBackUnbegun(registration, queue);
  expect([...taken.keys()]).toEqual(['bb 9', 'ccc 9']);
});

test('a browser without Background Fetch takes nothing, and says so', async () => {
  const registration = {} as ServiceWorkerRegistration;
  await queued('a', CHUNK);
  expect(await handOver(registration, await prepare(deps(), async () => true))).toBe(0);
  expect((await handedOver(registration)).size).toBe(0);
  expect((await watchHandOvers(registration, async () => queue, Date.now)()).size).toBe(0);
  await takeBackUnbegun(registration, queue);
});
