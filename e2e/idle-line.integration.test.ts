// A tablet that went out of reach leaves its socket open. The server cuts it when nothing has moved on it for half a
// minute, keeps what had come, and gives the chunk free; a line that is only slow is left alone.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { MB, OpenUploadAnswer, UploadAnswer } from '../shared/protocol/upload.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
beforeAll(async () => {
  sheaf = await startSheaf({ args: ['api'], env: { REDIS_URL: process.env.TEST_REDIS_URL } });
  client = await sheaf.client();
});
afterAll(() => sheaf?.stop());

test('a socket on which nothing moves is cut and what came is kept; one on which a little moves goes on', async () => {
  const bytes = randomBytes(2 * MB);
  const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: 'idle.zip',
    size: bytes.length,
    chunk_size: MB,
  });
  const chunkOf = (index: number): Buffer => bytes.subarray(index * MB, (index + 1) * MB);
  const begin = (index: number) => {
    const edge = randomUUID();
    const fields = {
      upload_id: upload.upload_id,
      chunk_index: index,
      total_chunks: 2,
      sha256: createHash('sha256').update(chunkOf(index)).digest('hex'),
      epoch: upload.epoch,
    };
    const request = http.request(`${sheaf.url}/api/batches/upload-chunk`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${upload.upload_token}`,
        'content-type': `multipart/form-data; boundary=${edge}`,
      },
    });
    for (const [name, value] of Object.entries(fields))
      request.write(`--${edge}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
    request.write(`--${edge}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk"\r\n\r\n`);
    const ended = new Promise<number | 'cut'>((resolve) => {
      request.once('error', () => resolve('cut'));
      request.once('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
    });
    return { request, ended, edge };
  };
  const idle = begin(0);
  idle.request.write(chunkOf(0).subarray(0, MB / 2));
  const slow = begin(1);
  let sent = 0;
  const drip = setInterval(() => {
    slow.request.write(chunkOf(1).subarray(sent, sent + 1000));
    sent += 1000;
  }, 3000);
  const began = Date.now();
  try {
    expect(await idle.ended).toBe('cut');
    expect(Date.now() - began).toBeGreaterThan(25_000);
    // Beyond the time in which the other one would have been cut as well.
    await new Promise((resolve) => setTimeout(resolve, 8000));
  } finally {
    clearInterval(drip);
  }
  const held = await eventually('what came of the chunk', async () => {
    const answer = await client.call(UploadAnswer, 'GET', `/api/batches/uploads/${upload.upload_id}`);
    return answer.partial['0'] ? answer : null;
  });
  expect(held.partial['0']).toBe(MB / 2);
  expect(await client.sendChunk(upload, bytes, 0), 'the chunk is free').toMatchObject({ verified: true });
  slow.request.write(chunkOf(1).subarray(sent));
  slow.request.end(`\r\n--${slow.edge}--\r\n`);
  expect(await slow.ended).toBe(200);
});
