// The only file that fetches: one function a route, every answer parsed by its schema. What a server or a network may
// say on an ordinary day is a value here, never an exception.
import { createParser } from 'eventsource-parser';
import * as v from 'valibot';
import { Me, TokenAnswer } from '../shared/protocol/auth.ts';
import { BatchDetail, BatchList, DeleteAnswer, GroupList, SheetDetail, SheetList } from '../shared/protocol/batch.ts';
import {
  KeyAnswer,
  type KeyContent,
  KeyImpact,
  KeyList,
  KeyValidation,
  KeyVersions,
  PublishAnswer,
  TaskAnswer,
  TaskList,
} from '../shared/protocol/key.ts';
import { Problem, type ProblemCode } from '../shared/protocol/problem.ts';
import { SnippetList } from '../shared/protocol/snippet.ts';
import { APP_EVENTS, STREAM_EVENTS, type StreamEventType } from '../shared/protocol/stream.ts';
import { PullAnswer, PushAnswer, type PushForm } from '../shared/protocol/sync.ts';
import {
  ChunkAnswer,
  type OpenUpload,
  OpenUploadAnswer,
  SealAnswer,
  UploadAnswer,
  type UploadState,
} from '../shared/protocol/upload.ts';
import {
  Centre,
  CentreList,
  DeviceList,
  ExamList,
  type NewUser,
  UserList,
  type UserPatch,
  UserRow,
} from '../shared/protocol/user.ts';

/** The server understood and said no. `code` is null when the answer was no problem document (a proxy's page). */
export interface Refused {
  kind: 'refused';
  status: number;
  code: ProblemCode | null;
  detail: string;
  /** one line a field, where the body was not valid */
  errors: { field: string; message: string }[];
  /** how much of the chunk the server holds, where it said so */
  landed: number | null;
  retry_after_ms: number | null;
}
/** No answer, or one that cannot be Sheaf's (a captive portal). `timed_out`: ours was the patience that ended. */
export interface Unreachable {
  kind: 'unreachable';
  detail: string;
  timed_out: boolean;
}
export type Answer<T> = { kind: 'ok'; value: T } | Refused | Unreachable;

export type StreamEvent = {
  [T in StreamEventType]: { id: string | null; type: T; data: v.InferOutput<(typeof STREAM_EVENTS)[T]> };
}[StreamEventType];
/** `ended`: 204, nothing will ever come after the id that was sent. What arrived together comes together; an empty list is
 *  a sign of life. */
export type Opened<E> = { kind: 'ended' } | { kind: 'open'; events: AsyncGenerator<E[], void> };

/** What the app's stream says to whoever wants to know that there is news, and not what. */
const POKES = {
  'batches.changed': APP_EVENTS['batches.changed'],
  reauth: APP_EVENTS.reauth,
  shutdown: APP_EVENTS.shutdown,
} as const;
export type Poke = {
  [T in keyof typeof POKES]: { id: string | null; type: T; data: v.InferOutput<(typeof POKES)[T]> };
}[keyof typeof POKES];

/** What is said of a task besides its number. */
export type TaskBody = Omit<TaskAnswer, 'task_id' | 'rev' | 'template_version'>;

export interface Part {
  upload_id: string;
  chunk_index: number;
  total_chunks: number;
  /** where in the chunk `body` starts, bytes */
  offset: number;
  /** of the whole chunk */
  sha256: string;
  epoch: number;
  body: Blob;
}

/** A scan as browsers show it. */
export interface ScanImage {
  blob: Blob;
  /** of the raster that the page was read on, where `blob` is a smaller one */
  raster: { width: number; height: number } | null;
}

export const CHUNK_PATH = '/api/batches/upload-chunk';

/** The body of a part: the fields go before the bytes, so that the server knows where to write them. */
export function partForm(part: Part): FormData {
  const form = new FormData();
  form.set('upload_id', part.upload_id);
  form.set('chunk_index', String(part.chunk_index));
  form.set('total_chunks', String(part.total_chunks));
  form.set('offset', String(part.offset));
  form.set('sha256', part.sha256);
  form.set('epoch', String(part.epoch));
  form.set('chunk', part.body, `chunk-${part.chunk_index}`);
  return form;
}

/** Told how many bytes of a body have left, now and then. */
export type OnSent = (bytes: number) => void;

/** A question that moves no bytes is answered within this, or the network is taken for gone. */
const PATIENCE_MS = 20_000;
/** A part is meant to take 20 s at most (pace.ts): one that takes this long is cut in halves rather than waited for. */
export const PART_PATIENCE_MS = 120_000;

/** `Retry-After` is seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, now: number): number | null {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

async function refusal(response: Response): Promise<Refused> {
  const problem = v.safeParse(Problem, await response.json().catch(() => null));
  return {
    kind: 'refused',
    status: response.status,
    code: problem.success ? problem.output.code : null,
    detail: problem.success ? problem.output.detail : `the server answered ${response.status}`,
    errors: problem.success ? (problem.output.errors ?? []) : [],
    landed: problem.success ? (problem.output.landed ?? null) : null,
    retry_after_ms: retryAfterMs(response.headers.get('retry-after'), Date.now()),
  };
}

/** A gateway that answers for a dead server, or a hotel that wants a room number first, is no sign of life. */
const isOurs = ({ status, headers }: Response): boolean => {
  if (status === 502 || status === 504) return false;
  return status === 204 || /json|event-stream|^image\/|text\/csv/.test(headers.get('content-type') ?? '');
};

const TemplateList = v.object({ items: v.array(v.object({ template_id: v.string(), version: v.number() })) });

const unreachable = (error: unknown): Unreachable => ({
  kind: 'unreachable',
  detail: error instanceof Error ? error.message : String(error),
  timed_out: error instanceof Error && error.name === 'TimeoutError',
});

type EventTable = Readonly<Record<string, v.GenericSchema>>;

/** An event that does not fit its schema is left out: one odd line must not end the story of a batch. */
function parseEvent<E>(table: EventTable, type: string, id: string | undefined, data: string): E | null {
  const schema = Object.hasOwn(table, type) ? table[type] : undefined;
  if (!schema) return null;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return null;
  }
  const parsed = v.safeParse(schema, json);
  return parsed.success ? ({ id: id ?? null, type, data: parsed.output } as E) : null;
}

/** Yields what arrived together as one array, so that it can be stored in one transaction. An empty one is a sign of life. */
async function* readEvents<E>(body: ReadableStream<Uint8Array>, table: EventTable): AsyncGenerator<E[], void> {
  const decoder = new TextDecoder();
  let got: E[] = [];
  const parser = createParser({
    onEvent(message) {
      const event = parseEvent<E>(table, message.event ?? 'message', message.id, message.data);
      if (event) got.push(event);
    },
  });
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield got;
      got = [];
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

export interface ApiOptions {
  /** Told after each request whether Sheaf answered at all: the only evidence about the network that is believed. */
  heard?: (reachable: boolean) => void;
  fetch?: typeof globalThis.fetch;
  /** sends a body and tells how far it is, which `fetch` cannot; without it nothing is told */
  send?: (path: string, init: RequestInit, onSent: OnSent) => Promise<Response>;
  /** before each path, where relative ones lead nowhere: a worker made from a Blob has no address of its own */
  origin?: string;
}

export function createApi(options: ApiOptions = {}) {
  const fetch: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const heard = options.heard ?? (() => {});
  const origin = options.origin ?? '';

  type Init = RequestInit & { token?: string; patience_ms?: number; onSent?: OnSent };

  async function request(path: string, init: Init): Promise<{ kind: 'ok'; value: Response } | Refused | Unreachable> {
    const { token, patience_ms = PATIENCE_MS, signal, onSent, ...rest } = init;
    const headers = new Headers(rest.headers);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    const signals = [signal, patience_ms === Infinity ? null : AbortSignal.timeout(patience_ms)].filter(
      (s) => s != null,
    );
    let response: Response;
    try {
      const asked: RequestInit = { cache: 'no-store', ...rest, headers, signal: AbortSignal.any(signals) };
      response =
        onSent && options.send
          ? await options.send(`${origin}${path}`, asked, onSent)
          : await fetch(`${origin}${path}`, asked);
    } catch (error) {
      if (!signal?.aborted) heard(false);
      return unreachable(error);
    }
    heard(isOurs(response));
    return response.ok ? { kind: 'ok', value: response } : refusal(response);
  }

  async function ask<S extends v.GenericSchema>(
    schema: S,
    path: string,
    init: Init = {},
  ): Promise<Answer<v.InferOutput<S>>> {
    const answer = await request(path, init);
    if (answer.kind !== 'ok') return answer;
    try {
      return { kind: 'ok', value: v.parse(schema, await answer.value.json()) };
    } catch (error) {
      return unreachable(new Error('the answer is not one of Sheaf', { cause: error }));
    }
  }

  async function blob(path: string, init: Init): Promise<Answer<Blob>> {
    const answer = await image(path, init);
    return answer.kind === 'ok' ? { kind: 'ok', value: answer.value.blob } : answer;
  }

  async function image(path: string, init: Init): Promise<Answer<ScanImage>> {
    const answer = await request(path, init);
    if (answer.kind !== 'ok') return answer;
    const [, width, height] = /^(\d+)x(\d+)$/.exec(answer.value.headers.get('x-scan-size') ?? '') ?? [];
    const raster = width && height ? { width: Number(width), height: Number(height) } : null;
    try {
      return { kind: 'ok', value: { blob: await answer.value.blob(), raster } };
    } catch (error) {
      return unreachable(error);
    }
  }

  const json = (method: string, body: unknown): RequestInit => ({
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const id = encodeURIComponent;

  return {
    login: (username: string, password: string) =>
      ask(TokenAnswer, '/api/auth/login', { method: 'POST', body: new URLSearchParams({ username, password }) }),
    /** Rotates the httpOnly cookie, which the browser sends by itself. */
    refresh: () => ask(TokenAnswer, '/api/auth/refresh', json('POST', {})),
    async logout(): Promise<Answer<null>> {
      const answer = await request('/api/auth/logout', json('POST', {}));
      return answer.kind === 'ok' ? { kind: 'ok', value: null } : answer;
    },
    async changePassword(token: string, current_password: string, new_password: string): Promise<Answer<null>> {
      const answer = await request('/api/auth/password', {
        ...json('POST', { current_password, new_password }),
        token,
      });
      return answer.kind === 'ok' ? { kind: 'ok', value: null } : answer;
    },
    me: (token: string) => ask(Me, '/api/auth/me', { token }),

    openUpload: (token: string, body: OpenUpload) =>
      ask(OpenUploadAnswer, '/api/batches/uploads', { ...json('POST', body), token }),
    uploadState: (token: string, uploadId: string) =>
      ask(UploadAnswer, `/api/batches/uploads/${id(uploadId)}`, { token }),
    sendPart: (token: string, part: Part, signal: AbortSignal, onSent?: OnSent) =>
      ask(ChunkAnswer, CHUNK_PATH, {
        method: 'POST',
        body: partForm(part),
        token,
        signal,
        patience_ms: PART_PATIENCE_MS,
        ...(onSent ? { onSent } : {}),
      }),
    /** What has landed of it goes from the server, too. */
    cancelUpload: async (token: string, uploadId: string): Promise<Answer<null>> => {
      const answer = await request(`/api/batches/uploads/${id(uploadId)}`, { method: 'DELETE', token });
      return answer.kind === 'ok' ? { kind: 'ok', value: null } : answer;
    },
    seal: (token: string, uploadId: string) =>
      // Sealing may have to hash what two senders touched: let it take its time.
      ask(SealAnswer, `/api/batches/uploads/${id(uploadId)}/seal`, {
        ...json('POST', {}),
        token,
        patience_ms: PART_PATIENCE_MS,
      }),

    batches: (token: string, page: number) => ask(BatchList, `/api/batches?page=${page}`, { token }),
    batch: (token: string, batchId: string) => ask(BatchDetail, `/api/batches/${id(batchId)}/status`, { token }),
    groups: (token: string, batchId: string) => ask(GroupList, `/api/batches/${id(batchId)}/groups`, { token }),
    control: (token: string, batchId: string, what: 'pause' | 'resume' | 'cancel' | 'restore') =>
      ask(BatchDetail, `/api/batches/${id(batchId)}/${what}`, { ...json('POST', {}), token }),
    reprocess: (token: string, batchId: string, what: 'all' | 'failed') =>
      ask(BatchDetail, `/api/batches/${id(batchId)}/reprocess`, { ...json('POST', { what }), token }),
    deleteBatch: (token: string, batchId: string) =>
      ask(DeleteAnswer, `/api/batches/${id(batchId)}`, { method: 'DELETE', token }),
    /** @param width in pixels: a small JPEG; null: the scan itself */
    image: (token: string, batchId: string, sheetId: string, width: number | null, signal?: AbortSignal) =>
      image(`/api/batches/${id(batchId)}/sheets/${id(sheetId)}/image${width === null ? '' : `?width=${width}`}`, {
        token,
        // A scan of 600 dpi is megabytes.
        patience_ms: PART_PATIENCE_MS,
        ...(signal ? { signal } : {}),
      }),
    /** Snippets of fields. @param of as SnippetQuery has it */
    snippets: (token: string, batchId: string, of: string, signal?: AbortSignal) =>
      ask(SnippetList, `/api/batches/${id(batchId)}/snippets?of=${of}`, {
        token,
        // Some of these pages may take a second each to be opened.
        patience_ms: PART_PATIENCE_MS,
        ...(signal ? { signal } : {}),
      }),
    sheet: (token: string, batchId: string, sheetId: string) =>
      ask(SheetDetail, `/api/batches/${id(batchId)}/sheets/${id(sheetId)}`, { token }),
    export: (token: string, batchId: string, format: 'wide' | 'long') =>
      blob(`/api/batches/${id(batchId)}/export?format=${format}`, { token, patience_ms: PART_PATIENCE_MS }),
    sheets: (token: string, batchId: string, page: number, limit: number) =>
      ask(SheetList, `/api/batches/${id(batchId)}/sheets?page=${page}&limit=${limit}`, { token }),
    /** Never ends by itself while the batch lives: whoever reads keeps a watch and aborts `signal`. */
    async stream(
      token: string,
      batchId: string,
      lastEventId: string | null,
      signal: AbortSignal,
    ): Promise<Answer<Opened<StreamEvent>>> {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (lastEventId !== null) headers['last-event-id'] = lastEventId;
      const path = `/api/batches/${id(batchId)}/stream`;
      const answer = await request(path, { token, headers, signal, patience_ms: Infinity });
      if (answer.kind !== 'ok') return answer;
      if (answer.value.status === 204 || !answer.value.body) return { kind: 'ok', value: { kind: 'ended' } };
      return { kind: 'ok', value: { kind: 'open', events: readEvents(answer.value.body, STREAM_EVENTS) } };
    },
    /** Says which batches have changed, for as long as it is held; whoever reads keeps a watch and aborts `signal`. */
    async pokes(token: string, signal: AbortSignal): Promise<Answer<Opened<Poke>>> {
      const headers = { accept: 'text/event-stream' };
      const answer = await request('/api/events', { token, headers, signal, patience_ms: Infinity });
      if (answer.kind !== 'ok') return answer;
      if (!answer.value.body) return { kind: 'ok', value: { kind: 'ended' } };
      return { kind: 'ok', value: { kind: 'open', events: readEvents(answer.value.body, POKES) } };
    },
    keys: (token: string, page: number) => ask(KeyList, `/api/answer-keys?page=${page}`, { token }),
    /** Its newest version, published or draft. */
    key: (token: string, keyId: string) => ask(KeyAnswer, `/api/answer-keys/${id(keyId)}`, { token }),
    keyVersions: (token: string, keyId: string) =>
      ask(KeyVersions, `/api/answer-keys/${id(keyId)}/versions`, { token }),
    /** A new key, or the next version of one that is published. */
    createKey: (token: string, key_id: string, content: KeyContent) =>
      ask(KeyAnswer, '/api/answer-keys', { ...json('POST', { key_id, content }), token }),
    editKey: (token: string, keyId: string, content: KeyContent, base_rev: number) =>
      ask(KeyAnswer, `/api/answer-keys/${id(keyId)}`, { ...json('PATCH', { content, base_rev }), token }),
    validateKey: (token: string, keyId: string) =>
      ask(KeyValidation, `/api/answer-keys/${id(keyId)}/validate`, { ...json('POST', {}), token }),
    keyImpact: (token: string, keyId: string, version: number, cut_score: number | null) =>
      ask(KeyImpact, `/api/answer-keys/${id(keyId)}/versions/${version}/impact`, {
        ...json('POST', cut_score === null ? {} : { cut_score }),
        token,
        patience_ms: PART_PATIENCE_MS,
      }),
    publishKey: (token: string, keyId: string, rev: number) =>
      ask(PublishAnswer, `/api/answer-keys/${id(keyId)}/publish`, {
        ...json('POST', { rev }),
        token,
        patience_ms: PART_PATIENCE_MS,
      }),

    tasks: (token: string, page: number) => ask(TaskList, `/api/tasks?page=${page}`, { token }),
    task: (token: string, taskId: string) => ask(TaskAnswer, `/api/tasks/${id(taskId)}`, { token }),
    createTask: (token: string, task: TaskBody & { task_id: string }) =>
      ask(TaskAnswer, '/api/tasks', { ...json('POST', task), token }),
    editTask: (token: string, taskId: string, task: TaskBody, base_rev: number) =>
      ask(TaskAnswer, `/api/tasks/${id(taskId)}`, { ...json('PATCH', { ...task, base_rev }), token }),
    templates: (token: string) => ask(TemplateList, '/api/templates', { token }),
    centres: (token: string) => ask(CentreList, '/api/centres', { token }),
    createCentre: (token: string, name: string) =>
      ask(Centre, '/api/centres', { ...json('POST', { centre_id: name, name }), token }),
    exams: (token: string) => ask(ExamList, '/api/exams', { token }),

    /** What a scope (`office`, `batch:<id>`) holds, or what of it has changed since `cursor`. */
    pull: (token: string, scope: string, cursor: string | undefined) =>
      ask(PullAnswer, `/api/sync/pull?${new URLSearchParams({ scope, ...(cursor === undefined ? {} : { cursor }) })}`, {
        token,
      }),
    push: (token: string, form: PushForm) => ask(PushAnswer, '/api/sync/push', { ...json('POST', form), token }),

    users: (token: string, page: number) => ask(UserList, `/api/users?page=${page}`, { token }),
    createUser: (token: string, user: NewUser) => ask(UserRow, '/api/users', { ...json('POST', user), token }),
    patchUser: (token: string, userId: string, patch: UserPatch) =>
      ask(UserRow, `/api/users/${id(userId)}`, { ...json('PATCH', patch), token }),
    setPassword: (token: string, userId: string, password: string) =>
      ask(UserRow, `/api/users/${id(userId)}/password`, { ...json('POST', { password }), token }),
    devices: (token: string, userId: string) => ask(DeviceList, `/api/users/${id(userId)}/sessions`, { token }),
    async revokeDevice(token: string, userId: string, sessionId: string): Promise<Answer<null>> {
      const answer = await request(`/api/users/${id(userId)}/sessions/${id(sessionId)}`, { method: 'DELETE', token });
      return answer.kind === 'ok' ? { kind: 'ok', value: null } : answer;
    },
    /** Is there a Sheaf at the other end? No one needs to be signed in. */
    async alive(): Promise<boolean> {
      const answer = await request('/healthz', { patience_ms: 8_000 });
      return answer.kind === 'ok' && isOurs(answer.value);
    },
  };
}
export type Api = ReturnType<typeof createApi>;
export type UploadStateName = v.InferOutput<typeof UploadState>;
