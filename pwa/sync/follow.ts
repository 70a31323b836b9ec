// Follows the stream of one batch to its end and stores every event as it comes, with the id to resume from in the same
// transaction: whoever is killed here misses nothing and counts nothing twice.
import { isLogged } from '../../shared/protocol/stream.ts';
import type { StreamEvent } from '../api.ts';
import { type Cursor, type StoredEvent, write } from '../db.ts';
import { holdLine, type LineEnd } from './line.ts';
import { editCursor, emptyCursor, eventsOf, type PullDeps } from './pull.ts';

export interface FollowDeps extends PullDeps {
  random: () => number;
  /** ends early when something happened that makes another try worthwhile */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  /** after each write */
  onStored?: (events: readonly StreamEvent[]) => void;
}

/** Follows one batch to its end. */
export const follow = (deps: FollowDeps, batch: string): Promise<LineEnd> =>
  holdLine<StreamEvent>(
    { ...deps, onLost: () => editCursor(deps.user, batch, (cursor) => ({ ...cursor, line: 'lost' })) },
    async (token, signal) => {
      const cursor = (await deps.user.get('cursors', batch)) ?? emptyCursor(batch);
      return deps.api.stream(token, batch, cursor.last_event_id, signal);
    },
    async (events) => {
      await store(deps, batch, events);
      deps.onStored?.(events);
      return events.some((event) => event.type === 'complete' || event.type === 'error');
    },
  );

/** The whole part of `17` and of `17.3` is the place in the log. */
const placeOf = (id: string): number => Number.parseInt(id, 10);

async function store(deps: FollowDeps, batch: string, events: readonly StreamEvent[]): Promise<void> {
  await write(deps.user, ['events', 'snapshots', 'cursors'], async (tx) => {
    const cursor: Cursor = (await tx.objectStore('cursors').get(batch)) ?? emptyCursor(batch);
    const snapshot = (await tx.objectStore('snapshots').get(batch)) ?? { batch };
    cursor.line = 'open';
    cursor.heard_at = deps.now();
    for (const event of events) {
      if (event.type === 'reset') {
        await tx.objectStore('events').delete(eventsOf(batch));
        cursor.last_event_id = null;
        cursor.whole_for = null;
        continue;
      }
      if (event.type === 'progress') snapshot.progress = event.data;
      if (event.type === 'batch.progress') snapshot.items = event.data;
      if (event.id === null) continue;
      cursor.last_event_id = event.id;
      if (/^\d+$/.test(event.id) && isLogged(event.type)) {
        const row = { batch, seq: placeOf(event.id), event: { type: event.type, data: event.data } } as StoredEvent;
        await tx.objectStore('events').put(row);
      }
    }
    await tx.objectStore('snapshots').put(snapshot);
    await tx.objectStore('cursors').put(cursor);
  });
}
