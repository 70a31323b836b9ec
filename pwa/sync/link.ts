// Whether Sheaf can be reached, as real requests told it. `navigator.onLine` says true in front of a dead server, so it
// is never asked.
import { type QueueDb, write } from '../db.ts';

/** The row is written on every change of state, and otherwise no more often than this. */
const NOTE_MS = 10_000;

export function createLink(queue: QueueDb, now: () => number = Date.now): { heard: (reachable: boolean) => void } {
  let last: { reachable: boolean; at: number } | null = null;
  let chain = Promise.resolve();

  async function note(reachable: boolean, at: number): Promise<void> {
    await write(queue, ['device'], async (tx) => {
      const row = await tx.objectStore('device').get('link');
      const before = row?.key === 'link' ? row : null;
      const state = reachable ? 'online' : 'offline';
      await tx.objectStore('device').put({
        key: 'link',
        state,
        since: before?.state === state ? before.since : at,
        last_ok: reachable ? at : (before?.last_ok ?? null),
      });
    });
  }

  return {
    heard(reachable) {
      const at = now();
      if (last?.reachable === reachable && at - last.at < NOTE_MS) return;
      last = { reachable, at };
      // A note that cannot be kept (the database was closed under us) is replaced by the next one.
      chain = chain.then(() => note(reachable, at)).catch(() => {});
    },
  };
}
