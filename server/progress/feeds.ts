// One tail a watched batch: it reads new events from SQL once, when Redis pokes or a second has passed, and hands them to
// every stream of this process. A stream that is behind, or was slow to take its bytes, catches up from SQL by itself,
// so a slow client never slows the batch nor its neighbours.
import type { BatchProgress } from '../../shared/protocol/stream.ts';
import type { Database } from '../adapters/database.ts';
import { isLast, type Logged, readLog } from './log.ts';
import { snapshot } from './snapshot.ts';

const POLL_MS = 1000;
/** At most four snapshots a second, at least one every five seconds. */
const TICK_MS = 250;
const QUIET_MS = 5000;
const EVENTS_AT_ONCE = 500;

/** Where a stream's events go. `logged` and `snapshot` return false when the client is not taking bytes right now. */
export interface Sink {
  logged(events: readonly Logged[]): boolean;
  snapshot(now: BatchProgress): boolean;
  /** when bytes flow again */
  drained(): Promise<void>;
  /** the batch's last event has been handed over */
  ended(): void;
}

interface Client {
  sink: Sink;
  cursor: number;
  busy: boolean;
  again: boolean;
}

interface Tail {
  clients: Set<Client>;
  recent: Logged[];
  dirty: boolean;
  saidAt: number;
  timers: NodeJS.Timeout[];
  polling: 'no' | 'yes' | 'again';
}

export type Feeds = ReturnType<typeof createFeeds>;

export function createFeeds(db: Database, report: (error: unknown) => void) {
  const tails = new Map<string, Tail>();

  /** Hands a client everything after its cursor: from the tail's fresh events when they follow on, else from SQL. */
  async function pump(batchId: string, tail: Tail, client: Client): Promise<void> {
    if (client.busy) {
      client.again = true;
      return;
    }
    client.busy = true;
    try {
      do {
        client.again = false;
        for (;;) {
          const from = tail.recent.findIndex((event) => event.seq === client.cursor + 1);
          const events =
            from >= 0 ? tail.recent.slice(from) : await readLog(db, batchId, client.cursor, EVENTS_AT_ONCE);
          const last = events.at(-1);
          if (!last || !tail.clients.has(client)) break;
          client.cursor = last.seq;
          if (!client.sink.logged(events)) await client.sink.drained();
          if (isLast(last)) {
            tail.clients.delete(client);
            client.sink.ended();
            return;
          }
          if (from >= 0) break;
        }
      } while (client.again);
    } catch (error) {
      report(error);
    } finally {
      client.busy = false;
    }
  }

  async function poll(batchId: string, tail: Tail): Promise<void> {
    if (tail.polling !== 'no') {
      tail.polling = 'again';
      return;
    }
    tail.polling = 'yes';
    try {
      const newest = tail.recent.at(-1)?.seq ?? Math.max(...[...tail.clients].map((client) => client.cursor));
      const events = await readLog(db, batchId, newest, EVENTS_AT_ONCE);
      if (events.length > 0) {
        tail.recent = events;
        tail.dirty = true;
      }
      for (const client of tail.clients) void pump(batchId, tail, client);
    } catch (error) {
      report(error);
    } finally {
      const { polling } = tail as Tail;
      tail.polling = 'no';
      if (polling === 'again' && tail.clients.size > 0) void poll(batchId, tail);
    }
  }

  async function tick(batchId: string, tail: Tail): Promise<void> {
    const quiet = Date.now() - tail.saidAt;
    if (!tail.dirty && quiet < QUIET_MS) return;
    tail.dirty = false;
    tail.saidAt = Date.now();
    const now = await snapshot(db, batchId);
    if (!now) return;
    for (const client of tail.clients) if (!client.busy) client.sink.snapshot(now);
  }

  function tailOf(batchId: string): Tail {
    const known = tails.get(batchId);
    if (known) return known;
    const tail: Tail = { clients: new Set(), recent: [], dirty: false, saidAt: 0, timers: [], polling: 'no' };
    tail.timers.push(setInterval(() => void poll(batchId, tail), POLL_MS));
    tail.timers.push(setInterval(() => void tick(batchId, tail).catch(report), TICK_MS));
    tails.set(batchId, tail);
    return tail;
  }

  return {
    /** Streams what comes after number `after` into `sink`; returns the way to stop. */
    watch(batchId: string, after: number, sink: Sink): () => void {
      const tail = tailOf(batchId);
      const client: Client = { sink, cursor: after, busy: false, again: false };
      tail.clients.add(client);
      void pump(batchId, tail, client);
      return () => {
        tail.clients.delete(client);
        if (tail.clients.size > 0) return;
        for (const timer of tail.timers) clearInterval(timer);
        tails.delete(batchId);
      };
    },
    /** Something was logged for this batch. */
    poke(batchId: string): void {
      const tail = tails.get(batchId);
      if (tail) void poll(batchId, tail);
    },
  };
}
