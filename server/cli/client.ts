// Sheaf's public API as a command sees it: signs in, sends a file in chunks, follows a batch. It does what any program
// of a stranger's could do, and nothing more.
import { createHash, randomUUID } from 'node:crypto';
import { createParser } from 'eventsource-parser';
import * as v from 'valibot';
import { TokenAnswer } from '../../shared/protocol/auth.ts';
import { BatchDetail } from '../../shared/protocol/batch.ts';
import { Problem } from '../../shared/protocol/problem.ts';
import { ENDED } from '../../shared/protocol/stage.ts';
import type { OpenUpload } from '../../shared/protocol/upload.ts';
import { ChunkAnswer, chunkCount, OpenUploadAnswer, SealAnswer } from '../../shared/protocol/upload.ts';

/** The server answered, and refused. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly problem: Problem;
  constructor(status: number, problem: Problem) {
    super(problem.detail);
    this.name = 'ApiRefusal';
    this.status = status;
    this.problem = problem;
  }
}

export interface StreamEvent {
  id: string | null;
  type: string;
  data: unknown;
}

export interface SendOptions extends Pick<OpenUpload, 'name' | 'upload_type' | 'task_id' | 'chunk_size' | 'files'> {
  client_upload_id?: string;
  onOpen?(answer: OpenUploadAnswer): void;
  onChunk?(answer: ChunkAnswer): void;
}

export type Client = ReturnType<typeof createClient>;

const isBody = (body: unknown): body is FormData | URLSearchParams =>
  body instanceof FormData || body instanceof URLSearchParams;

async function refusalOf(response: Response): Promise<ApiRefusal> {
  const text = await response.text();
  let problem: unknown;
  try {
    problem = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${response.url} answered ${response.status} with no problem document`, { cause });
  }
  return new ApiRefusal(response.status, v.parse(Problem, problem));
}

/** Signs in at once; signs in again whenever the token has run out. `signal` ends all that the client does.
 *  @throws ApiRefusal when user name or password are wrong */
export async function signIn(
  url: string,
  username: string,
  password: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<Client> {
  const client = createClient(url, username, password, signal);
  await client.signIn();
  return client;
}

function createClient(url: string, username: string, password: string, ended: AbortSignal) {
  let token = '';

  async function login(): Promise<void> {
    const body = new URLSearchParams({ username, password });
    const response = await fetch(`${url}/api/auth/login`, { method: 'POST', body, signal: ended });
    if (!response.ok) throw await refusalOf(response);
    token = v.parse(TokenAnswer, await response.json()).access_token;
  }

  /** The bare answer, whatever its status. An object as body is sent as JSON. */
  async function request(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const ask = (): Promise<Response> =>
      fetch(`${url}${path}`, {
        method,
        signal: ended,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && !isBody(body) ? { 'content-type': 'application/json' } : {}),
          ...headers,
        },
        ...(body ? { body: isBody(body) ? body : JSON.stringify(body) } : {}),
      });
    const response = await ask();
    if (response.status !== 401 || headers.authorization !== undefined) return response;
    await response.body?.cancel();
    await login();
    return ask();
  }

  async function good(method: string, path: string, body?: object, headers?: Record<string, string>) {
    const response = await request(method, path, body, headers);
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** @throws ApiRefusal · ValiError when the answer is not what the protocol promises */
  async function call<S extends v.GenericSchema>(
    schema: S,
    method: string,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<v.InferOutput<S>> {
    const response = await good(method, path, body, headers);
    return v.parse(schema, await response.json());
  }

  /** Opens an upload, sends the chunks the server does not hold, and seals it. The directory of a ZIP is at its end, so
   *  the last chunk goes first: then the server can read pages while the rest is on its way. */
  async function send(bytes: Buffer, options: SendOptions): Promise<OpenUploadAnswer> {
    const { onOpen, onChunk, client_upload_id = randomUUID(), ...file } = options;
    const open: OpenUpload = { ...file, client_upload_id, size: bytes.length };
    const upload = await call(OpenUploadAnswer, 'POST', '/api/batches/uploads', open);
    onOpen?.(upload);
    const total = chunkCount(upload.size, upload.chunk_size);
    const isHeld = (index: number): boolean => upload.held.some(([from, to]) => from <= index && index <= to);
    const order = [total - 1, ...Array.from({ length: total - 1 }, (_, index) => index)];
    for (const index of order.filter((at) => !isHeld(at))) {
      const answer = await sendChunk(upload, bytes, index);
      onChunk?.(answer);
    }
    await call(SealAnswer, 'POST', `/api/batches/uploads/${upload.upload_id}/seal`);
    return upload;
  }

  function sendChunk(upload: OpenUploadAnswer, bytes: Buffer, index: number): Promise<ChunkAnswer> {
    const start = index * upload.chunk_size;
    const chunk = bytes.subarray(start, start + upload.chunk_size);
    const form = new FormData();
    form.append('upload_id', upload.upload_id);
    form.append('chunk_index', String(index));
    form.append('total_chunks', String(upload.total_chunks));
    form.append('offset', '0');
    form.append('sha256', createHash('sha256').update(chunk).digest('hex'));
    form.append('epoch', String(upload.epoch));
    form.append('chunk', new Blob([new Uint8Array(chunk)]), `${upload.name}.${index}`);
    return call(ChunkAnswer, 'POST', '/api/batches/upload-chunk', form, {
      authorization: `Bearer ${upload.upload_token}`,
    });
  }

  /** One connection to a batch's stream, until the server or `signal` ends it; nothing when the server says that there
   *  is nothing more to come (204). */
  async function* stream(batchId: string, lastEventId?: string, signal?: AbortSignal): AsyncGenerator<StreamEvent> {
    const response = await fetch(`${url}/api/batches/${batchId}/stream`, {
      headers: {
        accept: 'text/event-stream',
        authorization: `Bearer ${token}`,
        ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
      },
      signal: signal ? AbortSignal.any([signal, ended]) : ended,
    });
    if (!response.ok) throw await refusalOf(response);
    if (response.status === 204 || !response.body) return;
    const parsed: StreamEvent[] = [];
    const parser = createParser({
      onEvent: ({ id, event, data }) =>
        parsed.push({ id: id ?? null, type: event ?? 'message', data: JSON.parse(data) }),
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      parser.feed(decoder.decode(bytes, { stream: true }));
      yield* parsed.splice(0);
    }
  }

  /** A batch's events from its first to its last, over as many connections as it takes.
   *  @throws Error when it has not ended after `timeoutMs` */
  async function* follow(batchId: string, timeoutMs: number): AsyncGenerator<StreamEvent> {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ended]);
    let lastId: string | undefined;
    while (!signal.aborted) {
      try {
        for await (const event of stream(batchId, lastId, signal)) {
          lastId = event.type === 'reset' ? undefined : (event.id ?? lastId);
          yield event;
          if (event.type === 'complete' || event.type === 'error') return;
        }
        if (ENDED.includes((await status(batchId)).status)) return;
      } catch (error) {
        if (signal.aborted) break;
        // A token that ran out is renewed; a connection that was cut is made again. Other refusals are final.
        if (error instanceof ApiRefusal && error.status !== 401 && error.status !== 503) throw error;
        if (error instanceof ApiRefusal && error.status === 401) await login();
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    ended.throwIfAborted();
    throw new Error(`batch ${batchId} did not end within ${timeoutMs / 1000} s`);
  }

  const status = (batchId: string): Promise<BatchDetail> => call(BatchDetail, 'GET', `/api/batches/${batchId}/status`);

  /** Asks until the batch has ended. */
  async function waitForBatch(batchId: string, timeoutMs: number): Promise<BatchDetail> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const batch = await status(batchId);
      if (ENDED.includes(batch.status)) return batch;
      if (Date.now() > until)
        throw new Error(`batch ${batchId} is still ${batch.status} (${batch.stage}): ${batch.message}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  return {
    url,
    get token() {
      return token;
    },
    signIn: login,
    request,
    call,
    text: async (path: string): Promise<string> => (await good('GET', path)).text(),
    send,
    sendChunk,
    stream,
    follow,
    status,
    waitForBatch,
  };
}
