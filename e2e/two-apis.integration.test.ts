// Two API processes over one database and one blob folder, and a socket that outlived its sender: while it may still
// write, nobody else does, and what it says later changes nothing.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../server/adapters/database.ts';
import { openDatabase } from '../server/adapters/open-database.ts';
import type { Client } from '../server/cli/client.ts';
import { type ChunkAnswer, MB, OpenUploadAnswer, UploadAnswer } from '../shared/protocol/upload.ts';
import { packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const CHUNK = MB;

describe.each(['SQLite', 'MariaDB'])('over %s', (kind) => {
  let dataDir: string;
  let a: Sheaf;
  let b: Sheaf;
  let client: Client;
  let db: Database;
  let bytes: Buffer;

  beforeAll(async () => {
    dataDir = temporaryFolder();
    const env: Record<string, string | undefined> = { REDIS_URL: process.env.TEST_REDIS_URL };
    if (kind === 'MariaDB') {
      const server = process.env.TEST_MARIADB_URL ?? '';
      const name = `two_apis_${randomUUID().slice(0, 8)}`;
      const connection = await mysql.createConnection(server);
      await connection.query(`create database ${name}`);
      await connection.end();
      env.DATABASE_URL = `${server}${name}`;
    }
    a = await startSheaf({ dataDir, args: ['api'], env });
    b = await startSheaf({ dataDir, args: ['api'], env });
    client = await a.client();
    db = await openDatabase(
      env.DATABASE_URL
        ? { kind: 'mysql', url: env.DATABASE_URL }
        : { kind: 'sqlite', file: path.join(dataDir, 'sheaf.sqlite') },
    );
    bytes = await packZip([
      { name: '1.jpg', bytes: randomBytes(1.5 * MB) },
      { name: '2.jpg', bytes: randomBytes(1.2 * MB) },
    ]);
  });
  afterAll(async () => {
    await db?.close();
    await a?.stop();
    await b?.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  });

  const open = (name: string): Promise<OpenUploadAnswer> =>
    client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name,
      size: bytes.length,
      chunk_size: CHUNK,
    });
  const chunkOf = (index: number): Buffer => bytes.subarray(index * CHUNK, (index + 1) * CHUNK);
  const onDisk = (upload: OpenUploadAnswer): Buffer => fs.readFileSync(path.join(dataDir, 'blobs', upload.upload_id));

  /** Begins to send a chunk; the rest of its bytes go when the caller says so. */
  function begin(to: Sheaf, upload: OpenUploadAnswer, index: number, epoch: number, first: Buffer) {
    const edge = randomUUID();
    const fields = {
      upload_id: upload.upload_id,
      chunk_index: index,
      total_chunks: upload.total_chunks,
      sha256: createHash('sha256').update(chunkOf(index)).digest('hex'),
      epoch,
    };
    const request = http.request(`${to.url}/api/batches/upload-chunk`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${upload.upload_token}`,
        'content-type': `multipart/form-data; boundary=${edge}`,
      },
    });
    for (const [name, value] of Object.entries(fields))
      request.write(`--${edge}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
    request.write(`--${edge}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk"\r\n\r\n`);
    request.write(first);
    const answer = new Promise<{ status: number; text: string } | 'cut'>((resolve) => {
      request.once('error', () => resolve('cut'));
      request.once('response', (response) => {
        let text = '';
        response.on('data', (part: Buffer) => (text += part.toString()));
        response.once('close', () => resolve({ status: response.statusCode ?? 0, text }));
      });
    });
    return {
      answer,
      drop: () => void request.destroy(),
      finish(rest: Buffer) {
        request.write(rest);
        request.end(`\r\n--${edge}--\r\n`);
      },
    };
  }
  const sendWhole = async (to: Sheaf, upload: OpenUploadAnswer, index: number, epoch: number) => {
    const sending = begin(to, upload, index, epoch, chunkOf(index));
    sending.finish(Buffer.alloc(0));
    const answer = await sending.answer;
    if (answer === 'cut') throw new Error('the line was cut');
    return answer;
  };
  const leaseOf = (upload: OpenUploadAnswer, index: number) =>
    db.sql
      .selectFrom('chunks')
      .select(['lease_id', 'lease_until', 'state'])
      .where('upload_id', '=', upload.upload_id)
      .where('chunk_index', '=', index)
      .executeTakeFirst();
  const sealed = async (upload: OpenUploadAnswer): Promise<void> => {
    await eventually('the seal', async () => {
      const { state } = await client.call(UploadAnswer, 'GET', `/api/batches/uploads/${upload.upload_id}`);
      return state === 'sealed';
    });
    expect(onDisk(upload).equals(bytes), 'what was sealed is the file').toBe(true);
  };

  test('[U6] a stale socket on one, a newer sender on the other: 423 until the lease is free, and the file is the file', async () => {
    const upload = await open('stale.zip');
    const half = chunkOf(1).subarray(0, CHUNK / 2);
    const stale = begin(a, upload, 1, 1, half);
    await eventually('its lease', async () => (await leaseOf(upload, 1))?.lease_id);

    let freeAt = 0;
    const refused = [];
    for (;;) {
      const before = await leaseOf(upload, 1);
      const { status, text } = await sendWhole(b, upload, 1, 2);
      if (status === 200) {
        expect(JSON.parse(text)).toMatchObject({ verified: true, duplicate: false });
        break;
      }
      refused.push({ status, code: (JSON.parse(text) as { code: string }).code });
      freeAt = Math.max(freeAt, Number(before?.lease_until ?? 0));
      // Nothing of the newer one is on the disk while the older one may write.
      expect(
        onDisk(upload)
          .subarray(1.5 * CHUNK, 2 * CHUNK)
          .every((byte) => byte === 0),
      ).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(['423 CHUNK_BUSY']));
    expect(Date.now()).toBeGreaterThanOrEqual(freeAt);

    // The dead sender's bytes come after all, and they are others than they should be.
    stale.finish(randomBytes(CHUNK / 2));
    const answer = await stale.answer;
    if (answer !== 'cut') expect([409, 422, 423]).toContain(answer.status);
    expect((await leaseOf(upload, 1))?.state).toBe('verified');
    expect(
      onDisk(upload)
        .subarray(CHUNK, 2 * CHUNK)
        .equals(chunkOf(1)),
    ).toBe(true);
    for (const [index, to] of [
      [2, a],
      [0, b],
    ] as const)
      expect(await sendWhole(to, upload, index, 2)).toMatchObject({ status: 200 });
    await sealed(upload);
  });

  test('within one process a newer epoch takes over at once', async () => {
    const upload = await open('evicted.zip');
    const old = begin(a, upload, 0, 1, chunkOf(0).subarray(0, CHUNK / 2));
    await eventually('its lease', async () => (await leaseOf(upload, 0))?.lease_id);
    const began = performance.now();
    expect(await sendWhole(a, upload, 0, 2)).toMatchObject({ status: 200 });
    // Less than the lease of the one that it takes over from.
    expect(performance.now() - began).toBeLessThan(14_000);
    old.drop();
    expect(onDisk(upload).subarray(0, CHUNK).equals(chunkOf(0))).toBe(true);
    expect(await sendWhole(b, upload, 1, 1)).toMatchObject({
      status: 409,
      text: expect.stringContaining('STALE_EPOCH'),
    });
  });

  test('[U4] both at once with every chunk: each is landed once, and never written again', async () => {
    const upload = await open('both.zip');
    const answers = await Promise.all(
      [0, 1, 2].flatMap((index) =>
        [a, b].map(async (to) => {
          const answered = await eventually('an answer', async () => {
            const answer = await sendWhole(to, upload, index, 1);
            if (answer.status === 200) return answer;
            expect(answer).toMatchObject({ status: 423 });
            return null;
          });
          return JSON.parse(answered.text) as ChunkAnswer;
        }),
      ),
    );
    for (const index of [0, 1, 2]) {
      const mine = answers.filter(({ chunk_index }) => chunk_index === index);
      expect(mine.map(({ duplicate }) => duplicate).sort()).toEqual([false, true]);
    }
    await sealed(upload);

    const blob = path.join(dataDir, 'blobs', upload.upload_id);
    const { mtimeMs } = fs.statSync(blob);
    for (const to of [a, b]) {
      expect(await sendWhole(to, upload, 1, 7)).toMatchObject({ status: 200 });
      const other = begin(to, { ...upload, total_chunks: 3 }, 1, 7, randomBytes(CHUNK));
      other.finish(Buffer.alloc(0));
      expect(await other.answer).toMatchObject({ status: 422 }); // bytes that are not what their hash says
    }
    expect(fs.statSync(blob).mtimeMs, 'not even touched').toBe(mtimeMs);
    expect(onDisk(upload).equals(bytes)).toBe(true);
  });

  test('[P3] whoever asks while an API process starts is refused or answered, and never left waiting', async () => {
    const former = await a.kill('api');
    const asked: Promise<'answered' | 'refused' | 'left waiting'>[] = [];
    let up = false;
    for (const until = Date.now() + 90_000; !up && Date.now() < until; await sleep(2))
      asked.push(
        fetch(`${a.url}/healthz`, { signal: AbortSignal.timeout(60_000) }).then(
          () => {
            up = true;
            return 'answered';
          },
          (error: unknown) => (error instanceof DOMException ? 'left waiting' : 'refused'),
        ),
      );
    const heard = await Promise.all(asked);
    expect(heard).toContain('answered');
    expect(heard).not.toContain('left waiting');
    await a.restarted('api', former);
  });
});
