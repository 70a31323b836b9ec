// The client of the upload bench, in a process of its own: sends one file, our way or the way of tus, and tells when it
// began, when its last byte was on its way and when it had the last answer. Started by upload.ts with its order as JSON.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Upload } from 'tus-js-client';
import * as v from 'valibot';
import { chunkCount, chunkLength, OpenUploadAnswer, SealAnswer } from '../../shared/protocol/upload.ts';
import { Order, type Told } from './upload-order.ts';

type SheafOrder = Extract<Order, { way: 'sheaf' }>;

const tell = (told: Told): void => void process.send?.(told);
const agent = new http.Agent({ keepAlive: true });

/** One JSON answer, or an error that says what was answered instead. */
async function answerOf<S extends v.GenericSchema>(schema: S, request: http.ClientRequest): Promise<v.InferOutput<S>> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part as string;
  if (response.statusCode === undefined || response.statusCode >= 300)
    throw new Error(`${request.path} answered ${response.statusCode}: ${text}`);
  return v.parse(schema, JSON.parse(text));
}

function post<S extends v.GenericSchema>(schema: S, order: SheafOrder, path: string, token: string, body: object) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const request = http.request(`${order.url}${path}`, { method: 'POST', agent, headers });
  const answer = answerOf(schema, request);
  request.end(JSON.stringify(body));
  return answer;
}

/** What is handed to the line at once: little enough that a pace is even, else so much that it costs nothing. */
const PACED_PIECE = 256 * 1024;
const PIECE = 4 * 2 ** 20;

/** Lets bytes onto the line at its pace, whoever sends them. */
function paceOf(bytesPerSecond: number | null): (bytes: number) => Promise<void> {
  if (bytesPerSecond === null) return async () => undefined;
  let free = performance.now();
  return async (bytes) => {
    const start = Math.max(free, performance.now());
    free = start + (bytes / bytesPerSecond) * 1000;
    await sleep(Math.max(0, free - performance.now()));
  };
}

async function sendSheaf(order: SheafOrder): Promise<void> {
  const file = await open(order.file);
  const { size } = await file.stat();
  // A tablet has hashed its chunks when it put them in its queue.
  const hashes: string[] = [];
  const memories = Array.from({ length: order.parallel }, () => Buffer.alloc(Math.min(size, order.chunkSize)));
  for (let index = 0; index < chunkCount(size, order.chunkSize); index++) {
    const bytes = await readChunk(file, memories[0], { size, chunk_size: order.chunkSize }, index);
    hashes.push(createHash('sha256').update(bytes).digest('hex'));
  }
  const began = Date.now();
  const upload = await post(OpenUploadAnswer, order, '/api/batches/uploads', order.token, {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: 'bench.zip',
    size,
    chunk_size: order.chunkSize,
  });
  tell({ told: 'opened', batch_id: upload.batch_id, at: began });
  const pace = paceOf(order.bytesPerSecond);
  let sent = 0;
  let lastByteAt = 0;
  const onSent = (bytes: number): void => {
    sent += bytes;
    lastByteAt = Date.now();
    if (order.bytesPerSecond !== null) tell({ told: 'sent', bytes: sent, at: lastByteAt });
  };
  // The directory is at the end, so the last chunk goes first.
  const total = chunkCount(size, upload.chunk_size);
  const waiting = [total - 1, ...Array.from({ length: total - 1 }, (_, index) => index)];
  const worker = async (memory: Buffer): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift())
      await sendChunk(
        order,
        upload,
        { index, sha256: hashes[index], bytes: await readChunk(file, memory, upload, index) },
        pace,
        onSent,
      );
  };
  await Promise.all(memories.map(worker));
  await post(SealAnswer, order, `/api/batches/uploads/${upload.upload_id}/seal`, upload.upload_token, {});
  tell({ told: 'done', began, ended: Date.now(), lastByteAt });
  await file.close();
}

/** Reads a chunk into memory that is used again: it is valid until the next one is read into it. */
async function readChunk(
  file: FileHandle,
  memory: Buffer,
  { size, chunk_size: chunkSize }: { size: number; chunk_size: number },
  index: number,
): Promise<Buffer> {
  const chunk = memory.subarray(0, chunkLength(size, chunkSize, index));
  for (let done = 0; done < chunk.length; ) {
    done += (await file.read(chunk, done, chunk.length - done, index * chunkSize + done)).bytesRead;
  }
  return chunk;
}

async function sendChunk(
  order: SheafOrder,
  upload: OpenUploadAnswer,
  { index, sha256, bytes: chunk }: { index: number; sha256: string; bytes: Buffer },
  pace: (bytes: number) => Promise<void>,
  onSent: (bytes: number) => void,
): Promise<void> {
  const boundary = randomUUID();
  const fields = {
    upload_id: upload.upload_id,
    chunk_index: index,
    total_chunks: upload.total_chunks,
    sha256,
    epoch: upload.epoch,
  };
  const head = Object.entries(fields)
    .map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
    .join('');
  const before = `${head}--${boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk"\r\n\r\n`;
  const after = `\r\n--${boundary}--\r\n`;
  const request = http.request(`${order.url}/api/batches/upload-chunk`, {
    method: 'POST',
    agent,
    headers: {
      authorization: `Bearer ${upload.upload_token}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': before.length + chunk.length + after.length,
    },
  });
  const answer = answerOf(v.object({ verified: v.literal(true) }), request);
  answer.catch(() => undefined); // awaited below, when all has been written
  request.write(before);
  const size = order.bytesPerSecond === null ? PIECE : PACED_PIECE;
  for (let at = 0; at < chunk.length; at += size) {
    const piece = chunk.subarray(at, at + size);
    await pace(piece.length);
    if (!request.write(piece)) {
      await Promise.race([new Promise((resolve) => request.once('drain', resolve)), answer]);
    }
    onSent(piece.length);
  }
  request.end(after);
  await answer;
}

/** tus-js-client as it comes: one stream, nothing set but where to. */
function sendTus({ url, file }: Extract<Order, { way: 'tus' }>): Promise<void> {
  const began = Date.now();
  return new Promise((resolve, reject) => {
    const upload = new Upload(createReadStream(file), {
      endpoint: url,
      onError: reject,
      onSuccess() {
        tell({ told: 'done', began, ended: Date.now(), lastByteAt: Date.now() });
        resolve();
      },
    });
    upload.start();
  });
}

const order = v.parse(Order, JSON.parse(process.argv[2] ?? '{}'));
await (order.way === 'tus' ? sendTus(order) : sendSheaf(order));
agent.destroy();
process.disconnect?.();
