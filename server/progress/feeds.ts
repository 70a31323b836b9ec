// One tail a watched batch: it reads new events from SQL once, when Redis pokes or a second has passed, at most five times
// a second, and hands the same bytes to every stream of this process that has come as far. A stream that is behind, or was
// slow to take its bytes, catches up from SQL by itself, so a slow client never slows the batch nor its neighbours.
import type { AppEventType } from '../../shared/protocol/stream.ts';
import type { Database } from '../adapters/database.ts';
import { isLastWord, readTold, type Told } from './log.ts';
import { snapshot } from './snapshot.ts';

/** Without a poke: Redis may be away. */
const POLL_MS = 1000;
/** What happens within one tick goes out in one write. */
const TICK_MS = 200;
/** At most four snapshots a second. */
const SNAPSHOT_MS = 250;
/** A snapshot at least this often while nothing happens. */
const QUIET_MS = 5000;
const EVENTS_AT_ONCE = 500;

/** One event as it goes over the wire; the data is JSON and so has no line breaks. */
export const frame = (type: AppEventType, id: string, data: unknown): string =>
  `event: ${type}\nid: ${id}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

let signals = 0;
/** The k of an id `n.k`: no two on one connection are alike. */
export const nextSignal = (): number => ++signals;

/** What has come since a stream's last event. */
export interface News {
  events: readonly Told[];
  /** JSON; where the batch stands after them, when that is due */
  snapshot: string | null;
  /** all of it as a batch's own stream says it, made once for all who are given it */
  bytes(): Buffer;
}

/** Where a stream's events go. */
export interface Sink {
  /** false when the client is not taking bytes right now */
  take(news: News): boolean;
  /** when bytes flow again */
  drained(): Promise<void>;
  /** the batch's last event has been handed over */
  ended(): void;
}

function newsOf(after: number, events: readonly Told[], now: string | null): News {
  let encoded: Buffer | null = null;
  return {
    events,
    snapshot: now,
    bytes() {
      if (encoded) return encoded;
      let text = '';
      for (const { type, seq, data } of events) text += frame(type, String(seq), data);
      if (now !== null) text += frame('batch.progress', `${events.at(-1)?.seq ?? after}.${nextSignal()}`, now);
      encoded = Buffer.from(text);
      return encoded;
    },
  };
}

interface Client {
  sink: Sink;
  cursor: number;
  /** it reads from SQL, or waits for its client to take bytes */
  busy: boolean;
}

interface Tail {
  clients: Set<Client>;
  /** number of the newest event that was read for all */
  newest: number;
  flushing: boolean;
  again: boolean;
  flushedAt: number;
  saidAt: number;
  /** something has come since the last snapshot */
  owed: boolean;
  poked: NodeJS.Timeout | null;
  poll: NodeJS.Timeout;
}

export type Feeds = ReturnType<typeof createFeeds>;

export function createFeeds(db: Database, report: (error: unknown) => void) {
  const tails = new Map<string, Tail>();

  /** Hands news over; false when the client has to be waited for, or has had the last of it. */
  function deliver(tail: Tail, client: Client, news: News): boolean {
    const last = news.events.at(-1);
    if (last) client.cursor = last.seq;
    const flowing = client.sink.take(news);
    if (!last || !isLastWord(last)) return flowing;
    tail.clients.delete(client);
    client.sink.ended();
    return false;
  }

  /** Brings one client as far as the others are, from SQL, no faster than it takes bytes. */
  async function catchUp(batchId: string, tail: Tail, client: Client, flowing: boolean): Promise<void> {
    client.busy = true;
    try {
      if (!flowing) await client.sink.drained();
      while (tail.clients.has(client) && client.cursor < tail.newest) {
        const events = upToLastWord(await readTold(db, batchId, client.cursor, EVENTS_AT_ONCE));
        if (events.length === 0 || !tail.clients.has(client)) return;
        if (!deliver(tail, client, newsOf(client.cursor, events, null))) await client.sink.drained();
      }
    } catch (error) {
      report(error);
    } finally {
      client.busy = false;
    }
  }

  /** Reads what is new and hands it to all. */
  async function flush(batchId: string, tail: Tail): Promise<void> {
    if (tail.flushing) {
      tail.again = true;
      return;
    }
    tail.flushing = true;
    try {
      do {
        tail.again = false;
        tail.flushedAt = Date.now();
        const after = tail.newest;
        const events = upToLastWord(await readTold(db, batchId, after, EVENTS_AT_ONCE));
        tail.owed ||= events.length > 0;
        const ends = events.some(isLastWord);
        const due = Date.now() - tail.saidAt >= (tail.owed ? SNAPSHOT_MS : QUIET_MS);
        const now = due && !ends ? await snapshot(db, batchId) : null;
        if (now) {
          tail.saidAt = Date.now();
          tail.owed = false;
        } else if (tail.owed && !ends) poke(batchId);
        tail.newest = events.at(-1)?.seq ?? after;
        tail.again ||= events.length === EVENTS_AT_ONCE || ends;
        hand(batchId, tail, after, events, now && JSON.stringify(now));
      } while (tail.again && tail.clients.size > 0);
    } catch (error) {
      report(error);
    } finally {
      tail.flushing = false;
    }
  }

  function hand(batchId: string, tail: Tail, after: number, events: readonly Told[], now: string | null): void {
    /** those who have come as far get the same bytes */
    const known = new Map<number, News>();
    for (const client of [...tail.clients]) {
      if (client.busy) continue;
      if (client.cursor < after) {
        void catchUp(batchId, tail, client, true);
        continue;
      }
      let news = known.get(client.cursor);
      if (!news) {
        const since = events.filter(({ seq }) => seq > client.cursor);
        news = newsOf(client.cursor, since, now);
        known.set(client.cursor, news);
      }
      if (news.events.length === 0 && news.snapshot === null) continue;
      if (!deliver(tail, client, news) && tail.clients.has(client)) void catchUp(batchId, tail, client, false);
    }
  }

  function poke(batchId: string): void {
    const tail = tails.get(batchId);
    if (!tail || tail.poked) return;
    const wait = Math.max(0, tail.flushedAt + TICK_MS - Date.now());
    tail.poked = setTimeout(() => {
      tail.poked = null;
      void flush(batchId, tail);
    }, wait);
  }

  function tailOf(batchId: string, after: number): Tail {
    const known = tails.get(batchId);
    if (known) return known;
    const tail: Tail = {
      clients: new Set(),
      newest: after,
      flushing: false,
      again: false,
      flushedAt: 0,
      saidAt: Date.now(),
      owed: false,
      poked: null,
      poll: setInterval(() => {
        if (Date.now() - tail.flushedAt >= POLL_MS) void flush(batchId, tail);
      }, POLL_MS),
    };
    tails.set(batchId, tail);
    return tail;
  }

  return {
    /** Streams what comes after number `after` into `sink`; returns the way to stop. */
    watch(batchId: string, after: number, sink: Sink): () => void {
      const tail = tailOf(batchId, after);
      const client: Client = { sink, cursor: after, busy: false };
      tail.clients.add(client);
      if (after < tail.newest) void catchUp(batchId, tail, client, true);
      poke(batchId);
      return () => {
        tail.clients.delete(client);
        if (tail.clients.size > 0) return;
        clearInterval(tail.poll);
        if (tail.poked) clearTimeout(tail.poked);
        if (tails.get(batchId) === tail) tails.delete(batchId);
      };
    },
    /** Something was logged for this batch. */
    poke,
  };
}

/** A batch that was read again has last words in the middle of its log: a stream ends at each of them. */
function upToLastWord(events: Told[]): Told[] {
  const last = events.findIndex(isLastWord);
  return last < 0 ? events : events.slice(0, last + 1);
}
