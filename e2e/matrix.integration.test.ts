// The authorisation matrix, tried out: every route that is registered × every role × whose the thing is, against a
// running API. What each cell must come to is said by the access table and the scopes (server/auth/access.ts).
import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { decodeGray, encodeJpeg, showable } from '../server/adapters/decode.ts';
import { briefConnection } from '../server/adapters/redis.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import {
  ACCESS,
  accessRow,
  type ObjectKind,
  OWNERSHIPS,
  type Ownership,
  objectOf,
  type RouteKey,
  verdict,
} from '../server/auth/access.ts';
import { hashPassword } from '../server/auth/passwords.ts';
import { createSessions, sha256, signingSecret } from '../server/auth/sessions.ts';
import { type Client, signIn } from '../server/cli/client.ts';
import { createApp } from '../server/http/app.ts';
import { createAnnounce } from '../server/progress/announce.ts';
import { createFeeds } from '../server/progress/feeds.ts';
import { createRoster } from '../server/progress/roster.ts';
import { openBlobs } from '../server/uploads/blobs.ts';
import { createLeases } from '../server/uploads/leases.ts';
import { uploadToken } from '../server/uploads/open.ts';
import { ROLES, type Role } from '../shared/protocol/auth.ts';
import { Problem } from '../shared/protocol/problem.ts';
import { freePort } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const ROUTES = Object.keys(ACCESS) as RouteKey[];
const PASSWORD = 'pencils before breakfast';
const NORTH = 'North centre';
const SOUTH = 'South centre';
/** the smallest thing that a browser takes for a JPEG */
const BYTES = Buffer.from([0xff, 0xd8, 0xff, 0xd9]);

interface Person {
  user_id: string;
  centre: string | null;
}

let sheaf: Sheaf;
let db: Database;
let secret: Uint8Array;
let passwordHash: string;
/** one of each role, in the North */
const askers = new Map<Role, Person & { client: Client }>();
let colleague: Person;
let stranger: Person;
/** of no centre */
let loner: Person;
let batchNumber = 1_000_000;

async function addPerson(role: Role, centre: string | null, password_due = false): Promise<Person & { name: string }> {
  const user_id = randomUUID();
  const name = `${role}-${user_id.slice(0, 8)}`;
  await db.write(async (tx) => {
    await db.insertNew(tx, 'users', [
      {
        user_id,
        username: name,
        password_hash: passwordHash,
        role,
        must_change_password: password_due ? 1 : 0,
        disabled: 0,
        created_at: Date.now(),
      },
    ]);
    if (centre !== null) await db.insertNew(tx, 'user_centres', [{ user_id, centre_id: centre }]);
  });
  return { user_id, centre, name };
}

beforeAll(async () => {
  sheaf = await startSheaf({ args: ['api'], env: { REDIS_URL: `${process.env.TEST_REDIS_URL}/11` } });
  db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  secret = await signingSecret(db);
  passwordHash = await hashPassword(PASSWORD);
  await db.write((tx) =>
    db.insertNew(tx, 'centres', [
      { centre_id: NORTH, name: NORTH },
      { centre_id: SOUTH, name: SOUTH },
    ]),
  );
  for (const role of ROLES) {
    const person = await addPerson(role, NORTH);
    askers.set(role, { ...person, client: await signIn(sheaf.url, person.name, PASSWORD) });
  }
  colleague = await addPerson('operator', NORTH);
  stranger = await addPerson('operator', SOUTH);
  loner = await addPerson('operator', null);
});
afterAll(async () => {
  await db?.close();
  await sheaf?.stop();
});

/** Whose a thing of this ownership is, seen from `asker`. */
function ownerOf(ownership: Ownership, asker: Person): Person {
  switch (ownership) {
    case 'own':
      return asker;
    case 'centre':
      return colleague;
    case 'other':
      return stranger;
    case 'nobody':
      return loner;
  }
}

/** Path parameters by name. */
type Named = Record<string, string>;

async function addBatch(owner: Person, centre: string | null, state: 'open' | 'sealed'): Promise<Named> {
  const [batch_id, upload_id, now] = [randomUUID(), randomUUID(), Date.now()];
  batchNumber += 1;
  const sheet_id = batchNumber * 1_000_000;
  fs.writeFileSync(path.join(sheaf.dataDir, 'blobs', upload_id), BYTES);
  await db.write(async (tx) => {
    await db.insertNew(tx, 'batches', [
      {
        batch_id,
        batch_no: batchNumber,
        name: 'matrix.jpg',
        upload_type: 'images',
        task_id: '00000001',
        status: state === 'open' ? 'uploading' : 'completed',
        resume_status: null,
        stage: state === 'open' ? 'uploading' : 'completed',
        message: '',
        progress_percentage: 100,
        error_details: null,
        size: BYTES.length,
        uploaded_by: owner.user_id,
        centre_id: centre,
        created_at: now,
        first_byte_at: now,
        uploaded_at: state === 'open' ? null : now,
        processing_started_at: null,
        processing_completed_at: state === 'open' ? null : now,
        deleted_at: null,
        directory_known: 1,
        total_pages: 1,
        covers: 0,
        blank_pages: 0,
        done_pages: 1,
        failed_sheets: 0,
        doubtful_sheets: 0,
        total_answers: 0,
        event_seq: 0,
        rev: 0,
      },
    ]);
    await db.insertNew(tx, 'uploads', [
      {
        upload_id,
        batch_id,
        client_upload_id: randomUUID(),
        owner: owner.user_id,
        token_hash: sha256(uploadToken(secret, upload_id)),
        name: 'matrix.jpg',
        upload_type: 'images',
        size: BYTES.length,
        chunk_size: 50 * 2 ** 20,
        files: JSON.stringify([{ name: 'matrix.jpg', size: BYTES.length }]),
        grouping: null,
        state,
        sealing_at: null,
        reason: null,
        epoch: 1,
        created_at: now,
        last_byte_at: now,
      },
    ]);
    await db.insertNew(tx, 'sheet_groups', [
      {
        batch_id,
        group_index: 0,
        task_id: null,
        cover_page: null,
        first_page: 0,
        sheets: 1,
        failed_sheets: 0,
        state: 'suspect-key',
        suspicion: null,
        confirmed_key: null,
      },
    ]);
    await db.insertNew(tx, 'pages', [
      {
        sheet_id,
        batch_id,
        page_index: 0,
        name: 'matrix.jpg',
        file_offset: 0,
        file_end: BYTES.length,
        compressed_size: BYTES.length,
        size: BYTES.length,
        method: -1,
        crc32: null,
        part: null,
        state: 'done',
        kind: 'sheet',
        attempts: 1,
        started_at: now,
        finished_at: now,
        duration_ms: 1,
        error_message: null,
        group_index: null,
        task_id: null,
      },
    ]);
  });
  return { batch_id, upload_id, sheet_id: String(sheet_id), group_id: `${batchNumber}-0` };
}

let taskNumber = 20_000_000;

async function addTask(centre: string, key_id: string | null): Promise<string> {
  taskNumber += 1;
  const task_id = String(taskNumber);
  const [template] = await db.sql.selectFrom('templates').select(['template_id', 'version']).limit(1).execute();
  await db.write(async (tx) => {
    await db.insertNew(tx, 'exams', [{ exam_id: 'Matrix exam', name: 'Matrix exam' }]);
    await db.insertNew(tx, 'tasks', [
      {
        task_id,
        exam_id: 'Matrix exam',
        centre_id: centre,
        packet: null,
        template_id: template?.template_id ?? '',
        template_version: template?.version ?? 1,
        key_id,
        expected_count: null,
        rev: 1,
        created_at: Date.now(),
      },
    ]);
  });
  return task_id;
}

async function addKey(author: Person, centre: string | null): Promise<string> {
  const key_id = `key-${randomUUID().slice(0, 8)}`;
  const content = { answers: { '': ['A', 'B'] }, marks: { correct: 1, wrong: 0, blank: 0 } };
  await db.write((tx) =>
    db.insertNew(tx, 'answer_keys', [
      {
        key_id,
        version: 1,
        state: 'published',
        content: JSON.stringify(content),
        rev: 1,
        created_by: author.user_id,
        edited_by: author.user_id,
        published_by: author.user_id,
        created_at: Date.now(),
        edited_at: Date.now(),
        published_at: Date.now(),
      },
    ]),
  );
  if (centre !== null) await addTask(centre, key_id);
  return key_id;
}

async function addSession(user_id: string): Promise<{ session_id: string; refresh_token: string }> {
  const [session_id, refresh_token, now] = [randomUUID(), randomBytes(32).toString('base64url'), Date.now()];
  await db.write(async (tx) => {
    await db.insertNew(tx, 'sessions', [
      { session_id, user_id, device: 'matrix', address: null, created_at: now, last_used_at: now, revoked_at: null },
    ]);
    await db.insertNew(tx, 'refresh_tokens', [
      { token_hash: sha256(refresh_token), session_id, created_at: now, used_at: null },
    ]);
  });
  return { session_id, refresh_token };
}

/** What a thing of a kind can be to somebody: a task is its centre's, so it is nobody's own. */
const POSSIBLE: Record<ObjectKind, readonly Ownership[]> = {
  batch: OWNERSHIPS,
  upload: OWNERSHIPS,
  adoption: OWNERSHIPS,
  task: ['centre', 'other'],
  key: OWNERSHIPS,
  user: OWNERSHIPS,
};

async function make(kind: ObjectKind, ownership: Ownership, asker: Person): Promise<Named> {
  const owner = ownerOf(ownership, asker);
  // One's own counts by being one's own: it is in no centre.
  const centre = ownership === 'own' ? null : owner.centre;
  switch (kind) {
    case 'batch':
      return addBatch(owner, centre, 'sealed');
    case 'upload':
    case 'adoption':
      return addBatch(owner, centre, 'open');
    case 'task':
      return { task_id: await addTask(owner.centre ?? NORTH, null) };
    case 'key':
      return { key_id: await addKey(owner, centre), version: '1' };
    case 'user':
      return { user_id: owner.user_id, session_id: (await addSession(owner.user_id)).session_id };
  }
}

const made = new Map<string, Named>();

/** What is only looked at is made once; what is changed, anew each time. */
async function thing(key: RouteKey, kind: ObjectKind, ownership: Ownership, asker: Person): Promise<Named> {
  if (!key.startsWith('GET ')) return make(kind, ownership, asker);
  // Others' things are the same for everybody who asks.
  const name = `${kind} ${ownership} ${ownership === 'own' ? asker.user_id : ''}`;
  const named = made.get(name) ?? (await make(kind, ownership, asker));
  made.set(name, named);
  return named;
}

/** The same names, of things that are not there. */
const missing = (named: Named): Named =>
  Object.fromEntries(
    Object.entries(named).map(([name, id]) => [
      name,
      name === 'version' ? id : /^\d+$/.test(id) ? '99999999' : id.replace(/^.{4}/, '0000'),
    ]),
  );

function chunkForm({ upload_id = '' }: Named): FormData {
  const form = new FormData();
  const sha = '0'.repeat(64);
  const fields = { upload_id, chunk_index: '0', total_chunks: '1', offset: '0', sha256: sha, epoch: '1' };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('chunk', new Blob([BYTES]), 'chunk');
  return form;
}

/** Bodies that get as far as the question of whose it is; everywhere else `{}` does. */
const BODIES: Partial<Record<RouteKey, (named: Named) => object | Promise<object>>> = {
  'POST /api/auth/refresh': async () => ({ refresh_token: (await addSession(loner.user_id)).refresh_token }),
  'POST /api/batches/upload-chunk': chunkForm,
  'PATCH /api/answer-keys/:key_id': () => ({
    content: { answers: { '': ['A', 'B'] }, marks: { correct: 1, wrong: 0, blank: 0 } },
    base_rev: 1,
  }),
  'PATCH /api/tasks/:task_id': () => ({ base_rev: 1, expected_count: 3 }),
  'POST /api/batches/:batch_id/groups/:group_id/settle': () => ({ what: 'set-aside' }),
  'POST /api/batches/:batch_id/groups/:group_id/confirm-key': () => ({ reason: 'looked at' }),
  'POST /api/users/:user_id/password': () => ({ password: PASSWORD, must_change_password: false }),
};

interface Outcome {
  /** 'allowed': the answer is about the request, not about who asks */
  verdict: 'allowed' | 401 | 403 | 404;
  status: number;
  code: string | null;
  detail: string;
}

async function ask(key: RouteKey, named: Named, headers: Record<string, string>): Promise<Outcome> {
  const [method = '', pattern = ''] = key.split(' ');
  const address = pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(named[name] ?? 'none'));
  const body = method === 'GET' ? undefined : ((await BODIES[key]?.(named)) ?? {});
  const form = body instanceof FormData;
  const response = await fetch(`${sheaf.url}${address}`, {
    method,
    headers: { ...headers, ...(body && !form ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: form ? body : JSON.stringify(body) } : {}),
  });
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') ?? false;
  if (!isProblem) await response.body?.cancel(); // a stream has no end
  const problem = isProblem ? v.parse(Problem, await response.json()) : null;
  const { status } = response;
  return {
    verdict: status === 401 || status === 403 || status === 404 ? status : 'allowed',
    status,
    code: problem?.code ?? null,
    detail: problem?.detail ?? '',
  };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const isPublic = (key: RouteKey): boolean => accessRow(key).who === 'public';
const guarded = ROUTES.filter((key) => !isPublic(key));

test('every route that is registered has a row, and every row a route', async () => {
  const redis = briefConnection({ url: `redis://127.0.0.1:${await freePort()}` });
  redis.on('error', () => undefined);
  const report = (error: unknown): void => void console.error(error);
  const { app, routes } = createApp({
    db,
    blobs: await openBlobs(path.join(sheaf.dataDir, 'blobs')),
    images: { decodeGray, encodeJpeg, showable },
    announce: createAnnounce(redis),
    wake: () => undefined,
    secret,
    forget: () => undefined,
    touch: () => undefined,
    leases: createLeases(db, 'matrix'),
    quota: { user: null, centre: null },
    report,
    feeds: createFeeds(db, report),
    roster: createRoster(db, report),
    closing: new AbortController().signal,
    sessions: createSessions(db, secret),
    webDir: sheaf.dataDir,
    trustedProxies: ['loopback'],
    check: async () => undefined,
  });
  redis.disconnect();
  // What express itself knows of, so that a route that was made by hand is found too; the pages' own is a pattern.
  const layers = v.parse(
    v.array(
      v.object({ route: v.optional(v.object({ path: v.unknown(), methods: v.record(v.string(), v.unknown()) })) }),
    ),
    app.router.stack,
  );
  const found = layers.flatMap(({ route }) =>
    route && typeof route.path === 'string'
      ? Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${String(route.path)}`)
      : [],
  );
  expect(found.sort()).toEqual([...ROUTES].sort());
  expect([...routes.registered].sort()).toEqual([...ROUTES].sort());
});

describe('every role, on what is theirs, of their centre, of another, of none, and not there', () => {
  test.each(ROUTES)('%s', async (key) => {
    const object = objectOf(key);
    const found: Record<string, string | number> = {};
    const expected: Record<string, string | number> = {};
    for (const role of ROLES) {
      const asker = askers.get(role)!;
      const whose: (Ownership | null)[] = object ? [...POSSIBLE[object.kind], null] : [null];
      let outside: { outcome: Outcome; named: Named } | null = null;
      for (const ownership of whose) {
        const cell = object ? `${role}: ${ownership ?? 'not there'}` : role;
        const there = object ? await thing(key, object.kind, ownership ?? 'other', asker) : {};
        const named = object && ownership === null ? missing(there) : there;
        const outcome = await ask(key, named, isPublic(key) ? {} : bearer(asker.client.token));
        found[cell] = outcome.status >= 500 ? `${outcome.status} ${outcome.detail}` : outcome.verdict;
        expected[cell] = verdict(key, role, ownership);
        if (outcome.verdict !== 404) continue;
        if (ownership !== null) outside = { outcome, named };
        // What is not theirs and what is not there must sound the same.
        else if (outside) {
          const said = (of: { outcome: Outcome; named: Named }): string =>
            Object.values(of.named).reduce((text, id) => text.replaceAll(id, 'ID'), of.outcome.detail);
          expect(said({ outcome, named }), cell).toBe(said(outside));
          expect(outcome.code).toBe(outside.outcome.code);
        }
      }
    }
    expect(found).toEqual(expected);
  });
});

describe('without a token, or with one that proves nothing', () => {
  test.each(guarded)('%s is 401', async (key) => {
    const ended = await sheafSession();
    const tokens = { none: {}, made_up: bearer('a.b.c'), ended: bearer(ended), basic: { authorization: 'Basic YTpi' } };
    for (const [name, headers] of Object.entries(tokens)) {
      const { status, code } = await ask(key, {}, headers);
      expect({ status, code }, name).toEqual({ status: 401, code: 'UNAUTHORIZED' });
    }
  });
});

let endedToken: Promise<string> | undefined;
/** The access token of a session that has been ended: the token itself would be good for ten minutes. */
function sheafSession(): Promise<string> {
  endedToken ??= (async () => {
    const { name } = await addPerson('admin', null);
    const sessions = createSessions(db, secret);
    const { answer, refresh_token } = await sessions.login(name, PASSWORD, { device: 'matrix', address: null });
    await sessions.logout(refresh_token);
    return answer.access_token;
  })();
  return endedToken;
}

describe('an upload’s own token moves its bytes and does nothing else', () => {
  test.each(guarded)('%s', async (key) => {
    const mine = await make('upload', 'nobody', loner);
    const token = uploadToken(secret, mine.upload_id ?? '');
    const { uploadToken: opens } = accessRow(key);
    expect((await ask(key, mine, bearer(token))).verdict).toBe(opens ? 'allowed' : 401);
    if (!opens) return;
    const another = await make('upload', 'nobody', loner);
    expect((await ask(key, another, bearer(token))).verdict).toBe(404);
  });
});

describe('whoever has to change their password can do that first', () => {
  let client: Client;
  beforeAll(async () => {
    const { name } = await addPerson('admin', null, true);
    client = await signIn(sheaf.url, name, PASSWORD);
  });
  test.each(guarded)('%s', async (key) => {
    const { status, code, detail } = await ask(key, {}, bearer(client.token));
    if (accessRow(key).passwordDue) {
      expect(status).not.toBe(403);
      return;
    }
    expect({ status, code }).toEqual({ status: 403, code: 'PASSWORD_CHANGE_REQUIRED' });
    expect(detail).toContain('POST /api/auth/password');
  });
});
