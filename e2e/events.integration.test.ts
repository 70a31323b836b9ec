// The app's stream from outside: two batches and the list on one connection, cut and resumed by one id; who may not know of
// a batch hears nothing of it; and a batch's stream that outlives the tokens it was opened with.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { createParser } from 'eventsource-parser';
import { decodeJwt, SignJWT } from 'jose';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqlite } from '../server/adapters/sqlite.ts';
import { signingSecret } from '../server/auth/sessions.ts';
import { type Client, type StreamEvent, signIn } from '../server/cli/client.ts';
import { APP_EVENTS, type AppEventType, isLogged } from '../shared/protocol/stream.ts';
import { MB, OpenUploadAnswer } from '../shared/protocol/upload.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
let operator: Client;
let exam: Exam;
let zip: Buffer;

beforeAll(async () => {
  sheaf = await startSheaf();
  client = await sheaf.client();
  exam = await drawExam({ seed: 8, covers: 2, sheets: 24, questions: 40, dpi: 150 });
  zip = await packZip(exam.scans);
  await announceExam(client, exam);
  const account = { username: 'olga', password: 'pencils before breakfast', role: 'operator', centres: [] };
  const made = await client.request('POST', '/api/users', account);
  expect(made.status, await made.text()).toBe(201);
  const first = await fetch(`${sheaf.url}/api/auth/login`, {
    method: 'POST',
    body: new URLSearchParams({ username: account.username, password: account.password }),
  });
  const { access_token } = (await first.json()) as { access_token: string };
  const own = { current_password: account.password, new_password: 'breakfast before pencils' };
  const changed = await fetch(`${sheaf.url}/api/auth/password`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
    body: JSON.stringify(own),
  });
  expect(changed.ok).toBe(true);
  operator = await signIn(sheaf.url, account.username, own.new_password);
});
afterAll(async () => {
  await sheaf?.stop();
});

/** Everything one connection to a stream brings, until the server ends it or `until` says so. */
async function listen(
  token: string,
  where: string,
  { from, until }: { from?: string | undefined; until?: (event: StreamEvent) => boolean } = {},
): Promise<StreamEvent[]> {
  const cut = new AbortController();
  const response = await fetch(`${sheaf.url}${where}`, {
    headers: { authorization: `Bearer ${token}`, ...(from === undefined ? {} : { 'last-event-id': from }) },
    signal: cut.signal,
  });
  expect(response.status).toBe(200);
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      if (cut.signal.aborted) return;
      const told = { id: id ?? null, type: event ?? '', data: JSON.parse(data) as unknown };
      events.push(told);
      if (until?.(told)) cut.abort();
    },
  });
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body!) parser.feed(decoder.decode(bytes, { stream: true }));
  } catch (error) {
    if (!cut.signal.aborted) throw error;
  }
  return events;
}

const open = (by: Client, name: string): Promise<OpenUploadAnswer> =>
  by.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name,
    size: zip.length,
    chunk_size: MB,
  });
async function sendAll(upload: OpenUploadAnswer, by = client): Promise<void> {
  for (let index = 0; index < upload.total_chunks; index++) await by.sendChunk(upload, zip, index);
}
const batchOf = ({ data }: StreamEvent): string | undefined => (data as { batch_id?: string }).batch_id;
/** What a batch's log says, without the numbers by which one connection counts. */
const logOf = (events: readonly StreamEvent[], batchId: string): unknown[] =>
  events.filter((event) => isLogged(event.type) && batchOf(event) === batchId).map(({ type, data }) => [type, data]);

test('[T1] two batches on one connection, cut again and again, each come whole, in order, once', async () => {
  const [one, two] = [await open(client, 'one.zip'), await open(client, 'two.zip')];
  const where = `/api/events?batches=${one.batch_id}:0,${two.batch_id}:0`;
  const ended = new Set<string>();
  const connections: StreamEvent[][] = [];
  const watching = (async () => {
    let from: string | undefined;
    for (let patience = 9; ended.size < 2; patience += 14) {
      let left = patience;
      const events = await listen(client.token, where, {
        from,
        until: (event) => {
          if (event.type === 'complete') ended.add(batchOf(event)!);
          return ended.size === 2 || --left === 0;
        },
      });
      connections.push(events);
      from = events.at(-1)!.id!;
    }
  })();
  await Promise.all([sendAll(one), sendAll(two)]);
  await watching;
  expect(connections.length).toBeGreaterThan(2);
  const all = connections.flat();
  for (const { type, data } of all)
    expect(v.safeParse(APP_EVENTS[type as AppEventType], data).issues, type).toBeUndefined();
  for (const { batch_id } of [one, two]) {
    const alone = await listen(client.token, `/api/batches/${batch_id}/stream`, { from: '0' });
    const expected = alone
      .filter(({ type }) => isLogged(type))
      .map(({ type, data }) => [type, { batch_id, ...(data as object) }]);
    expect(logOf(all, batch_id)).toEqual(expected);
  }
});

test('[T1] an id of other batches is answered by reset, and all follows anew', async () => {
  const upload = await open(client, 'reset.zip');
  await sendAll(upload);
  await client.waitForBatch(upload.batch_id, 240_000);
  const where = `/api/events?batches=${upload.batch_id}`;
  const untilComplete = ({ type }: StreamEvent) => type === 'complete';
  const strange = await listen(client.token, where, { from: '5-7', until: untilComplete });
  expect(strange[0]?.type).toBe('reset');
  const beyond = await listen(client.token, `${where}:99999`, { until: untilComplete });
  expect(beyond.find(({ type }) => type === 'reset')?.data).toMatchObject({ batch_id: upload.batch_id });
  expect(logOf(beyond, upload.batch_id)).toEqual(logOf(strange, upload.batch_id));
});

test('the list’s changes reach those who may know of the batch, and nobody else', async () => {
  const changes = (events: readonly StreamEvent[]) =>
    events.flatMap(({ type, data }) =>
      type === 'batches.changed' ? ((data as { batch_ids: string[] | null }).batch_ids ?? ['all']) : [],
    );
  let own = '';
  const heard = listen(operator.token, '/api/events', {
    until: ({ data }) => own !== '' && ((data as { batch_ids?: string[] }).batch_ids ?? []).includes(own),
  });
  const foreign = await open(client, 'not-yours.zip');
  await sendAll(foreign);
  await client.waitForBatch(foreign.batch_id, 240_000);
  const yours = await open(operator, 'yours.zip');
  own = yours.batch_id;
  // That it is there may have been told before we knew what it is called: how it goes on is told after.
  await sendAll(yours, operator);
  const told = changes(await heard);
  expect(told[0]).toBe('all');
  expect(told).toContain(own);
  expect(told).not.toContain(foreign.batch_id);

  let listening = (): void => {};
  const connected = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const binned = listen(client.token, '/api/events', {
    until({ data }) {
      listening();
      return ((data as { batch_ids?: string[] }).batch_ids ?? []).includes(foreign.batch_id);
    },
  });
  await connected;
  // Said by its poke, or found by the next look.
  await client.request('DELETE', `/api/batches/${foreign.batch_id}`);
  expect(changes(await binned)).toContain(foreign.batch_id);
});

test('what does not fit is refused: a batch of others, the same twice, no id', async () => {
  const { batch_id } = await open(client, 'refused.zip');
  const status = async (by: Client, query: string) => (await by.request('GET', `/api/events?batches=${query}`)).status;
  expect(await status(operator, batch_id)).toBe(404);
  expect(await status(client, `${batch_id},${batch_id}:3`)).toBe(422);
  expect(await status(client, 'a b')).toBe(422);
});

test('[T1] a stream outlives three access tokens', async () => {
  const upload = await open(client, 'long.zip');
  const db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  const secret = await signingSecret(db).finally(() => db.close());
  const { sub, sid } = decodeJwt<{ sid: string }>(client.token);
  // A token of the same session that has little more left than the time in which one is asked to renew it.
  const token = (seconds: number): Promise<string> =>
    new SignJWT({ sid })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub!)
      .setIssuedAt()
      .setExpirationTime(`${seconds}s`)
      .sign(secret);
  const connections: StreamEvent[][] = [];
  for (let index = 0; index < 3; index++) {
    const from = connections.at(-1)?.at(-1)?.id ?? '0';
    const events = listen(await token(31), `/api/batches/${upload.batch_id}/stream`, { from });
    await client.sendChunk(upload, zip, index);
    connections.push(await events);
    expect(connections[index]!.at(-1)?.type).toBe('reauth');
  }
  const last = listen(await token(600), `/api/batches/${upload.batch_id}/stream`, {
    from: connections[2]!.at(-1)!.id!,
  });
  for (let index = 3; index < upload.total_chunks; index++) await client.sendChunk(upload, zip, index);
  connections.push(await last);
  const numbers = connections
    .flat()
    .filter(({ type }) => isLogged(type))
    .map(({ id }) => Number(id));
  expect(connections[3]!.at(-1)?.type).toBe('complete');
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i + 1));
});
