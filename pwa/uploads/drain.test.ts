import 'fake-indexeddb/auto';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { Problem, ProblemCode } from '../../shared/protocol/problem.ts';
import { PROBLEMS } from '../../shared/protocol/problem.ts';
import { SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import { createApi } from '../api.ts';
import { closeChannel, openQueue, type QueueDb } from '../db.ts';
import { createSession } from '../session.ts';
import { tellCancelled } from './cancelled.ts';
import { type DrainDeps, type DrainEnd, drain } from './drain.ts';
import {
  chunksFor,
  enqueue,
  getUpload,
  type NewUpload,
  putBytes,
  putChunk,
  remove,
  setPaused,
  setStep,
  setWait,
} from './queue.ts';
import { stage } from './stage.ts';

const CHUNK = SMALLEST_CHUNK;

type Fault = (path: string, method: string) => Response | 'cut-before' | 'cut-after' | null;

const problem = (code: ProblemCode, more: Partial<Problem> = {}, headers: Record<string, string> = {}): Response => {
  const { status, title } = PROBLEMS[code];
  const body: Problem = { type: 'about:blank', title, status, code, detail: title, ...more };
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
};

/**
 * The other end of the wire, as small as it can be: who is signed in, which uploads are open, which chunks are verified.
 * `fault` is asked first about each request; `cut-after` does the work and loses the answer.
 */
class Office {
  user: string | null = 'u1';
  fault: Fault = () => null;
  asked: string[] = [];
  /** asked about the size of each part that comes */
  parts: (size: number) => Response | null = () => null;
  /** of each part that came */
  epochs: number[] = [];
  /** what the server says it is at */
  epoch = 1;
  landing = new Map<string, Buffer>();
  uploads = new Map<
    string,
    { client: string; size: number; chunk: number; held: Map<number, Buffer>; sealed: boolean }
  >();

  fetch: typeof fetch = async (input, init) => {
    const path = String(input);
    const method = init?.method ?? 'GET';
    this.asked.push(`${method} ${path}`);
    const fault = this.fault(path, method);
    if (fault === 'cut-before') throw new TypeError('cut');
    if (fault instanceof Response) return fault;
    const answer = await this.answer(path, init ?? {});
    if (fault === 'cut-after') throw new TypeError('cut');
    return answer;
  };

  private async answer(path: string, init: RequestInit): Promise<Response> {
    const token = new Headers(init.headers).get('authorization')?.replace('Bearer ', '') ?? '';
    if (path === '/api/auth/refresh')
      return this.user
        ? Response.json({ access_token: `access-${this.user}`, token_type: 'bearer', expires_in: 600 })
        : problem('UNAUTHORIZED');
    if (path === '/api/auth/me')
      return Response.json({
        user_id: token.replace('access-', ''),
        username: 'amal',
        role: 'operator',
        is_admin: false,
        centres: [],
        must_change_password: false,
      });
    if (path === '/api/batches/uploads') {
      if (!this.user || token !== `access-${this.user}`) return problem('UNAUTHORIZED');
      const body = JSON.parse(String(init.body));
      const id = `up-${body.client_upload_id}`;
      if (!this.uploads.has(id))
        this.uploads.set(id, {
          client: body.client_upload_id,
          size: body.size,
          chunk: body.chunk_size,
          held: new Map(),
          sealed: false,
        });
      return Response.json({ ...this.state(id), upload_token: `bytes-${id}` });
    }
    const form = init.body instanceof FormData ? init.body : null;
    const id = form ? String(form.get('upload_id')) : (path.split('/')[4] ?? '');
    const upload = this.uploads.get(id);
    if (!upload) return problem('UPLOAD_NOT_FOUND');
    if (token !== `bytes-${id}`) return problem('UNAUTHORIZED');
    if (path.endsWith('/seal')) {
      if (upload.held.size < Math.ceil(upload.size / upload.chunk)) return problem('UPLOAD_INCOMPLETE');
      upload.sealed = true;
      return Response.json({ upload_id: id, batch_id: `batch-${id}`, state: 'sealed' });
    }
    if (!form) return Response.json(this.state(id));
    const index = Number(form.get('chunk_index'));
    this.epochs.push(Number(form.get('epoch')));
    if (Number(form.get('epoch')) < this.epoch) return problem('STALE_EPOCH');
    const bytes = Buffer.from(await (form.get('chunk') as Blob).arrayBuffer());
    const refused = this.parts(bytes.length);
    if (refused) return refused;
    const offset = Number(form.get('offset'));
    const length = Math.min(upload.chunk, upload.size - index * upload.chunk);
    const landing = Buffer.concat([(this.landing.get(`${id} ${index}`) ?? Buffer.alloc(0)).subarray(0, offset), bytes]);
    if (landing.length < length) {
      this.landing.set(`${id} ${index}`, landing);
      return this.chunkAnswer(id, index, landing.length, false, false);
    }
    const digest = createHash('sha256').update(landing).digest('hex');
    if (digest !== form.get('sha256')) return problem('CHUNK_HASH_MISMATCH');
    const before = upload.held.get(index);
    if (before && !before.equals(landing)) return problem('CHUNK_CONFLICT');
    upload.held.set(index, landing);
    return this.chunkAnswer(id, index, landing.length, true, before !== undefined);
  }

  private chunkAnswer(
    id: string,
    chunk_index: number,
    landed: number,
    verified: boolean,
    duplicate: boolean,
  ): Response {
    const { upload_id, batch_id, total_chunks, held } = this.state(id);
    const chunks_verified = held.length;
    return Response.json({
      upload_id,
      batch_id,
      chunk_index,
      landed,
      verified,
      duplicate,
      chunks_verified,
      total_chunks,
    });
  }

  private state(id: string) {
    const upload = this.uploads.get(id)!;
    return {
      upload_id: id,
      batch_id: `batch-${id}`,
      state: upload.sealed ? 'sealed' : 'open',
      name: 'scans.zip',
      size: upload.size,
      chunk_size: upload.chunk,
      total_chunks: Math.ceil(upload.size / upload.chunk),
      epoch: this.epoch,
      held: [...upload.held.keys()].sort((a, b) => a - b).map((i) => [i, i]),
      partial: {},
      limits: { largest_file: 1e10, chunk_size: upload.chunk },
      reason: null,
    };
  }

  bytesOf(id: string): Buffer {
    const { held } = this.uploads.get(`up-${id}`)!;
    return Buffer.concat([...held.entries()].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }
  chunkRequests(): number {
    return this.asked.filter((line) => line.includes('upload-chunk')).length;
  }
}

let queue: QueueDb;
let office: Office;
let made = 0;
let clock = 1_700_000_000_000;

beforeEach(async () => {
  queue ??= await openQueue();
  for (const store of ['uploads', 'chunks', 'bytes', 'device'] as const) await queue.clear(store);
  office = new Office();
  clock += 1_000;
  const me = { user_id: 'u1', username: 'amal', role: 'operator' as const, is_admin: false, centres: [] };
  await queue.put('device', { key: 'identity', me: { ...me, must_change_password: false }, signed_in: true });
});
afterAll(() => {
  queue.close();
  closeChannel();
});

/** A new device session for each drain: nothing may hang on what a killed service worker had in memory. */
function run(seconds = 3600, wake = true, direct?: DrainDeps['direct']): Promise<DrainEnd> {
  const api = createApi({ fetch: office.fetch });
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => clock });
  return drain({
    queue,
    api,
    session,
    now: () => clock,
    random: () => 0,
    sleep: async (ms) => {
      clock += ms;
    },
    signal: new AbortController().signal,
    deadline: clock + seconds * 1000,
    wake,
    ...(direct ? { direct } : {}),
  });
}

async function queued(size: number, owner = 'u1', chunk_size = CHUNK): Promise<{ upload: NewUpload; file: Buffer }> {
  const file = randomBytes(size);
  const upload: NewUpload = {
    id: `00000000-0000-4000-8000-${String(made++).padStart(12, '0')}`,
    owner: { user_id: owner, username: 'amal' },
    upload_type: 'zip_with_qr',
    name: 'scans.zip',
    size,
    chunk_size,
    task_id: null,
    files: [{ name: 'scans.zip', size }],
    created_at: new Date(clock + made).toISOString(),
  };
  await enqueue(queue, upload);
  await stage(queue, upload.id, [new File([new Uint8Array(file)], 'scans.zip')]);
  return { upload, file };
}

const stored = (id: string): Promise<number> => queue.count('bytes', IDBKeyRange.bound([id, 0], [id, 99]));
const stepOf = async (id: string) => (await getUpload(queue, id))?.step;
const onChunk =
  (fault: () => ReturnType<Fault>): Fault =>
  (path) =>
    path.includes('upload-chunk') ? fault() : null;

test('a sender that gives way at once leaves what an upload waits for as it is', async () => {
  const { upload } = await queued(CHUNK);
  const wait = { why: 'sign-in' as const, detail: '', not_before: 0, again_at: clock + 900_000, patience_ms: 60_000 };
  await setWait(queue, upload.id, wait);
  const asked: unknown[] = [];
  expect(
    await run(3600, true, async () => {
      asked.push(await stepOf(upload.id));
      return 'stop';
    }),
  ).toBe('more');
  expect(asked).toEqual([{ at: 'waiting', ...wait }]);
  expect(await stepOf(upload.id)).toEqual({ at: 'waiting', ...wait });
});

test('[U6] a queued file arrives byte for byte, is sealed, and its bytes leave the device', async () => {
  const { upload, file } = await queued(3.5 * CHUNK);
  expect(await run()).toBe('empty');
  expect(office.bytesOf(upload.id).equals(file)).toBe(true);
  expect((await stepOf(upload.id))?.at).toBe('sent');
  expect(await stored(upload.id)).toBe(0);
  expect((await chunksFor(queue, upload.id)).every((chunk) => chunk.state === 'sent')).toBe(true);
});

test('an upload that is paused in the middle stops before its next part, the others go on, and it ends when it is resumed', async () => {
  const first = await queued(4 * CHUNK);
  const second = await queued(CHUNK);
  let parts = 0;
  const pausing: DrainDeps['direct'] = async (id) => {
    if (id === first.upload.id && ++parts === 3) await setPaused(queue, id, true);
    return 'go';
  };
  expect(await run(3600, true, pausing)).toBe('waiting');
  expect((await stepOf(first.upload.id))?.at).toBe('queued');
  expect((await stepOf(second.upload.id))?.at).toBe('sent');
  const left = await stored(first.upload.id);
  expect(left).toBeGreaterThan(0);
  office.asked = [];
  expect(await run()).toBe('empty');
  expect(office.asked).toEqual([]);
  expect(await stored(first.upload.id)).toBe(left);
  await setPaused(queue, first.upload.id, false);
  expect(await run()).toBe('empty');
  expect(office.bytesOf(first.upload.id).equals(first.file)).toBe(true);
});

test('the server hears of an upload that was removed half sent, once it can be reached and its owner is signed in', async () => {
  const { upload } = await queued(2 * CHUNK);
  office.fault = onChunk(() => 'cut-before');
  await run();
  await remove(queue, upload.id);
  const tell = (): Promise<void> => {
    const api = createApi({ fetch: office.fetch });
    return tellCancelled({
      queue,
      api,
      session: createSession({ queue, api, exclusively: (_, work) => work(), now: () => clock }),
    });
  };
  office.fault = () => 'cut-before';
  await tell();
  office.fault = (_, method) => (method === 'DELETE' ? new Response(null, { status: 204 }) : null);
  office.user = 'u2';
  await tell();
  expect(office.asked.filter((line) => line.startsWith('DELETE'))).toEqual([]);
  office.user = 'u1';
  await tell();
  await tell();
  expect(office.asked.filter((line) => line.startsWith('DELETE'))).toEqual([
    `DELETE /api/batches/uploads/up-${upload.id}`,
  ]);
});

test('[U2] a chunk whose answer is lost stays on the device until the server is asked again', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = onChunk(() => 'cut-after');
  expect(await run()).toBe('waiting');
  expect(await stored(upload.id)).toBe(1);
  expect(await stepOf(upload.id)).toMatchObject({ at: 'waiting', why: 'no-network' });
  office.fault = () => null;
  office.asked = [];
  expect(await run()).toBe('empty');
  expect(await stored(upload.id)).toBe(0);
  expect(office.chunkRequests()).toBe(0);
});

test('[U2] an answer that is not `verified` releases nothing', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = onChunk(() =>
    Response.json({
      upload_id: `up-${upload.id}`,
      batch_id: 'b',
      chunk_index: 0,
      landed: 0,
      verified: false,
      duplicate: false,
      chunks_verified: 0,
      total_chunks: 1,
    }),
  );
  expect(await run()).toBe('waiting');
  expect(await stored(upload.id)).toBe(1);
});

test('[U2] a captive portal that answers 200 with a page is no answer', async () => {
  const { upload } = await queued(2 * CHUNK);
  office.fault = onChunk(() => new Response('<h1>Welcome</h1>', { headers: { 'content-type': 'text/html' } }));
  expect(await run()).toBe('waiting');
  expect(await stored(upload.id)).toBe(2);
});

test('[U4] what is held already is not sent again', async () => {
  const { upload, file } = await queued(4 * CHUNK);
  let passed = 0;
  office.fault = onChunk(() => (++passed > 2 ? 'cut-before' : null));
  await run();
  expect(await stored(upload.id)).toBe(2);
  office.fault = () => null;
  office.asked = [];
  await run();
  expect(office.chunkRequests()).toBe(2);
  expect(office.bytesOf(upload.id).equals(file)).toBe(true);
});

test('three attempts at a part, then it waits for a reason', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = onChunk(() => problem('INTERNAL'));
  expect(await run()).toBe('waiting');
  expect(office.chunkRequests()).toBe(3);
  expect(await stepOf(upload.id)).toMatchObject({ at: 'waiting', why: 'busy' });
});

test('429 and 507 leave the server alone for as long as it asked', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = onChunk(() => problem('TOO_MANY_REQUESTS', {}, { 'retry-after': '120' }));
  expect(await run()).toBe('waiting');
  expect(office.chunkRequests()).toBe(1);
  clock += 60_000;
  await run();
  expect(office.chunkRequests()).toBe(1);
  clock += 61_000;
  office.fault = onChunk(() => problem('DISK_FULL', {}, { 'retry-after': '5' }));
  await run();
  expect(await stepOf(upload.id)).toMatchObject({ at: 'waiting', why: 'server-full' });
  clock += 6_000;
  office.fault = () => null;
  expect(await run()).toBe('empty');
});

test('[U3] a refusal for good parks the upload with all its bytes, and the next one goes on', async () => {
  const bad = await queued(2 * CHUNK);
  const good = await queued(CHUNK);
  office.fault = (path) => (path.includes(`up-${bad.upload.id}`) ? problem('FORBIDDEN') : null);
  expect(await run()).toBe('empty');
  expect(await stepOf(bad.upload.id)).toMatchObject({ at: 'parked', code: 'FORBIDDEN' });
  expect(await stored(bad.upload.id)).toBe(2);
  expect((await stepOf(good.upload.id))?.at).toBe('sent');
});

test('[U3] too large for the server: parked, not dropped', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = (path) => (path === '/api/batches/uploads' ? problem('UPLOAD_TOO_LARGE') : null);
  await run();
  expect(await stepOf(upload.id)).toMatchObject({ at: 'parked', code: 'UPLOAD_TOO_LARGE' });
  expect(await stored(upload.id)).toBe(1);
});

test('[U3] after sign-out the bytes of an opened upload still go; one that was not opened waits', async () => {
  const opened = await queued(2 * CHUNK);
  office.fault = onChunk(() => 'cut-before');
  await run();
  office.user = null;
  await queue.delete('device', 'identity');
  office.fault = () => null;
  const closed = await queued(CHUNK);
  expect(await run()).toBe('waiting');
  expect((await stepOf(opened.upload.id))?.at).toBe('sent');
  expect(await stepOf(closed.upload.id)).toMatchObject({ at: 'waiting', why: 'sign-in' });
  expect(await stored(closed.upload.id)).toBe(1);
});

test('[U3] an upload that somebody deleted on the server is parked with what is still here', async () => {
  const { upload } = await queued(2 * CHUNK);
  office.fault = onChunk(() => 'cut-before');
  await run();
  office.fault = (path) => (path.startsWith('/api/batches') ? problem('UPLOAD_GONE') : null);
  await run();
  expect(await stepOf(upload.id)).toMatchObject({ at: 'parked', code: 'UPLOAD_GONE' });
  expect(await stored(upload.id)).toBe(2);
});

test('a chunk that stands at another byte than we thought goes on from there', async () => {
  const { upload, file } = await queued(CHUNK);
  let answers = 0;
  office.fault = onChunk(() => (answers++ === 0 ? problem('CONFLICT', { landed: 0 }) : null));
  expect(await run()).toBe('empty');
  expect(office.bytesOf(upload.id).equals(file)).toBe(true);
});

test('a line or a proxy that takes no big parts gets smaller ones, and the next chunks begin with those', async () => {
  const big = 12 * 2 ** 20;
  const { upload } = await queued(2 * big, 'u1', big);
  const sizes: number[] = [];
  office.parts = (size) => {
    sizes.push(size / 2 ** 20);
    return size > 4 * 2 ** 20 ? new Response('too large', { status: 413 }) : null;
  };
  expect(await run()).toBe('empty');
  expect(sizes).toEqual([8, 4, 4, 4, 4, 4, 4]);
  expect((await stepOf(upload.id))?.at).toBe('sent');
});

test('an upload is opened under its owner only', async () => {
  const { upload } = await queued(CHUNK, 'u2');
  expect(await run()).toBe('waiting');
  expect(await stepOf(upload.id)).toMatchObject({ at: 'waiting', why: 'other-user' });
  expect(office.uploads.size).toBe(0);
});

test('a session that has ended makes it wait for a sign-in', async () => {
  const { upload } = await queued(CHUNK);
  office.user = null;
  expect(await run()).toBe('waiting');
  expect(await stepOf(upload.id)).toMatchObject({ at: 'waiting', why: 'sign-in' });
  expect((await queue.get('device', 'identity')) as object).toMatchObject({ signed_in: false });
});

test('a token that ended is replaced by opening again, which counts as no attempt', async () => {
  const { upload } = await queued(2 * CHUNK);
  let refusals = 0;
  office.fault = onChunk(() => (refusals++ === 0 ? problem('UNAUTHORIZED') : null));
  expect(await run()).toBe('empty');
  expect(office.asked.filter((line) => line === 'POST /api/batches/uploads')).toHaveLength(2);
  expect(office.uploads.size).toBe(1);
  expect((await stepOf(upload.id))?.at).toBe('sent');
});

test('[U3] a server that forgot everything gets everything again, as far as it is on the device', async () => {
  const whole = await queued(2 * CHUNK);
  office.fault = onChunk(() => 'cut-before');
  await run();
  office.uploads.clear();
  office.fault = () => null;
  expect(await run()).toBe('empty');
  expect(office.bytesOf(whole.upload.id).equals(whole.file)).toBe(true);

  const half = await queued(3 * CHUNK);
  let passed = 0;
  office.fault = onChunk(() => (++passed > 1 ? 'cut-before' : null));
  await run();
  office.uploads.clear();
  office.fault = () => null;
  await run();
  expect(await stepOf(half.upload.id)).toEqual({ at: 'incomplete', why: 'server-lost' });
  expect(await stored(half.upload.id)).toBe(2);
});

test('bytes that were damaged on the device are found out and asked for again', async () => {
  const { upload } = await queued(2 * CHUNK);
  await queue.put('bytes', new Blob([randomBytes(CHUNK)]), [upload.id, 1]);
  await run();
  expect(await stepOf(upload.id)).toEqual({ at: 'incomplete', why: 'damaged' });
  // Its digest stays: whatever is picked again has to be the same file.
  expect((await chunksFor(queue, upload.id)).map(({ state }) => state)).toEqual(['sent', 'lost']);
  expect(await stored(upload.id)).toBe(0);
});

test('time that runs out stops at the end of a part, and says that there is more', async () => {
  const { upload } = await queued(4 * CHUNK);
  office.fault = onChunk(() => {
    clock += 100_000;
    return null;
  });
  expect(await run(150)).toBe('more');
  expect(await stored(upload.id)).toBe(2);
  expect((await stepOf(upload.id))?.at).toBe('queued');
});

test('an upload that was removed while it was sent is not brought back', async () => {
  const { upload } = await queued(3 * CHUNK);
  let removed: Promise<void> | undefined;
  office.fault = (path) => {
    if (path.includes('upload-chunk')) removed ??= queue.delete('uploads', upload.id);
    return null;
  };
  await run();
  await removed;
  await remove(queue, upload.id);
  expect(await getUpload(queue, upload.id)).toBeUndefined();
  expect(await stored(upload.id)).toBe(0);
});

test('[U2] [U3] whatever fails in whatever order, each chunk is on the device or verified, and in the end all arrive', async () => {
  const faults = fc.constantFrom<ReturnType<Fault> | ProblemCode>(
    null,
    null,
    'cut-before',
    'cut-after',
    'INTERNAL',
    'CHUNK_BUSY',
    'TOO_MANY_REQUESTS',
    'UNAUTHORIZED',
    'STALE_EPOCH',
    'CHUNK_HASH_MISMATCH',
    'DISK_FULL',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(faults, { maxLength: 30 }), async (script) => {
      office = new Office();
      for (const store of ['uploads', 'chunks', 'bytes'] as const) await queue.clear(store);
      const identity = await queue.get('device', 'identity');
      if (identity?.key === 'identity') await queue.put('device', { ...identity, signed_in: true });
      const { upload, file } = await queued(3 * CHUNK);
      const left = [...script];
      office.fault = (path) => {
        if (path.startsWith('/api/auth')) return null;
        const next = left.shift() ?? null;
        return typeof next === 'string' && next in PROBLEMS
          ? problem(next as ProblemCode)
          : (next as ReturnType<Fault>);
      };
      for (let turn = 0; turn < 60 && (await stepOf(upload.id))?.at !== 'sent'; turn++) {
        clock += 120_000;
        await run();
        const held = office.uploads.get(`up-${upload.id}`)?.held ?? new Map();
        const kept = new Set((await queue.getAllKeys('bytes')).map(([, index]) => index));
        for (const index of [0, 1, 2]) expect(held.has(index) || kept.has(index)).toBe(true);
      }
      expect((await stepOf(upload.id))?.at).toBe('sent');
      expect(office.bytesOf(upload.id).equals(file)).toBe(true);
    }),
    { numRuns: 60 },
  );
}, 180_000);

/** Every answer that is no word of success: what is tried, and what is said of the upload while it lasts. */
const ANSWERS: [string, () => Response | 'cut-before', number, object][] = [
  ['no network', () => 'cut-before', 3, { at: 'waiting', why: 'no-network' }],
  ['a gateway without a server', () => new Response('', { status: 502 }), 3, { at: 'waiting', why: 'no-network' }],
  ['408', () => new Response('', { status: 408 }), 3, { at: 'waiting', why: 'busy' }],
  ['500', () => problem('INTERNAL'), 3, { at: 'waiting', why: 'busy' }],
  ['423', () => problem('CHUNK_BUSY', {}, { 'retry-after': '5' }), 3, { at: 'waiting', why: 'busy' }],
  ['423 for a while', () => problem('CHUNK_BUSY', {}, { 'retry-after': '90' }), 1, { at: 'waiting', why: 'busy' }],
  ['429', () => problem('TOO_MANY_REQUESTS', {}, { 'retry-after': '7' }), 1, { at: 'waiting', why: 'busy' }],
  ['503', () => problem('UNAVAILABLE'), 1, { at: 'waiting', why: 'busy' }],
  ['507, the disk', () => problem('DISK_FULL'), 1, { at: 'waiting', why: 'server-full' }],
  ['507, the quota', () => problem('QUOTA_EXCEEDED'), 1, { at: 'waiting', why: 'server-full' }],
  ['401, however often it is opened again', () => problem('UNAUTHORIZED'), 3, { at: 'waiting', why: 'busy' }],
  [
    '413 of a proxy, down to the smallest part',
    () => new Response('', { status: 413 }),
    8,
    { at: 'waiting', why: 'busy' },
  ],
  ['413 of Sheaf', () => problem('UPLOAD_TOO_LARGE'), 1, { at: 'parked', code: 'UPLOAD_TOO_LARGE' }],
  ['403', () => problem('FORBIDDEN'), 1, { at: 'parked', code: 'FORBIDDEN' }],
  ['other bytes under its index', () => problem('CHUNK_CONFLICT'), 1, { at: 'parked', code: 'CHUNK_CONFLICT' }],
  ['a hash that never fits', () => problem('CHUNK_HASH_MISMATCH'), 3, { at: 'waiting', why: 'busy' }],
  ['another sender', () => problem('STALE_EPOCH'), 1, { at: 'waiting', why: 'busy' }],
];

test.each(ANSWERS)(
  '[U2] [U3] %s: nothing leaves the device, and when it ends all arrives',
  async (_, answer, asked, step) => {
    const { upload, file } = await queued(1.5 * CHUNK);
    office.fault = onChunk(answer);
    await run();
    expect(office.chunkRequests()).toBe(asked);
    expect(await stepOf(upload.id)).toMatchObject(step);
    expect(await stored(upload.id)).toBe(2);
    office.fault = () => null;
    // A person tries again what was parked; the rest comes round by itself.
    if ((await stepOf(upload.id))?.at === 'parked') await setStep(queue, upload.id, { at: 'queued' });
    clock += 15 * 60_000;
    expect(await run(3600, false)).toBe('empty');
    expect(office.bytesOf(upload.id).equals(file)).toBe(true);
    expect(await stored(upload.id)).toBe(0);
  },
);

test('what was given up waits a minute and longer by itself, and not at all when there is a reason', async () => {
  const { upload } = await queued(CHUNK);
  office.fault = onChunk(() => 'cut-before');
  const patience = async () => {
    const step = await stepOf(upload.id);
    return step?.at === 'waiting' ? step.again_at - clock : 0;
  };
  await run();
  expect(await patience()).toBe(60_000);
  clock += 59_000;
  office.asked = [];
  expect(await run(3600, false)).toBe('waiting');
  expect(office.asked).toEqual([]);
  office.fault = () => null;
  expect(await run(3600, true)).toBe('empty');
});

test('a sender that begins is of a higher epoch than the one before, with room for a hand-over in between', async () => {
  await queued(2 * CHUNK);
  office.epoch = 6;
  let passed = 0;
  office.fault = onChunk(() => (++passed > 1 ? 'cut-before' : null));
  await run();
  office.fault = () => null;
  await run();
  expect(office.epochs).toEqual([8, 10]);
});

test('[U3] of what passes through the device the chunks that are here are sent, and the rest is no loss', async () => {
  const { upload, file } = await queued(4 * CHUNK);
  const kept = await queue.getAll('chunks', IDBKeyRange.bound([upload.id, 1], [upload.id, 2]));
  for (const { index } of kept) {
    await queue.delete('chunks', [upload.id, index]);
    await queue.delete('bytes', [upload.id, index]);
  }
  await setStep(queue, upload.id, { at: 'passing', wait: null });
  expect(await run()).toBe('waiting');
  expect(await stepOf(upload.id)).toEqual({ at: 'passing', wait: null });
  expect(office.chunkRequests()).toBe(2);
  expect(await stored(upload.id)).toBe(0);
  // Nothing is here at the moment: nobody is asked.
  office.asked = [];
  expect(await run()).toBe('waiting');
  expect(office.asked).toEqual([]);

  office.fault = onChunk(() => problem('DISK_FULL'));
  for (const { index, sha256, size } of kept) {
    const bytes = new Uint8Array(file.subarray(index * CHUNK, (index + 1) * CHUNK));
    await putBytes(queue, upload.id, index, new Blob([bytes]), 'blob');
    await putChunk(queue, { upload: upload.id, index, sha256, size });
  }
  await run();
  expect(await stepOf(upload.id)).toMatchObject({ at: 'passing', wait: { why: 'server-full' } });
  office.fault = () => null;
  clock += 120_000;
  expect(await run()).toBe('empty');
  expect((await stepOf(upload.id))?.at).toBe('sent');
  expect(office.bytesOf(upload.id).equals(file)).toBe(true);
});

test('on a line that rewards it several chunks are under way, and each arrives once', async () => {
  const { upload, file } = await queued(24 * CHUNK);
  let flying = 0;
  let most = 0;
  const { fetch } = office;
  office.fetch = async (input, init) => {
    if (!String(input).includes('upload-chunk')) return fetch(input, init);
    flying += 1;
    most = Math.max(most, flying);
    await new Promise((resolve) => setTimeout(resolve, 2));
    clock += 2_000 / flying;
    flying -= 1;
    return fetch(input, init);
  };
  expect(await run()).toBe('empty');
  expect(most).toBe(3);
  expect(office.chunkRequests()).toBe(24);
  expect(office.bytesOf(upload.id).equals(file)).toBe(true);
});

test('a sender gives way between parts, to a page or to the browser, and keeps what it did', async () => {
  const first = await queued(3 * CHUNK);
  const second = await queued(CHUNK);
  let parts = 0;
  const give = (way: 'next' | 'stop') => async (id: string) =>
    id === first.upload.id && office.chunkRequests() > 0 && ++parts > 0 ? way : ('go' as const);
  expect(await run(3600, true, give('next'))).toBe('waiting');
  expect((await stepOf(first.upload.id))?.at).toBe('queued');
  expect(await stored(first.upload.id)).toBe(2);
  expect((await stepOf(second.upload.id))?.at).toBe('sent');
  office.asked = [];
  expect(await run(3600, true, give('stop'))).toBe('more');
  expect(office.chunkRequests()).toBe(1);
  expect(await run()).toBe('empty');
});
