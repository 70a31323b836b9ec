// One sender on the whole device. The Web Lock `sender` decides who, the lease row tells everybody what is in hand and that
// its holder is alive: a lock whose holder shows no life (a frozen tab) is stolen. What the frozen one may still send when it
// thaws is refused by the server, because whoever sends after it has a higher epoch.
import { type DeviceRow, type QueueDb, SENDERS, type Sender, write } from '../db.ts';
import { type DrainDeps, type DrainEnd, drain } from './drain.ts';

export const SENDER_LOCK = 'sender';
/** A lease without a beat for this long belongs to somebody who was killed or frozen. */
export const LEASE_STALE_MS = 20_000;
const BEAT_MS = 5_000;
/** Progress is told more often than life, but not at every packet. */
const PROGRESS_MS = 1_000;
/** A rate is told once it was measured over this long. */
const RATE_MS = 4_000;

// ---- who may -------------------------------------------------------------------------------------------------------

/** The senders that may move bytes on this device: all, unless some were switched off to see what the others do alone. */
export const sendersIn = (row: DeviceRow | undefined): ReadonlySet<Sender> =>
  new Set(row?.key === 'senders' ? row.on : SENDERS);
export const sendersOn = async (queue: QueueDb): Promise<ReadonlySet<Sender>> =>
  sendersIn(await queue.get('device', 'senders'));

/** `?senders=sw,fetch` leaves these two on, `?senders=all` every one. Without it, or with none that is known, all stays as it is. */
export async function chooseSenders(queue: QueueDb, search: string): Promise<void> {
  const wanted = new URLSearchParams(search).get('senders')?.split(',') ?? [];
  const on = wanted.includes('all') ? [...SENDERS] : SENDERS.filter((sender) => wanted.includes(sender));
  if (on.length === 0) return;
  await write(queue, ['device'], (tx) => tx.objectStore('device').put({ key: 'senders', on }));
}

// ---- the lease -----------------------------------------------------------------------------------------------------

interface Beats {
  stop(): Promise<void>;
  onUpload(id: string): void;
  onFlight(chunk: number, bytes: number | null): void;
}

function startBeats(queue: QueueDb, by: Sender): Beats {
  let upload: string | null = null;
  const flying = new Map<number, number>();
  let moved = 0;
  let told = 0;
  let since: { at: number; moved: number } | null = null;
  let rate: number | null = null;
  let last = Promise.resolve();

  const beat = (): void => {
    const now = Date.now();
    told = now;
    if (since && now - since.at >= RATE_MS) {
      const measured = ((moved - since.moved) / (now - since.at)) * 1000;
      // Half of it is the past: a rate that jumps makes a forecast that nobody believes.
      rate = rate === null ? measured : (rate + measured) / 2;
      since = { at: now, moved };
    }
    const row = { key: 'sender' as const, by, upload, beat: now, rate };
    const flown = [...flying.values()].reduce((sum, bytes) => sum + bytes, 0);
    last = write(queue, ['device'], async (tx) => {
      await tx.objectStore('device').put({ ...row, flying: flown });
      // A beat that cannot be written is missed by the reader, which is the point of it.
    }).catch(() => {});
  };
  beat();
  const timer = setInterval(beat, BEAT_MS);

  return {
    async stop() {
      clearInterval(timer);
      await last;
      await write(queue, ['device'], async (tx) => {
        const row = await tx.objectStore('device').get('sender');
        // Not that of somebody who stole the lock from us.
        if (row?.key === 'sender' && row.by === by) await tx.objectStore('device').delete('sender');
      });
    },
    onUpload(id) {
      upload = id;
      flying.clear();
      since = { at: Date.now(), moved };
      beat();
    },
    onFlight(chunk, bytes) {
      const before = flying.get(chunk) ?? 0;
      if (bytes === null) flying.delete(chunk);
      else {
        flying.set(chunk, bytes);
        moved += Math.max(0, bytes - before);
      }
      if (Date.now() - told >= PROGRESS_MS) beat();
    },
  };
}

async function holderIsDead(queue: QueueDb, waitedMs: number): Promise<boolean> {
  const row = await queue.get('device', 'sender');
  // The first beat of a new holder may be under way.
  if (row?.key !== 'sender') return waitedMs > LEASE_STALE_MS;
  // Either way: clocks are set back, too.
  return Math.abs(Date.now() - row.beat) > LEASE_STALE_MS;
}

// ---- sending -------------------------------------------------------------------------------------------------------

export interface SendDeps extends Omit<DrainDeps, 'onUpload' | 'onFlight'> {
  by: Sender;
  /** `take`: now or not at all. `wait`: behind whoever sends, up to the deadline or the signal. */
  turn: 'take' | 'wait';
}

/** Drains the queue as its only sender. `elsewhere`: somebody else holds the lock, and will come to all that is queued. */
export async function send(deps: SendDeps): Promise<DrainEnd | 'elsewhere'> {
  const hold = async (signal: AbortSignal): Promise<DrainEnd> => {
    const beats = startBeats(deps.queue, deps.by);
    try {
      return await drain({ ...deps, signal, onUpload: beats.onUpload, onFlight: beats.onFlight });
    } finally {
      await beats.stop();
    }
  };

  /** `null`: it was not our turn. */
  const attempt = async (options: LockOptions): Promise<DrainEnd | 'elsewhere' | null> => {
    const stolen = new AbortController();
    const drained: { by: Promise<DrainEnd> | null } = { by: null };
    try {
      return await navigator.locks.request(SENDER_LOCK, options, async (lock) => {
        if (!lock) return null;
        drained.by = hold(AbortSignal.any([deps.signal, stolen.signal]));
        return drained.by;
      });
    } catch (error) {
      if (drained.by === null) {
        if (options.signal?.aborted) return null;
        throw error;
      }
      stolen.abort();
      // When it was no thief but the drain that failed, this throws the same again.
      await drained.by;
      return 'elsewhere';
    }
  };

  const began = Date.now();
  let end = await attempt({ ifAvailable: true });
  while (end === null) {
    if (deps.turn === 'take' || deps.signal.aborted || deps.now() >= deps.deadline) return 'elsewhere';
    end = await attempt({ signal: AbortSignal.any([deps.signal, AbortSignal.timeout(BEAT_MS)]) });
    // Looked at after waiting: right after the lock was taken the row may still be that of a holder before.
    if (end === null && (await holderIsDead(deps.queue, Date.now() - began)))
      return (await attempt({ steal: true })) ?? 'elsewhere';
  }
  return end;
}

/** Somebody else wants to send. A sender that gives way to pages asks this between parts. */
export const isWaitedFor = async (): Promise<boolean> =>
  ((await navigator.locks.query()).pending ?? []).some(({ name }) => name === SENDER_LOCK);
