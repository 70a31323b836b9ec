// A batch's stream (text/event-stream): the stage log and one snapshot for a newcomer, every event after its
// Last-Event-ID for one who comes back, then what is new, until the batch ends.
import type { Request, Response } from 'express';
import type { BatchProgress, StreamEventType } from '../../shared/protocol/stream.ts';
import type { Database } from '../adapters/database.ts';
import { hasEnded } from '../batches/life.ts';
import { findVisible } from '../batches/queries.ts';
import type { Feeds, Sink } from '../progress/feeds.ts';
import { type Logged, readLog } from '../progress/log.ts';
import { snapshot } from '../progress/snapshot.ts';
import type { Routes } from './routes.ts';

const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2000;
/** Asked to sign in again this long before the token runs out. */
const REAUTH_MS = 30_000;
/** A client that takes nothing for this long is cut; it resumes by its id. */
const STUCK_MS = 60_000;
const EVENTS_AT_ONCE = 500;
/** `batch.complete`, and `complete` or `error`. */
const LAST_WORDS = 2;

/** One event as it goes over the wire; the data is JSON and so has no line breaks. */
export const frame = (type: StreamEventType, id: string, data: unknown): string =>
  `event: ${type}\nid: ${id}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** The event number an id stands for; null for one that is not ours. */
export function parseEventId(id: string): number | null {
  const match = /^(\d{1,15})(\.\d+)?$/.exec(id);
  return match ? Number(match[1]) : null;
}

export interface StreamDeps {
  db: Database;
  feeds: Feeds;
  /** aborted when the server is about to end */
  closing: AbortSignal;
}

export function streamRoutes(routes: Routes, deps: StreamDeps): void {
  routes.on('GET /api/batches/:batch_id/stream', async (req, res, { user, expiresAt }) => {
    const batch = await findVisible(deps.db, user, String(req.params.batch_id));
    const asked = req.get('last-event-id');
    const from = asked === undefined || asked === '' ? undefined : parseEventId(asked);
    const resumable = typeof from === 'number' && from <= batch.event_seq;
    if (resumable && from === batch.event_seq && hasEnded(batch.status)) {
      res.status(204).end();
      return;
    }
    await stream(req, res, deps, {
      batchId: batch.batch_id,
      newest: batch.event_seq,
      from: resumable ? from : null,
      reset:
        asked !== undefined && asked !== '' && !resumable
          ? `There is no event ${asked.slice(0, 40)} in this batch's log; it follows from its start`
          : null,
      ended: hasEnded(batch.status),
      expiresAt,
    });
  });
}

interface Wanted {
  batchId: string;
  /** number of the newest event when the stream was asked for */
  newest: number;
  /** null: a newcomer */
  from: number | null;
  reset: string | null;
  /** the log is closed: nothing comes after `newest` */
  ended: boolean;
  expiresAt: number;
}

async function stream(req: Request, res: Response, { db, feeds, closing }: StreamDeps, wanted: Wanted): Promise<void> {
  req.socket.setNoDelay(true);
  res.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    'X-Accel-Buffering': 'no',
    Connection: 'keep-alive',
  });
  res.write(`retry: ${RETRY_MS}\n\n`);
  let at = wanted.from ?? 0;
  let snapshots = 0;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const timers: NodeJS.Timeout[] = [];
  /** Says something that is not in the log; its id resumes after the last event that is. */
  const say = (type: StreamEventType, data: unknown): boolean => res.write(frame(type, `${at}.${++snapshots}`, data));
  const hangUp = (type: 'reauth' | 'shutdown', reason: string) => () => {
    say(type, { reason });
    end();
  };
  const sink: Sink = {
    logged(events: readonly Logged[]) {
      const text = events.map((event) => frame(event.event.type, String(event.seq), event.event.data)).join('');
      at = events.at(-1)?.seq ?? at;
      return res.write(text);
    },
    snapshot: (now: BatchProgress) => (res.writableNeedDrain ? false : say('batch.progress', now)),
    drained: () =>
      new Promise((resolve) => {
        const stuck = setTimeout(() => {
          res.destroy();
          resolve();
        }, STUCK_MS);
        const flowing = () => {
          clearTimeout(stuck);
          resolve();
        };
        res.once('drain', flowing);
        res.once('close', flowing);
      }),
    ended: () => end(),
  };
  res.on('close', () => end());

  if (wanted.reset !== null) say('reset', { reason: wanted.reset });
  if (wanted.from === null) {
    // A newcomer gets what the stages said; the single sheets' events before now are in the snapshot's numbers. The last
    // words of a batch that has ended come after the snapshot.
    const lastWords: Logged[] = [];
    while (at < wanted.newest && !res.closed) {
      const events = (await readLog(db, wanted.batchId, at, EVENTS_AT_ONCE)).filter(({ seq }) => seq <= wanted.newest);
      const last = events.at(-1);
      if (!last) break;
      const stageLog = events.filter(({ event }) => !event.type.startsWith('item.'));
      const isLastWord = ({ seq }: Logged) => wanted.ended && seq > wanted.newest - LAST_WORDS;
      lastWords.push(...stageLog.filter(isLastWord));
      const told = stageLog.filter((event) => !isLastWord(event));
      if (told.length > 0 && !sink.logged(told)) await sink.drained();
      at = last.seq;
    }
    // Cut off here, a client must still get the last words when it comes back.
    if (wanted.ended) at = Math.min(at, Math.max(0, wanted.newest - LAST_WORDS));
    const now = await snapshot(db, wanted.batchId);
    if (now) say('batch.progress', now);
    if (wanted.ended) {
      sink.logged(lastWords);
      res.end();
      return;
    }
  } else if (!wanted.ended || wanted.from < wanted.newest - LAST_WORDS) {
    // Of the snapshots that were missed only the newest counts; the events that were missed follow. There is none after
    // the last words.
    const now = await snapshot(db, wanted.batchId);
    if (now) say('batch.progress', now);
  }
  const unwatch = feeds.watch(wanted.batchId, at, sink);
  timers.push(setInterval(() => say('heartbeat', { time: new Date().toISOString() }), HEARTBEAT_MS));
  const left = wanted.expiresAt - Date.now() - REAUTH_MS;
  if (Number.isFinite(left))
    timers.push(setTimeout(hangUp('reauth', 'The access token runs out: refresh it and resume'), Math.max(1000, left)));
  const onClosing = hangUp('shutdown', 'The server is about to restart: resume in a moment');
  closing.addEventListener('abort', onClosing);
  await ended;
  closing.removeEventListener('abort', onClosing);
  unwatch();
  for (const timer of timers) clearInterval(timer);
  res.end();
}
