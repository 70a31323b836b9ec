// Sends what the queue holds: look what the server has, send the rest, delete what it verified. One drain at a time runs
// on a device (sender.ts); killed on any line it loses nothing, because bytes are let go only after the server's word.
import type { Answer, Api, Refused, Unreachable } from '../api.ts';
import type { Chunk, QueueDb, ServerSide, Upload, Wait, WaitReason } from '../db.ts';
import type { Session } from '../session.ts';
import { sha256 } from './digest.ts';
import { createPace, type Pace } from './pace.ts';
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
  setWait,
  totalChunks,
} from './queue.ts';
import { ATTEMPTS, patienceMs, pauseMs, verdict } from './verdict.ts';

/** What it takes to ask the server about an upload. */
export interface AskDeps {
  queue: QueueDb;
  api: Api;
  session: Session;
  /** ms since 1970 */
  now: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** ends it at the next safe place, and the request under way */
  signal: AbortSignal;
}

export interface DrainDeps extends AskDeps {
  /** ms since 1970: no new part is begun after this */
  deadline: number;
  /** There is a reason to try again (a network, a sign-in, a tap, a sync event): our own patience is not waited for. */
  wake: boolean;
  /** what the browser believes of the line, Mbit/s: a first guess at the size of a part */
  downlinkMbps?: number;
  /** told which upload is in hand */
  onUpload?: (id: string) => void;
  /** told how many bytes of a chunk's part have left; null when the part is answered */
  onFlight?: (chunk: number, bytes: number | null) => void;
  /** Asked before each part. `next`: this upload is somebody else's. `stop`: so is the whole queue. */
  direct?: (upload: string) => Promise<'go' | 'next' | 'stop'>;
}

/** `empty`: nothing left that could be sent. `waiting`: something is left, but not for now. `more`: time ran out. */
export type DrainEnd = 'empty' | 'waiting' | 'more';

type Outcome =
  | { kind: 'sent' }
  | { kind: 'set-aside' }
  /** the rest of it is for later, or for somebody else */
  | { kind: 'left' }
  | { kind: 'out-of-time' }
  /** `stop`: what stands in the way stands in the way of every upload */
  | { kind: 'wait'; why: WaitReason; detail: string; not_before: number; stop: boolean };

/** What we knew of the server's side does not hold any more. */
type Anew = { kind: 'reopen' } | { kind: 'look-again' };

const waitOf = ({ step }: Upload): Wait | null =>
  step.at === 'waiting' ? step : step.at === 'passing' ? step.wait : null;

/** Steps that a drain takes up. What is staging, incomplete, parked, sent or paused waits for somebody else. */
const sendable = ({ step, paused }: Upload): boolean =>
  !paused && (step.at === 'queued' || step.at === 'waiting' || step.at === 'passing');

const isDue = (upload: Upload, now: number, wake: boolean): boolean => {
  const wait = waitOf(upload);
  return !wait || (wait.not_before <= now && (wake || wait.again_at <= now));
};

/** Uploads that a drain would take up now, oldest first. */
export async function dueUploads(queue: QueueDb, now: number, wake: boolean): Promise<Upload[]> {
  const due: Upload[] = [];
  for (const upload of await allUploads(queue)) {
    if (!sendable(upload) || !isDue(upload, now, wake)) continue;
    // Of one that passes through there may be nothing here at the moment.
    const here = upload.step.at !== 'passing' || (await chunksFor(queue, upload.id)).some((c) => c.state === 'staged');
    if (here) due.push(upload);
  }
  return due.sort((a, b) => a.created_at.localeCompare(b.created_at));
}

export async function drain(deps: DrainDeps): Promise<DrainEnd> {
  const tried = new Set<string>();
  let left = false;
  for (;;) {
    const upload = (await dueUploads(deps.queue, deps.now(), deps.wake)).find(({ id }) => !tried.has(id));
    if (!upload) {
      const more = (await allUploads(deps.queue)).some((other) => sendable(other) && !tried.has(other.id));
      return left || more ? 'waiting' : 'empty';
    }
    if (deps.signal.aborted || deps.now() >= deps.deadline) return 'more';
    tried.add(upload.id);
    // Before anything is said of it: whoever only looks on would take what waits no more for a reason to come.
    if ((await deps.direct?.(upload.id)) === 'stop') return 'more';
    const before = waitOf(upload);
    if (before) await setWait(deps.queue, upload.id, null);
    deps.onUpload?.(upload.id);
    const outcome = await sendUpload(deps, upload);
    switch (outcome.kind) {
      case 'sent':
      case 'set-aside':
        continue;
      case 'left':
        left = true;
        continue;
      case 'out-of-time':
        return 'more';
      case 'wait': {
        const { why, detail, not_before } = outcome;
        const patience_ms = patienceMs(before?.patience_ms ?? 0, deps.random);
        const again_at = Math.max(not_before, deps.now() + patience_ms);
        await setWait(deps.queue, upload.id, { why, detail, not_before, again_at, patience_ms });
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
      const answer = await openOnServer(deps, upload);
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

/** Makes the upload known to the server, once for ever; its own token moves its bytes from then on. */
export async function openOnServer(
  deps: AskDeps,
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

/**
 * A sender that begins takes the epoch after next: requests of the one before it are refused from then on, and those of a
 * hand-over, which takes the one in between without asking, too.
 */
const EPOCHS_A_SENDER = 2;

async function lookAndSend(deps: DrainDeps, upload: Upload, known: ServerSide): Promise<Outcome | Anew> {
  const { queue, api } = deps;
  // Read before the server is asked: what another sender brings there in between is held by then, not missing.
  const chunks = new Map((await chunksFor(queue, upload.id)).map((chunk) => [chunk.index, chunk]));
  const look = await persist(deps, () => api.uploadState(known.upload_token, known.upload_id));
  if (look.kind === 'aborted') return outOfTime;
  if (look.kind !== 'ok') return verdict(look).act === 'reopen' ? { kind: 'reopen' } : giveWay(deps, upload, look);
  if (look.value.state === 'rejected')
    return park(deps, upload, 'REJECTED', look.value.reason ?? 'the server rejected this upload');

  const { held, partial } = look.value;
  const proven = [...chunks.values()].filter((chunk) => chunk.state === 'staged' && inRanges(held, chunk.index));
  await release(
    queue,
    upload.id,
    proven.map((chunk) => chunk.index),
  );
  if (look.value.state === 'sealed') return sealed(deps, upload);

  const order = sendingOrder(upload.size, upload.chunk_size, held);
  const here = order.filter((index) => chunks.get(index)?.state === 'staged');
  const passing = upload.step.at === 'passing';
  // Of an upload that passes through, what was not copied yet is still to come; what was sent is not.
  const gone = order.filter((index) => {
    const state = chunks.get(index)?.state;
    return state !== 'staged' && !(passing && state === undefined);
  });
  if (gone.length > 0) {
    const states = gone.map((index) => chunks.get(index)?.state);
    const why = states.includes('sent') ? 'server-lost' : states.includes('lost') ? 'damaged' : 'interrupted';
    await lose(queue, upload.id, gone, why);
    return { kind: 'set-aside' };
  }
  if (here.length === 0 && order.length > 0) return { kind: 'left' };
  const way = here.length > 0 ? await wayOf(deps, upload.id) : 'go';
  if (way === 'stop') return outOfTime;
  if (way === 'next') return { kind: 'left' };
  const server = { ...known, epoch: Math.max(known.epoch, look.value.epoch) + EPOCHS_A_SENDER };
  if (here.length > 0) await setServer(queue, upload.id, server);
  const outcome = await sendChunks(
    deps,
    upload,
    server,
    here.map((index) => ({ chunk: chunks.get(index)!, landed: partial[String(index)] ?? 0 })),
  );
  if (outcome.kind !== 'verified') return outcome;
  return here.length < order.length ? { kind: 'left' } : seal(deps, upload, server);
}

/** Asked before each part. What a person has paused meanwhile is passed over like what somebody else sends. */
async function wayOf({ queue, direct }: DrainDeps, id: string): Promise<'go' | 'next' | 'stop'> {
  if ((await getUpload(queue, id))?.paused) return 'next';
  return (await direct?.(id)) ?? 'go';
}

/** Sends chunks, as many at a time as the line rewards. The first that does not arrive ends it, after the parts under way. */
async function sendChunks(
  deps: DrainDeps,
  upload: Upload,
  server: ServerSide,
  chunks: { chunk: Chunk; landed: number }[],
): Promise<Outcome | Anew | { kind: 'verified' }> {
  const pace = createPace(deps.downlinkMbps);
  const ahead = [...chunks];
  const lanes = new Set<Promise<void>>();
  const over: { by: Outcome | Anew | null } = { by: null };
  const begin = ({ chunk, landed }: { chunk: Chunk; landed: number }): void => {
    const lane: Promise<void> = sendChunk(deps, upload, server, chunk, landed, pace, () => over.by !== null)
      .then((outcome) => {
        if (outcome.kind !== 'verified') over.by ??= outcome;
      })
      .finally(() => lanes.delete(lane));
    lanes.add(lane);
  };
  try {
    while (!over.by) {
      while (lanes.size < pace.lanes() && ahead.length > 0) begin(ahead.shift()!);
      if (lanes.size === 0) return { kind: 'verified' };
      await Promise.race(lanes);
    }
    await Promise.all(lanes);
    return over.by;
  } finally {
    // One of them threw: the others come to their end before anybody else may begin.
    over.by ??= outOfTime;
    await Promise.allSettled(lanes);
  }
}

/** `over`: another chunk has ended this drain. Answered `left` then. */
async function sendChunk(
  deps: DrainDeps,
  upload: Upload,
  server: ServerSide,
  chunk: Chunk,
  landedBefore: number,
  pace: Pace,
  over: () => boolean,
): Promise<Outcome | Anew | { kind: 'verified' }> {
  const { queue, api, signal } = deps;
  const stored = await chunkBytes(queue, upload.id, chunk.index);
  let landed = landedBefore < chunk.size ? landedBefore : 0;
  let failures = 0;
  while (!signal.aborted && deps.now() < deps.deadline) {
    if (over()) return { kind: 'left' };
    const way = await wayOf(deps, upload.id);
    if (way === 'stop') return outOfTime;
    if (way === 'next') return { kind: 'left' };
    // Read before it is sent: bytes that IndexedDB lists but cannot give back would look like a dead network in `fetch`.
    const bytes = await stored
      ?.slice(landed, landed + pace.part())
      .arrayBuffer()
      .catch(() => null);
    if (!bytes) {
      const lost = await lose(queue, upload.id, [chunk.index], 'damaged');
      return { kind: lost ? 'set-aside' : 'look-again' };
    }
    const began = deps.now();
    const { onFlight } = deps;
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
      onFlight && ((sent) => onFlight(chunk.index, sent)),
    );
    onFlight?.(chunk.index, null);
    if (answer.kind === 'ok') {
      pace.sent(bytes.byteLength, began, deps.now());
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
      case 'stand-down':
        return waitFor('busy', answer.detail, false);
      case 'resume':
        failures += 1;
        if (failures >= ATTEMPTS) return waitFor('busy', answer.detail, true);
        continue;
      case 'park':
        return park(deps, upload, judged.code, answer.detail);
      case 'back-off':
        return waitFor(judged.why, answer.detail, true, deps.now() + judged.after_ms);
      case 'halve':
        if (!pace.tooBig()) return waitFor('busy', answer.detail, true);
        continue;
      case 'check-bytes': {
        const ours = await stored?.arrayBuffer().then(sha256, () => null);
        if (ours !== chunk.sha256) {
          const lost = await lose(queue, upload.id, [chunk.index], 'damaged');
          return { kind: lost ? 'set-aside' : 'look-again' };
        }
        landed = 0;
        failures += 1;
        if (failures >= ATTEMPTS) return waitFor('busy', answer.detail, false);
        continue;
      }
      case 'retry':
        pace.failed();
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

async function park(deps: AskDeps, upload: Upload, code: string, detail: string): Promise<Outcome> {
  // Whoever removed it meanwhile has the last word.
  if (await getUpload(deps.queue, upload.id)) await setStep(deps.queue, upload.id, { at: 'parked', code, detail });
  return { kind: 'set-aside' };
}

/** What to do about an upload whose question, not one of its chunks, was refused after all attempts. */
async function giveWay(deps: AskDeps, upload: Upload, answer: Refused | Unreachable): Promise<Outcome> {
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
    case 'stand-down':
    case 'reopen':
    case 'look-again':
    case 'resume':
    case 'check-bytes':
      return waitFor('busy', answer.detail, false);
  }
}

/** Asks up to three times, pausing in between, as long as the answer may get better by itself. */
async function persist<T>(deps: AskDeps, question: () => Promise<Answer<T>>): Promise<Answer<T> | { kind: 'aborted' }> {
  for (let attempt = 1; ; attempt++) {
    if (deps.signal.aborted) return { kind: 'aborted' };
    const answer = await question();
    if (answer.kind === 'ok' || attempt >= ATTEMPTS) return answer;
    const judged = verdict(answer);
    if (judged.act !== 'retry') return answer;
    await deps.sleep(Math.max(judged.at_least_ms, pauseMs(attempt, deps.random)), deps.signal);
  }
}
