// The stored log of a batch, read piece by piece: what was read once is not read again.
import { useMemo } from 'preact/hooks';
import { useUser } from '../../app.ts';
import type { StoredEvent, UserDb } from '../../db.ts';
import { useLive } from '../../store.ts';
import { createFeed, type FeedRow } from './feed.ts';

interface Log {
  events: readonly StoredEvent[];
  rows: readonly FeedRow[];
}

/** Many at a time: one request for each event would take a minute for a large batch. */
const AT_ONCE = 5_000;

/** What has been read of one log. Reads may be asked for while one is under way: they come one after the other. */
function createLog(user: UserDb, batch: string): () => Promise<Log> {
  const feed = createFeed();
  let log: Log = { events: [], rows: [] };
  let chain: Promise<unknown> = Promise.resolve();
  const read = async (): Promise<Log> => {
    const last = log.events.at(-1);
    // A log that was told anew begins with its first event again, and the last one may be gone.
    if (last && (await user.getKey('events', [batch, last.seq])) === undefined) {
      feed.clear();
      log = { events: [], rows: [] };
    }
    for (;;) {
      const from = log.events.at(-1)?.seq ?? -1;
      const range = IDBKeyRange.bound([batch, from], [batch, Number.MAX_SAFE_INTEGER], true);
      const more = await user.getAll('events', range, AT_ONCE);
      if (more.length > 0) log = { events: [...log.events, ...more], rows: feed.take(more) };
      if (more.length < AT_ONCE) return log;
    }
  };
  return () => {
    const next = chain.then(read);
    chain = next.catch(() => {});
    return next;
  };
}

export function useEvents(batch: string): Log | undefined {
  const user = useUser();
  const read = useMemo(() => createLog(user, batch), [user, batch]);
  return useLive(`events ${batch}`, ['events'], read);
}
