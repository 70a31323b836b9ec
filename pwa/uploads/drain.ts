// Sends what the queue holds: look what the server has, send the rest, delete what it verified. One drain at a time runs
// on a device (sender.ts); killed on any line it loses nothing, because bytes are let go only after the server's word.
import type { Answer, Api, Refused, Unreachable } from '../api.ts';
import type { Chunk, QueueDb, ServerSide, Upload, WaitReason } from '../db.ts';
import type { Session } from '../session.ts';
import { inRanges, sendingOrder } from './plan.ts';
import {
  allUploads,
  chunkBytes,
  chunksFor,
  getUpload,
  lose,
  openBody,
  release,
  setLanded,
  setServer,
  setStep,
  totalChunks,
} from './queue.ts';
import { sha256 } from './stage.ts';
import { ATTEMPTS, pauseMs, verdict } from './verdict.ts';

export interface DrainDeps {
  queue: QueueDb;
  api: Api;
  session: Session;
  /** ms since 1970 */
  now: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** ends the drain at the next safe place, and the request under way */
  signal: AbortSignal;
  /** ms since 1970: no new part is begun after this */
  deadline: number;
  /** told which upload is in hand */
  onUpload?: (id: string) => void;
}

/** `empty`: nothing left that could be sent. `waiting`: something is left, but not for now. `more`: time ran out. */
export type DrainEnd = 'empty' | 'waiting' | 'more';

type Outcome =
  | { kind: 'sent' }
  | { kind: 'set-aside' }
  | { kind: 'out-of-time' }
  /** `stop`: what stands in the way stands in the way of every upload */
  | { kind: 'wait'; why: WaitReason; detail: string; not_before: number; stop: boolean };

/** What we knew of the server's side does not hold any more. */
type Anew = { kind: 'reopen' } | { kind: 'look-again' };

/** A part takes some seconds on an ordinary line, so that little is sent twice and progress can be seen. */
export const PART_SIZE = 8 * 2 ** 20;
/** What was learned of the line: the part that it can take. */
interface Line {
  part: number;
}
const SMALLEST_PART = 64 * 1024;

/** Steps that a drain takes up. What is staging, incomplete, parked or sent waits for somebody else. */
const sendable = (upload: Upload): boolean => upload.step.at === 'queued' || upload.step.at === 'waiting';

export async function drain(deps: DrainDeps): Promise<DrainEnd> {
  const tried = new Set<string>();
  let left = false;
  for (;;) {
    const waiting = (await allUploads(deps.queue))
      .filter((upload) => sendable(upload) && !tried.has(upload.id))
      .sort((a, b) => a.created_at.localeCompare(b.created_at));
    const upload = waiting[0];
    if (!upload) return left ? 'waiting' : 'empty';
    if (deps.signal.aborted || deps.now() >= deps.deadline) return 'more';
    tried.add(upload.id);
    if (upload.step.at === 'waiting' && upload.step.not_before > deps.now()) {
      left = true;
      continue;
    }
    if (upload.step.at === 'waiting') await setStep(deps.queue, upload.id, { at: 'queued' });
    deps.onUpload?.(upload.id);
    const outcome = await sendUpload(deps, upload);
    switch (outcome.kind) {
      case 'sent':
      case 'set-aside':
        continue;
      case 'out-of-time':
        return 'more';
      case 'wait': {
        const { why, detail, not_before } = outcome;
        await setStep(deps.queue, upload.id, { at: 'waiting', why, detail, not_before });
        left = true;
        if (outcome.stop) return 'waiting';
      }
    }
  }
}

const outOfTime: Outcome = { kind: 'out-of-time' };
const waitFor = (why: WaitReason, detail: string, stop: boolean, not_before = 0): Outcome => ({
  kind: 'wait',
  why,
  detail,
  not_before,
  stop,
});

async function sendUpload(deps: DrainDeps, upload: Upload): Promise<Outcome> {
  let server = upload.server;
  // Begun anew at most twice a drain: a server that keeps forgetting is not helped by haste.
  for (let round = 0; round <= 2; round++) {
    if (!server) {
      const answer = await open(deps, upload);
      if (answer.kind !== 'ok') return answer.outcome;
      server = answer.server;
    }
    const outcome = await lookAndSend(deps, upload, server);
    if (outcome.kind === 'look-again') continue;
    if (outcome.kind !== 'reopen') return outcome;
    server = null;
    await setServer(deps.queue, upload.id, null);
  }
  return waitFor('busy', 'the server keeps forgetting this upload', false);
}

async function open(
  deps: DrainDeps,
  upload: Upload,
): Promise<{ kind: 'ok'; server: ServerSide } | { kind: 'no'; outcome: Outcome }> {
  const no = (outcome: Outcome) => ({ kind: 'no' as const, outcome });
  const who = await deps.session.access();
  if (who.kind === 'signed-out') return no(waitFor('sign-in', `${upload.owner.username} must sign in`, false));
  if (who.kind === 'unreachable') return no(waitFor('no-network', who.detail, true));
  if (who.user_id !== upload.owner.user_id)
    return no(waitFor('other-user', `${upload.owner.username} must sign in`, false));
  if ((await deps.session.identity())?.me.must_change_password)
    return no(waitFor('password', 'the password must be changed first', false));
  const answer = await persist(deps, () => deps.session.ask((token) => deps.api.openUpload(token, openBody(upload))));
  if (answer.kind === 'aborted') return no(outOfTime);
  if (answer.kind !== 'ok') {
    if (answer.kind === 'refused' && answer.status === 401) return no(waitFor('sign-in', answer.detail, false));
    if (answer.kind === 'refused' && answer.code === 'UPLOAD_GONE')
      return no(await park(deps, upload, answer.code, answer.detail));
    return no(await giveWay(deps, upload, answer));
  }
  const { upload_id, batch_id, upload_token, epoch } = answer.value;
  const server = { upload_id, batch_id, upload_token, epoch };
  await setServer(deps.queue, upload.id, server);
  return { kind: 'ok', server };
}

async function lookAndSend(deps: DrainDeps, upload: Upload, server: ServerSide): Promise<Outcome | Anew> {
  const { queue, api } = deps;
  const look = await persist(deps, () => api.uploadState(server.upload_token, server.upload_id));
  if (look.kind === 'aborted') return outOfTime;
  if (look.kind !== 'ok') return verdict(look).act === 'reopen' ? { kind: 'reopen' } : giveWay(deps, upload, look);
  if (look.value.state === 'rejected')
    return park(deps, upload, 'REJECTED', look.value.reason ?? 'the server rejected this upload');

  const chunks = new Map((await chunksFor(queue, upload.id)).map((chunk) => [chunk.index, chunk]));
  const { held, partial } = look.value;
  const proven = [...chunks.values()].filter((chunk) => chunk.state === 'staged' && inRanges(held, chunk.index));
  await release(
    queue,
    upload.id,
    proven.map((chunk) => chunk.index),
  );
  if (look.value.state === 'sealed') return sealed(deps, upload);

  const order = sendingOrder(upload.size, upload.chunk_size, held);
  const gone = order.filter((index) => chunks.get(index)?.state !== 'staged');
  if (gone.length > 0) {
    const sent = gone.some((index) => chunks.get(index)?.state === 'sent');
    await lose(queue, upload.id, gone, sent ? 'server-lost' : 'damaged');
    return { kind: 'set-aside' };
  }
  const line: Line = { part: PART_SIZE };
  for (const index of order) {
    if (deps.signal.aborted || deps.now() >= deps.deadline) return outOfTime;
    const outcome = await sendChunk(deps, upload, server, chunks.get(index)!, partial[String(index)] ?? 0, line);
    if (outcome.kind !== 'verified') return outcome;
  }
  return seal(deps, upload, server);
}

async function sendChunk(
  deps: DrainDeps,
  upload: Upload,
  server: ServerSide,
  chunk: Chunk,
  landedBefore: number,
  line: Line,
): Promise<Outcome | Anew | { kind: 'verified' }> {
  const { queue, api, signal } = deps;
  const stored = await chunkBytes(queue, upload.id, chunk.index);
  let landed = landedBefore < chunk.size ? landedBefore : 0;
  let failures = 0;
  while (!signal.aborted && deps.now() < deps.deadline) {
    // Read before it is sent: bytes that IndexedDB lists but cannot give back would look like a dead network in `fetch`.
    const bytes = await stored
      ?.slice(landed, landed + line.part)
      .arrayBuffer()
      .catch(() => null);
    if (!bytes) {
      await lose(queue, upload.id, [chunk.index], 'damaged');
      return { kind: 'set-aside' };
    }
    const answer = await api.sendPart(
      server.upload_token,
      {
        upload_id: server.upload_id,
        chunk_index: chunk.index,
        total_chunks: totalChunks(upload),
        offset: landed,
        sha256: chunk.sha256,
        epoch: server.epoch,
        body: new Blob([bytes]),
      },
      signal,
    );
    if (answer.kind === 'ok') {
      if (answer.value.verified) {
        await release(queue, upload.id, [chunk.index]);
        return { kind: 'verified' };
      }
      // A server that took a part and stands where it stood would keep us here for ever.
      failures = answer.value.landed > landed ? 0 : failures + 1;
      if (failures >= ATTEMPTS) return waitFor('busy', 'the server takes parts but does not keep them', true);
      landed = answer.value.landed;
      await setLanded(queue, upload.id, chunk.index, landed);
      continue;
    }
    if (signal.aborted) return outOfTime;
    if (answer.kind === 'refused' && answer.landed !== null) landed = Math.min(answer.landed, chunk.size - 1);
    const judged = verdict(answer);
    switch (judged.act) {
      case 'reopen':
        return { kind: 'reopen' };
      case 'look-again':
        return { kind: 'look-again' };
      case 'resume':
        failures += 1;
        if (failures >= ATTEMPTS) return waitFor('busy', answer.detail, true);
        continue;
      case 'park':
        return park(deps, upload, judged.code, answer.detail);
      case 'back-off':
        return waitFor(judged.why, answer.detail, true, deps.now() + judged.after_ms);
      case 'halve':
        if (line.part <= SMALLEST_PART) return waitFor('busy', answer.detail, true);
        line.part = Math.max(SMALLEST_PART, line.part / 2);
        continue;
      case 'check-bytes': {
        const ours = await stored?.arrayBuffer().then(sha256, () => null);
        if (ours !== chunk.sha256) {
          await lose(queue, upload.id, [chunk.index], 'damaged');
          return { kind: 'set-aside' };
        }
        landed = 0;
        failures += 1;
        if (failures >= ATTEMPTS) return waitFor('busy', answer.detail, false);
        continue;
      }
      case 'retry':
        failures += 1;
        if (failures >= ATTEMPTS) return waitFor(judged.why, answer.detail, true);
        await deps.sleep(Math.max(judged.at_least_ms, pauseMs(failures, deps.random)), signal);
    }
  }
  return outOfTime;
}

async function seal(deps: DrainDeps, upload: Upload, server: ServerSide): Promise<Outcome | Anew> {
  const answer = await persist(deps, () => deps.api.seal(server.upload_token, server.upload_id));
  if (answer.kind === 'aborted') return outOfTime;
  if (answer.kind === 'ok') return sealed(deps, upload);
  // A chunk that was verified is not any more: what the server holds now is the truth.
  if (answer.kind === 'refused' && answer.code === 'UPLOAD_INCOMPLETE') return { kind: 'look-again' };
  const { act } = verdict(answer);
  return act === 'reopen' || act === 'look-again' ? { kind: act } : giveWay(deps, upload, answer);
}

async function sealed(deps: DrainDeps, upload: Upload): Promise<Outcome> {
  await setStep(deps.queue, upload.id, { at: 'sent', sealed_at: new Date(deps.now()).toISOString() });
  return { kind: 'sent' };
}

async function park(deps: DrainDeps, upload: Upload, code: string, detail: string): Promise<Outcome> {
  // Whoever removed it meanwhile has the last word.
  if (await getUpload(deps.queue, upload.id)) await setStep(deps.queue, upload.id, { at: 'parked', code, detail });
  return { kind: 'set-aside' };
}

/** What to do about an upload whose question, not one of its chunks, was refused after all attempts. */
async function giveWay(deps: DrainDeps, upload: Upload, answer: Refused | Unreachable): Promise<Outcome> {
  const judged = verdict(answer);
  switch (judged.act) {
    case 'park':
      return park(deps, upload, judged.code, answer.detail);
    case 'back-off':
      return waitFor(judged.why, answer.detail, true, deps.now() + judged.after_ms);
    case 'retry':
      return waitFor(judged.why, answer.detail, true);
    case 'halve':
      return waitFor('no-network', answer.detail, true);
    case 'reopen':
    case 'look-again':
    case 'resume':
    case 'check-bytes':
      return waitFor('busy', answer.detail, false);
  }
}

/** Asks up to three times, pausing in between, as long as the answer may get better by itself. */
async function persist<T>(
  deps: DrainDeps,
  question: () => Promise<Answer<T>>,
): Promise<Answer<T> | { kind: 'aborted' }> {
  for (let attempt = 1; ; attempt++) {
    if (deps.signal.aborted) return { kind: 'aborted' };
    const answer = await question();
    if (answer.kind === 'ok' || attempt >= ATTEMPTS) return answer;
    const judged = verdict(answer);
    if (judged.act !== 'retry') return answer;
    await deps.sleep(Math.max(judged.at_least_ms, pauseMs(attempt, deps.random)), deps.signal);
  }
}
