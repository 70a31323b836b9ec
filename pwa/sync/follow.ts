// Follows the stream of one batch to its end and stores every event as it comes, with the id to resume from in the same
// transaction: whoever is killed here misses nothing and counts nothing twice.
import { isLogged } from '../../shared/protocol/stream.ts';
import type { StreamEvent } from '../api.ts';
import { type Cursor, type StoredEvent, write } from '../db.ts';
import { editCursor, emptyCursor, eventsOf, type PullDeps } from './pull.ts';

export interface FollowDeps extends PullDeps {
  random: () => number;
  /** ends early when something happened that makes another try worthwhile */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  /** after each write */
  onStored?: (events: readonly StreamEvent[]) => void;
}

export type FollowEnd = 'ended' | 'gone' | 'signed-out' | 'stopped';

/** The server sends a heartbeat every 15 s: this long without a byte, and the line is dead, whatever TCP thinks. */
export const SILENCE_MS = 40_000;

export async function follow(deps: FollowDeps, batch: string): Promise<FollowEnd> {
  let failures = 0;
  while (!deps.signal.aborted) {
    const end = await listen(deps, batch, () => {
      failures = 0;
    });
    if (end !== 'again') return end;
    if (deps.signal.aborted) break;
    failures += 1;
    await editCursor(deps.user, batch, (cursor) => ({ ...cursor, line: 'lost' }));
    await deps.sleep(deps.random() * Math.min(30_000, 500 * 2 ** failures), deps.signal);
  }
  return 'stopped';
}

async function listen(deps: FollowDeps, batch: string, onLife: () => void): Promise<FollowEnd | 'again'> {
  const quiet = new AbortController();
  let watchdog = setTimeout(() => quiet.abort(), SILENCE_MS);
  const signal = AbortSignal.any([deps.signal, quiet.signal]);
  try {
    let token = '';
    const cursor = (await deps.user.get('cursors', batch)) ?? emptyCursor(batch);
    const answer = await deps.session.ask((fresh) => {
      token = fresh;
      return deps.api.stream(fresh, batch, cursor.last_event_id, signal);
    });
    if (answer.kind === 'refused' && answer.status === 404) return 'gone';
    if (answer.kind === 'refused' && answer.status === 401) return 'signed-out';
    if (answer.kind !== 'ok') return 'again';
    if (answer.value.kind === 'ended') return 'ended';
    for await (const events of answer.value.events) {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => quiet.abort(), SILENCE_MS);
      onLife();
      if (events.length === 0) continue;
      await store(deps, batch, events);
      deps.onStored?.(events);
      if (events.some((event) => event.type === 'complete' || event.type === 'error')) return 'ended';
      if (events.some((event) => event.type === 'reauth')) {
        await deps.session.access(token);
        return 'again';
      }
      if (events.some((event) => event.type === 'shutdown')) return 'again';
    }
    return 'again';
  } catch (error) {
    // The reader of a cut line throws whatever the browser likes; our own faults must not hide among that.
    if (signal.aborted || error instanceof TypeError || (error instanceof Error && error.name === 'AbortError'))
      return 'again';
    throw error;
  } finally {
    clearTimeout(watchdog);
    quiet.abort();
  }
}

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
