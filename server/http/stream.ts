// A batch's stream (text/event-stream): the stage log and one snapshot for a newcomer, every event after its
// Last-Event-ID for one who comes back, then what is new, until the batch ends.
import type { Request, Response } from 'express';
import type { Database } from '../adapters/database.ts';
import { hasEnded } from '../batches/life.ts';
import { findVisible } from '../batches/queries.ts';
import { type Feeds, frame, type News, type Sink } from '../progress/feeds.ts';
import { readStageLog, type Told } from '../progress/log.ts';
import { snapshot } from '../progress/snapshot.ts';
import type { Routes } from './routes.ts';
import { openLine } from './sse.ts';

/** `batch.complete`, and `complete` or `error`. */
const LAST_WORDS = 2;

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

const written = (events: readonly Told[]): string =>
  events.map(({ type, seq, data }) => frame(type, String(seq), data)).join('');

async function stream(req: Request, res: Response, { db, feeds, closing }: StreamDeps, wanted: Wanted): Promise<void> {
  let at = wanted.from ?? 0;
  const line = openLine(req, res, { at: () => String(at), expiresAt: wanted.expiresAt, closing });
  const sink: Sink = {
    take(news: News) {
      // A snapshot is worth nothing to one who has not taken the last.
      if (news.events.length === 0 && line.isFull()) return true;
      at = news.events.at(-1)?.seq ?? at;
      return line.write(news.bytes());
    },
    drained: () => line.drained(),
    ended: () => line.hangUp(),
  };

  if (wanted.reset !== null) line.say('reset', { reason: wanted.reset });
  if (wanted.from === null) {
    // A newcomer gets what the stages said; the single sheets' events before now are in the snapshot's numbers. The last
    // words of a batch that has ended come after the snapshot.
    const stageLog = await readStageLog(db, wanted.batchId, wanted.newest);
    const isLastWord = ({ seq }: Told) => wanted.ended && seq > wanted.newest - LAST_WORDS;
    if (!line.write(written(stageLog.filter((event) => !isLastWord(event))))) await line.drained();
    // Cut off here, a client must still get the last words when it comes back.
    at = wanted.ended ? Math.max(0, wanted.newest - LAST_WORDS) : wanted.newest;
    const now = await snapshot(db, wanted.batchId);
    if (now) line.say('batch.progress', now);
    if (wanted.ended) {
      line.write(written(stageLog.filter(isLastWord)));
      line.close();
      return;
    }
  } else if (!wanted.ended || wanted.from < wanted.newest - LAST_WORDS) {
    // Of the snapshots that were missed only the newest counts; the events that were missed follow. There is none after
    // the last words.
    const now = await snapshot(db, wanted.batchId);
    if (now) line.say('batch.progress', now);
  }
  const unwatch = feeds.watch(wanted.batchId, at, sink);
  await line.over;
  unwatch();
  line.close();
}
