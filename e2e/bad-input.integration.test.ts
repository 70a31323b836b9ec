// What is wrong with a request is said in a problem document (RFC 9457) with a stable code, and in a sentence that names
// the thing and says what to do; and a request that was refused leaves nothing behind.
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { SignJWT } from 'jose';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { encodeJpeg } from '../server/adapters/decode.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import { hashPassword } from '../server/auth/passwords.ts';
import { type Client, signIn } from '../server/cli/client.ts';
import { drawCover } from '../shared/corpus/draw.ts';
import type { GrayImage } from '../shared/omr/image.ts';
import { GroupList, SheetList } from '../shared/protocol/batch.ts';
import { PROBLEMS, Problem, type ProblemCode } from '../shared/protocol/problem.ts';
import { GB, MB, OpenUploadAnswer } from '../shared/protocol/upload.ts';
import { announceExam, differences, drawExam, type Exam, packZip, type ZipEntry } from './support/exam.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const PASSWORD = 'a password of ten or more';

let sheaf: Sheaf;
let db: Database;
let admin: Client;
/** signs in without the admin's rights, sees what is hers alone */
let operator: Client;
let viewer: Client;
let exam: Exam;
let zip: Buffer;
/** a finished batch of the admin's */
let batchId: string;
let sheetId: string;

async function addUser(username: string, role: string): Promise<Client> {
  const password_hash = await hashPassword(PASSWORD);
  await db.write((tx) =>
    tx
      .insertInto('users')
      .values({
        user_id: randomUUID(),
        username,
        password_hash,
        role,
        must_change_password: 0,
        disabled: 0,
        created_at: Date.now(),
      })
      .execute(),
  );
  return signIn(sheaf.url, username, PASSWORD);
}

beforeAll(async () => {
  sheaf = await startSheaf({ env: { SHEAF_WORKERS: '2' } });
  db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  admin = await sheaf.client();
  operator = await addUser('olga', 'operator');
  viewer = await addUser('victor', 'viewer');
  exam = await drawExam({ seed: 3, covers: 2, sheets: 6, questions: 40, dpi: 150 });
  zip = await packZip(exam.scans);
  await announceExam(admin, exam);
  batchId = await process(exam.scans);
  sheetId = (await admin.call(SheetList, 'GET', `/api/batches/${batchId}/sheets`)).items[0]!.sheet_id;
});
afterAll(async () => {
  await sheaf?.stop();
  await db?.close();
});

/** Sends these entries as one ZIP and resolves when the batch has ended. */
async function process(entries: readonly ZipEntry[], name = 'scans.zip'): Promise<string> {
  const { batch_id } = await admin.send(await packZip(entries), { name, upload_type: 'zip_with_qr' });
  await admin.waitForBatch(batch_id, 240_000);
  return batch_id;
}

/** What must be left untouched by a refused request. */
async function holdings(): Promise<object> {
  const count = async (table: 'batches' | 'uploads' | 'chunks' | 'events'): Promise<number> => {
    const row = await db.sql
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow();
    return row.n;
  };
  const blobs = fs.readdirSync(path.join(sheaf.dataDir, 'blobs')).sort();
  return {
    blobs,
    batches: await count('batches'),
    uploads: await count('uploads'),
    chunks: await count('chunks'),
    events: await count('events'),
  };
}

interface Refusal {
  code: ProblemCode;
  /** what its sentence names, and what it says to do */
  says: RegExp;
}

async function expectRefusal(response: Response, { code, says }: Refusal): Promise<Problem> {
  const text = await response.text();
  expect(response.headers.get('content-type'), text).toMatch(/^application\/problem\+json/);
  const problem = v.parse(Problem, JSON.parse(text));
  const { status, title } = PROBLEMS[code];
  expect(problem).toMatchObject({ code, status, title, type: 'about:blank' });
  expect(response.status).toBe(status);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(problem.detail).toMatch(says);
  return problem;
}

type Fields = Record<string, string | number>;
const form = (fields: Fields, ...files: [field: string, name: string, bytes: Buffer][]): FormData => {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, String(value));
  for (const [field, name, bytes] of files) body.append(field, new Blob([new Uint8Array(bytes)]), name);
  return body;
};
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('a batch in one request', () => {
  const whole = (fields: Fields, ...files: [string, string, Buffer][]): Promise<Response> =>
    admin.request('POST', '/api/batches/upload', form(fields, ...files));
  const file = (bytes: Buffer, name = 'scans.zip'): [string, string, Buffer] => ['file', name, bytes];
  const qr = { upload_type: 'zip_with_qr' };

  const cases: { what: string; send: () => Promise<Response>; refusal: Refusal }[] = [
    {
      what: 'not a ZIP',
      send: () => whole(qr, file(Buffer.from('%PDF-1.7 not a ZIP at all'.repeat(10)), 'scans.pdf')),
      refusal: { code: 'NOT_A_ZIP', says: /scans\.pdf.*Pack the scans as a ZIP/ },
    },
    {
      what: 'a ZIP that was cut short',
      send: () => whole(qr, file(zip.subarray(0, zip.length - 200))),
      refusal: { code: 'NOT_A_ZIP', says: /scans\.zip.*send it again/ },
    },
    {
      what: 'a ZIP with no images',
      send: async () => whole(qr, file(await packZip([{ name: 'readme.txt', bytes: Buffer.from('hello') }]))),
      refusal: { code: 'ZIP_WITHOUT_IMAGES', says: /scans\.zip.*JPG, PNG.*Put the scans in it/ },
    },
    {
      what: 'a task id of 7 digits',
      send: () => whole({ upload_type: 'zip_without_qr', task_id: '1490011' }, file(zip)),
      refusal: { code: 'VALIDATION_FAILED', says: /task_id: a task id has exactly 8 digits/ },
    },
    {
      what: 'no task id where one must be typed',
      send: () => whole({ upload_type: 'zip_without_qr' }, file(zip)),
      refusal: { code: 'VALIDATION_FAILED', says: /zip_without_qr needs the task id, 8 digits/ },
    },
    {
      what: 'a task id where the covers name the tasks',
      send: () => whole({ ...qr, task_id: '14900113' }, file(zip)),
      refusal: { code: 'VALIDATION_FAILED', says: /leave it out, or use zip_without_qr/ },
    },
    {
      what: 'an upload type nobody knows',
      send: () => whole({ upload_type: 'zip' }, file(zip)),
      refusal: { code: 'VALIDATION_FAILED', says: /upload_type: use zip_with_qr, zip_without_qr or images/ },
    },
    {
      what: 'no file',
      send: () => whole(qr),
      refusal: { code: 'VALIDATION_FAILED', says: /no file.*field `file`/ },
    },
    {
      what: 'an empty file',
      send: () => whole(qr, file(Buffer.alloc(0))),
      refusal: { code: 'VALIDATION_FAILED', says: /no file with bytes/ },
    },
    {
      what: 'two ZIPs',
      send: () => whole(qr, file(zip), file(zip)),
      refusal: { code: 'VALIDATION_FAILED', says: /2 files\. Send one ZIP a request/ },
    },
    {
      what: 'over 100 MB, as its length says',
      send: () => whole(qr, file(Buffer.alloc(101 * MB))),
      refusal: { code: 'UPLOAD_TOO_LARGE', says: /100 MB.*POST \/api\/batches\/uploads/ },
    },
    {
      what: 'over 100 MB, without a length',
      async send() {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const body = new Response(form(qr, file(Buffer.alloc(100 * MB))));
        void body.body?.pipeTo(writable).catch(() => undefined);
        return fetch(`${sheaf.url}/api/batches/upload`, {
          method: 'POST',
          headers: { authorization: `Bearer ${admin.token}`, 'content-type': body.headers.get('content-type')! },
          body: readable,
          duplex: 'half',
        } as RequestInit);
      },
      refusal: { code: 'UPLOAD_TOO_LARGE', says: /100 MB.*POST \/api\/batches\/uploads/ },
    },
  ];
  for (const { what, send, refusal } of cases) {
    test(what, async () => {
      const before = await holdings();
      await expectRefusal(await send(), refusal);
      expect(await holdings()).toEqual(before);
    });
  }
});

describe('opening an upload', () => {
  const good = { client_upload_id: randomUUID(), upload_type: 'zip_with_qr', name: 'scans.zip', size: 1000 };
  const cases: [what: string, change: object, refusal: Refusal][] = [
    ['over 10 GB', { size: 10 * GB + 1 }, { code: 'UPLOAD_TOO_LARGE', says: /scans\.zip.*10 GB.*Split it/ }],
    ['an empty file', { size: 0 }, { code: 'VALIDATION_FAILED', says: /size: the file is empty/ }],
    ['a size that is no number', { size: 'big' }, { code: 'VALIDATION_FAILED', says: /size: / }],
    [
      'a task id of 7 digits',
      { upload_type: 'images', task_id: '1490011' },
      { code: 'VALIDATION_FAILED', says: /task_id: a task id has exactly 8 digits/ },
    ],
    [
      'no task id',
      { upload_type: 'zip_without_qr' },
      { code: 'VALIDATION_FAILED', says: /zip_without_qr needs the task id, 8 digits/ },
    ],
    [
      'images without their list',
      { upload_type: 'images', task_id: '14900113' },
      { code: 'VALIDATION_FAILED', says: /list of files, each with name and size/ },
    ],
    [
      'images whose sizes do not add up',
      { upload_type: 'images', task_id: '14900113', files: [{ name: 'a.jpg', size: 999 }] },
      { code: 'VALIDATION_FAILED', says: /add up to 999, but size says 1000/ },
    ],
    [
      'a chunk over 50 MB',
      { chunk_size: 50 * MB + 1 },
      { code: 'VALIDATION_FAILED', says: /chunk_size: at most 52428800/ },
    ],
    [
      'an id that is no UUID',
      { client_upload_id: 'mine' },
      { code: 'VALIDATION_FAILED', says: /a UUID that the client chose/ },
    ],
  ];
  test.each(cases)('%s', async (_, change, refusal) => {
    const before = await holdings();
    await expectRefusal(await admin.request('POST', '/api/batches/uploads', { ...good, ...change }), refusal);
    expect(await holdings()).toEqual(before);
  });

  test('10 GB to the byte is not too large', async () => {
    const response = await admin.request('POST', '/api/batches/uploads', { ...good, size: 10 * GB });
    // A machine that runs tests need not have room for it, and then says so.
    if (response.status === 507) expect(((await response.json()) as Problem).code).toBe('DISK_FULL');
    else
      await admin.request(
        'DELETE',
        `/api/batches/uploads/${v.parse(OpenUploadAnswer, await response.json()).upload_id}`,
      );
    expect([201, 507]).toContain(response.status);
  });

  test('another file under a client_upload_id that is taken', async () => {
    const taken = { ...good, client_upload_id: randomUUID() };
    await admin.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', taken);
    const response = await admin.request('POST', '/api/batches/uploads', { ...taken, size: 2000 });
    await expectRefusal(response, { code: 'UPLOAD_MISMATCH', says: /another size\. Use a new client_upload_id/ });
  });
});

describe('a chunk', () => {
  const CHUNK = 128 * 1024;
  let upload: OpenUploadAnswer;
  const chunkOf = (index: number): Buffer => zip.subarray(index * CHUNK, (index + 1) * CHUNK);
  const fieldsOf = (index: number): Fields => ({
    upload_id: upload.upload_id,
    chunk_index: index,
    total_chunks: upload.total_chunks,
    sha256: sha256(chunkOf(index)),
  });
  const send = (body: FormData): Promise<Response> => admin.request('POST', '/api/batches/upload-chunk', body);
  const chunk = (fields: Fields, bytes: Buffer): Promise<Response> => send(form(fields, ['chunk', 'chunk', bytes]));

  beforeAll(async () => {
    upload = await admin.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'scans.zip',
      size: zip.length,
      chunk_size: CHUNK,
    });
    await admin.sendChunk(upload, zip, 0);
  });

  const other = Buffer.alloc(CHUNK, 'other bytes');
  const cases: { what: string; send: () => Promise<Response>; refusal: Refusal }[] = [
    {
      what: 'with a wrong hash',
      send: () => chunk({ ...fieldsOf(1), sha256: sha256(other) }, chunkOf(1)),
      refusal: { code: 'CHUNK_HASH_MISMATCH', says: /Chunk 1 of upload .* send it from byte 0/ },
    },
    {
      what: 'beyond the end',
      send: () => chunk({ ...fieldsOf(1), chunk_index: upload.total_chunks }, chunkOf(1)),
      refusal: { code: 'CHUNK_OUT_OF_RANGE', says: /beyond the end: the last one is \d+/ },
    },
    {
      what: 'with more bytes than it has',
      send: () => chunk(fieldsOf(1), Buffer.concat([chunkOf(1), other])),
      refusal: { code: 'CHUNK_OUT_OF_RANGE', says: /131072 bytes, but more were sent\. Cut the file on the grid/ },
    },
    {
      what: 'that starts behind its own end',
      send: () => chunk({ ...fieldsOf(1), offset: CHUNK }, chunkOf(1)),
      refusal: { code: 'CHUNK_OUT_OF_RANGE', says: /131072 bytes; nothing can start at 131072/ },
    },
    {
      what: 'that starts behind what has landed',
      send: () => chunk({ ...fieldsOf(2), offset: 1000 }, chunkOf(2).subarray(1000)),
      refusal: { code: 'CONFLICT', says: /has 0 bytes on the server.*Send it from byte 0/ },
    },
    {
      what: 'of a file cut on another grid',
      send: () => chunk({ ...fieldsOf(1), total_chunks: 2 }, chunkOf(1)),
      refusal: { code: 'UPLOAD_MISMATCH', says: /says 2 chunks.*cut the file on that grid/ },
    },
    {
      what: 'with its fields after the file',
      send() {
        const body = form({}, ['chunk', 'chunk', chunkOf(1)]);
        for (const [name, value] of Object.entries(fieldsOf(1))) body.append(name, String(value));
        return send(body);
      },
      refusal: { code: 'VALIDATION_FAILED', says: /must come before the file/ },
    },
    {
      what: 'without a file',
      send: () => send(form(fieldsOf(1))),
      refusal: { code: 'VALIDATION_FAILED', says: /no file in the field `chunk`/ },
    },
    {
      what: 'in a field of another name',
      send: () => send(form(fieldsOf(1), ['file', 'chunk', chunkOf(1)])),
      refusal: { code: 'VALIDATION_FAILED', says: /field is file; it must be chunk/ },
    },
    {
      what: 'whose index is no number',
      send: () => chunk({ ...fieldsOf(1), chunk_index: 'first' }, chunkOf(1)),
      refusal: { code: 'VALIDATION_FAILED', says: /chunk_index: a whole number/ },
    },
    {
      what: '[U4] with other bytes under an index that is verified',
      send: () => chunk({ ...fieldsOf(0), sha256: sha256(other) }, other),
      refusal: { code: 'CHUNK_CONFLICT', says: /Chunk 0 .*verified.*queue it as a new upload/ },
    },
    {
      what: '[U4] with other bytes under the hash of one that is verified',
      send: () => chunk(fieldsOf(0), other),
      refusal: { code: 'CHUNK_HASH_MISMATCH', says: /chunk 0 .*on the server is untouched/ },
    },
    {
      what: 'of a sender that was taken over',
      send: () => chunk({ ...fieldsOf(1), epoch: 0 }, chunkOf(1)),
      refusal: { code: 'STALE_EPOCH', says: /at epoch 1, this request at 0\. Ask what the server holds/ },
    },
    {
      what: 'of an upload that is not there',
      send: () => chunk({ ...fieldsOf(1), upload_id: randomUUID() }, chunkOf(1)),
      refusal: { code: 'UPLOAD_NOT_FOUND', says: /no upload .*POST \/api\/batches\/uploads/ },
    },
    {
      what: 'of another user’s upload',
      send: () =>
        operator.request('POST', '/api/batches/upload-chunk', form(fieldsOf(1), ['chunk', 'chunk', chunkOf(1)])),
      refusal: { code: 'UPLOAD_NOT_FOUND', says: /no upload .*POST \/api\/batches\/uploads/ },
    },
    {
      what: 'in a body that is no multipart',
      send: () => admin.request('POST', '/api/batches/upload-chunk', { chunk_index: 1 }),
      refusal: { code: 'VALIDATION_FAILED', says: /no file in the field `chunk`/ },
    },
  ];
  for (const { what, send: sendIt, refusal } of cases) {
    test(what, async () => {
      const problem = await expectRefusal(await sendIt(), refusal);
      // Where it says from which byte to send, it says so for programs too.
      if (/byte 0\./.test(problem.detail)) expect(problem.landed).toBe(0);
    });
  }

  test('after all of that the upload goes on where it was, and what is sealed is the file', async () => {
    for (let index = 1; index < upload.total_chunks; index++) {
      expect(await admin.sendChunk(upload, zip, index)).toMatchObject({ verified: true, duplicate: false });
    }
    const { batch_id } = upload;
    expect(await admin.waitForBatch(batch_id, 240_000)).toMatchObject({ status: 'completed', total_sheets: 6 });
    expect(await differences(admin, batch_id, exam)).toEqual([]);
  });

  test.each([
    ['not a ZIP', Buffer.alloc(1000, 'not a ZIP '), { code: 'NOT_A_ZIP', says: /notes\.zip.*Pack the scans as a ZIP/ }],
    ['a ZIP with no images', null, { code: 'ZIP_WITHOUT_IMAGES', says: /notes\.zip.*Put the scans in it/ }],
  ] as const)(
    'that was the last of %s: sealing says so, each time, and so does the batch',
    async (_, given, refusal) => {
      const bytes = given ?? (await packZip([{ name: 'notes.txt', bytes: Buffer.from('notes') }]));
      const opened = await admin.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
        client_upload_id: randomUUID(),
        upload_type: 'zip_with_qr',
        name: 'notes.zip',
        size: bytes.length,
      });
      const seal = `/api/batches/uploads/${opened.upload_id}/seal`;
      await expectRefusal(await admin.request('POST', seal), {
        code: 'UPLOAD_INCOMPLETE',
        says: /1 of 1 chunks of notes\.zip .*send them, then seal/,
      });
      await admin.sendChunk(opened, bytes, 0);
      for (let time = 0; time < 2; time++) await expectRefusal(await admin.request('POST', seal), refusal);
      const batch = await admin.waitForBatch(opened.batch_id, 240_000);
      expect(batch).toMatchObject({ status: 'failed', error_details: expect.stringMatching(refusal.says) });
      const last: string[] = [];
      for await (const { type } of admin.stream(opened.batch_id)) last.push(type);
      expect(last.slice(-2)).toEqual(['batch.complete', 'error']);
    },
  );
});

describe('who asks', () => {
  const bare = (address: string, authorization?: string): Promise<Response> =>
    fetch(`${sheaf.url}${address}`, authorization === undefined ? {} : { headers: { authorization } });
  const login = (body: string): Promise<Response> =>
    fetch(`${sheaf.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });

  test.each([
    ['a wrong password', 'username=admin&password=wrong'],
    ['an unknown user', 'username=nobody&password=wrong'],
  ])('%s: the same words, so that names cannot be tried', async (_, body) => {
    const problem = await expectRefusal(await login(body), { code: 'UNAUTHORIZED', says: /Check both and try again/ });
    expect(problem.detail).not.toMatch(/admin|nobody/);
  });

  test('a login without a password names the field', async () => {
    const problem = await expectRefusal(await login('username=admin'), { code: 'VALIDATION_FAILED', says: /password/ });
    expect(problem.errors?.map(({ field }) => field)).toEqual(['password']);
  });

  /** Signed as the server signs, with its own secret. */
  async function token(claims: { expires: string; secret?: string; session?: string }): Promise<string> {
    const [kept, user] = [
      await db.sql
        .selectFrom('settings')
        .select('value')
        .where('name', '=', 'signing_secret')
        .executeTakeFirstOrThrow(),
      await db.sql.selectFrom('sessions').select(['user_id', 'session_id']).executeTakeFirstOrThrow(),
    ];
    return new SignJWT({ sid: claims.session ?? user.session_id })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user.user_id)
      .setIssuedAt()
      .setExpirationTime(claims.expires)
      .sign(new TextEncoder().encode(claims.secret ?? kept.value));
  }
  const unsigned = (): string => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none' })}.${part({ sub: 'admin', sid: 'x' })}.`;
  };

  test('the tokens below are refused for what is wrong with them alone', async () => {
    expect((await bare('/api/batches', `Bearer ${await token({ expires: '1m' })}`)).status).toBe(200);
  });

  test.each<[string, () => string | undefined | Promise<string | undefined>]>([
    ['no token', () => undefined],
    ['a garbled token', () => `Bearer ${admin.token.slice(0, -4)}AAAA`],
    ['a token that is no token', () => 'Bearer hello'],
    ['a token that is not signed', () => `Bearer ${unsigned()}`],
    ['another scheme', () => `Basic ${Buffer.from('admin:admin').toString('base64')}`],
    ['a token that has run out', async () => `Bearer ${await token({ expires: '-1s' })}`],
    ['a token that somebody else signed', async () => `Bearer ${await token({ expires: '1m', secret: 'a guess' })}`],
    ['a token of no session', async () => `Bearer ${await token({ expires: '1m', session: randomUUID() })}`],
  ])('%s', async (_, authorization) => {
    for (const address of ['/api/batches', `/api/batches/${batchId}/stream`, `/api/batches/${batchId}/export`]) {
      const response = await bare(address, await authorization());
      await expectRefusal(response, { code: 'UNAUTHORIZED', says: /login|refresh/i });
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  test('an upload’s own token moves its bytes, and opens no other door', async () => {
    const open = (): Promise<OpenUploadAnswer> =>
      admin.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
        client_upload_id: randomUUID(),
        upload_type: 'zip_with_qr',
        name: 'scans.zip',
        size: zip.length,
      });
    const [mine, another] = [await open(), await open()];
    const bearer = `Bearer ${mine.upload_token}`;
    expect((await bare(`/api/batches/uploads/${mine.upload_id}`, bearer)).status).toBe(200);
    await expectRefusal(await bare(`/api/batches/uploads/${another.upload_id}`, bearer), {
      code: 'UPLOAD_NOT_FOUND',
      says: /no upload/,
    });
    for (const address of ['/api/batches', `/api/batches/${mine.batch_id}/status`, '/api/auth/me']) {
      await expectRefusal(await bare(address, bearer), { code: 'UNAUTHORIZED', says: /sign in/i });
    }
  });

  test('another user’s batch is one that is not there', async () => {
    const own = async (client: Client): Promise<string[]> =>
      v
        .parse(
          v.object({ items: v.array(v.object({ batch_id: v.string() })) }),
          await (await client.request('GET', '/api/batches')).json(),
        )
        .items.map(({ batch_id }) => batch_id);
    expect(await own(admin)).toContain(batchId);
    expect(await own(operator)).toEqual([]);
    const of = `/api/batches/${batchId}`;
    for (const rest of [
      'status',
      'progress',
      'stream',
      'groups',
      'sheets',
      `sheets/${sheetId}`,
      `sheets/${sheetId}/image`,
      'export',
    ]) {
      const theirs = await operator.request('GET', `${of}/${rest}`);
      const problem = await expectRefusal(theirs, {
        code: 'NOT_FOUND',
        says: /GET \/api\/batches lists those you may see/,
      });
      const nowhere = await expectRefusal(await operator.request('GET', `/api/batches/${randomUUID()}/${rest}`), {
        code: 'NOT_FOUND',
        says: /no batch/,
      });
      // Nothing in the answer tells one from the other but the id that was asked for.
      const plain = ({ detail }: Problem): string => detail.replace(/[0-9a-f-]{36}/g, 'ID');
      expect(plain(problem)).toBe(plain(nowhere));
    }
  });

  test('a missing right to what one may know of is told as one, with whom to ask; to anything else it is not there', async () => {
    const { batch_id: hers } = await operator.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'hers.zip',
      size: zip.length,
    });
    const send = form({ upload_type: 'zip_with_qr' }, ['file', 'a.zip', zip]);
    const denied = (says: RegExp): Refusal => ({ code: 'FORBIDDEN', says });
    const asked: [Client, string, string, object | undefined, Refusal][] = [
      [operator, 'DELETE', `/api/batches/${hers}`, undefined, denied(/for admin; you are signed in as operator/)],
      [operator, 'POST', `/api/batches/${hers}/restore`, undefined, denied(/for admin; you are signed in as operator/)],
      [operator, 'DELETE', `/api/batches/${batchId}`, undefined, { code: 'NOT_FOUND', says: /no batch/ }],
      [operator, 'POST', '/api/tasks', {}, denied(/for admin, supervisor; you are signed in as operator\. Ask one/)],
      [viewer, 'POST', '/api/batches/upload', send, denied(/signed in as viewer/)],
      [viewer, 'POST', '/api/batches/uploads', {}, denied(/signed in as viewer/)],
    ];
    const before = await holdings();
    for (const [client, method, address, body, refusal] of asked) {
      await expectRefusal(await client.request(method, address, body), refusal);
    }
    expect(await holdings()).toEqual(before);
    for (const id of [batchId, hers]) expect((await admin.status(id)).deleted_at).toBeNull();
  });
});

describe('what is not there, or not to be read', () => {
  const cases: [what: string, method: string, address: () => string, refusal: Refusal][] = [
    ['an unknown batch', 'GET', () => `/api/batches/${randomUUID()}/status`, { code: 'NOT_FOUND', says: /no batch/ }],
    ['an id that is no id', 'GET', () => '/api/batches/1%20or%201/status', { code: 'NOT_FOUND', says: /no batch/ }],
    ['a batch to delete', 'DELETE', () => `/api/batches/${randomUUID()}`, { code: 'NOT_FOUND', says: /no batch/ }],
    [
      'an unknown upload',
      'GET',
      () => `/api/batches/uploads/${randomUUID()}`,
      { code: 'UPLOAD_NOT_FOUND', says: /Open it with POST/ },
    ],
    [
      'an upload to seal',
      'POST',
      () => `/api/batches/uploads/${randomUUID()}/seal`,
      { code: 'UPLOAD_NOT_FOUND', says: /Open it/ },
    ],
    [
      'an unknown sheet',
      'GET',
      () => `/api/batches/${batchId}/sheets/12345`,
      { code: 'NOT_FOUND', says: /no sheet 12345\. GET/ },
    ],
    [
      'a sheet id of letters',
      'GET',
      () => `/api/batches/${batchId}/sheets/x`,
      { code: 'NOT_FOUND', says: /no sheet x\. GET/ },
    ],
    [
      'an unknown sheet’s image',
      'GET',
      () => `/api/batches/${batchId}/sheets/12345/image`,
      { code: 'NOT_FOUND', says: /no sheet/ },
    ],
    ['an unknown task', 'GET', () => '/api/tasks/99999999', { code: 'NOT_FOUND', says: /no task 99999999/ }],
    ['an unknown key', 'GET', () => '/api/answer-keys/none', { code: 'NOT_FOUND', says: /no answer key none/ }],
    ['an unknown route', 'GET', () => '/api/nothing?x=1', { code: 'NOT_FOUND', says: /no GET \/api\/nothing\./ }],
    [
      'a file there is not',
      'GET',
      () => '/nothing.js?x=1',
      { code: 'NOT_FOUND', says: /no GET \/nothing\.js\. The app/ },
    ],
    ['another method', 'PATCH', () => '/api/batches', { code: 'NOT_FOUND', says: /no PATCH \/api\/batches/ }],
    ['page 0', 'GET', () => '/api/batches?page=0', { code: 'VALIDATION_FAILED', says: /page: pages count from 1/ }],
    ['a status there is not', 'GET', () => '/api/batches?status=done', { code: 'VALIDATION_FAILED', says: /status: / }],
    [
      'a format there is not',
      'GET',
      () => `/api/batches/${batchId}/export?format=xml`,
      { code: 'VALIDATION_FAILED', says: /format: use wide or long/ },
    ],
    [
      'purge=yes',
      'DELETE',
      () => `/api/batches/${batchId}?purge=yes`,
      { code: 'VALIDATION_FAILED', says: /purge: use true or false/ },
    ],
    [
      'restoring what is not in the bin',
      'POST',
      () => `/api/batches/${batchId}/restore`,
      { code: 'CONFLICT', says: /not in the bin/ },
    ],
  ];
  test.each(cases)('%s', async (_, method, address, refusal) => {
    await expectRefusal(await admin.request(method, address()), refusal);
  });

  test('malformed JSON', async () => {
    const response = await fetch(`${sheaf.url}/api/batches/uploads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
      body: '{"name": "scans.zip", ',
    });
    await expectRefusal(response, { code: 'VALIDATION_FAILED', says: /body cannot be read: .*JSON/ });
  });

  test('results that do not exist yet', async () => {
    const { batch_id } = await admin.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'later.zip',
      size: 1000,
    });
    const response = await admin.request('GET', `/api/batches/${batch_id}/export`);
    await expectRefusal(response, { code: 'CONFLICT', says: /is uploading: .*Wait for that, then export/ });
  });
});

describe('one bad page', () => {
  test('[P2] a broken image is a failed sheet with its reason; all others are right', async () => {
    const broken = exam.scans.findLast((scan) => scan.kind === 'sheet')!;
    const entries = exam.scans.map((scan) =>
      scan === broken ? { ...scan, bytes: Buffer.concat([scan.bytes.subarray(0, 2000), Buffer.alloc(500)]) } : scan,
    );
    const batch_id = await process(entries, 'one-broken.zip');
    expect(await admin.status(batch_id)).toMatchObject({
      status: 'completed_with_errors',
      total_sheets: 6,
      processed_sheets: 6,
      failed_sheets: 1,
    });
    const failed = await admin.call(SheetList, 'GET', `/api/batches/${batch_id}/sheets?status=failed`);
    expect(failed.items).toEqual([
      expect.objectContaining({
        name: broken.name,
        task_id: broken.task_id,
        error_message: expect.stringMatching(/JPEG/),
      }),
    ]);
    const wrong = await differences(admin, batch_id, exam);
    expect(wrong.filter((line) => !line.startsWith(broken.name))).toEqual(['200 answers in the export instead of 240']);
    const types: string[] = [];
    for await (const event of admin.stream(batch_id, '0')) types.push(event.type);
    expect(types.filter((type) => type === 'item.failed')).toHaveLength(1);
  });

  test('[R3] a cover that cannot be read holds its sheets back; none of them joins the group before it', async () => {
    const covers = exam.scans.filter((scan) => scan.kind === 'cover');
    const second = covers[1]!;
    const painted = await encodeJpeg(scribbledOver(drawCover(second.task_id, 150)), 80);
    const entries = exam.scans.map((scan) => (scan === second ? { ...scan, bytes: painted } : scan));
    const batch_id = await process(entries, 'cover-unreadable.zip');

    const { items } = await admin.call(GroupList, 'GET', `/api/batches/${batch_id}/groups`);
    const sheetsBehind = (task: string): number =>
      exam.scans.filter((scan) => scan.kind === 'sheet' && scan.task_id === task).length;
    expect(items.map(({ task_id, state, sheets }) => ({ task_id, state, sheets }))).toEqual([
      { task_id: covers[0]!.task_id, state: 'ok', sheets: sheetsBehind(covers[0]!.task_id) },
      { task_id: null, state: 'unreadable-cover', sheets: sheetsBehind(second.task_id) },
    ]);
    expect(await admin.status(batch_id)).toMatchObject({ status: 'completed_with_errors', failed_sheets: 0 });
    const sheets = (await admin.call(SheetList, 'GET', `/api/batches/${batch_id}/sheets`)).items;
    const held = sheets.filter((sheet) => sheet.group_id === items[1]!.group_id);
    expect(held).toHaveLength(sheetsBehind(second.task_id));
    for (const sheet of held) expect(sheet).toMatchObject({ task_id: null, score: null, status: 'read' });
    // What is held is read all the same, so that naming its task is all that is missing.
    expect((await differences(admin, batch_id, exam)).filter((line) => !/given to null/.test(line))).toEqual([]);
  });
});

/** Noise over the QR code, wherever in the middle of the page it lies; the corners stay, so it is seen to be a page. */
function scribbledOver(image: GrayImage): GrayImage {
  const data = image.data.slice();
  for (let y = Math.round(image.height * 0.12); y < image.height * 0.88; y++) {
    for (let x = Math.round(image.width * 0.12); x < image.width * 0.88; x++) {
      if ((x * 7919 + y * 104_729) % 11 < 5) data[y * image.width + x] = ((x ^ y) * 37) % 256;
    }
  }
  return { ...image, data };
}
