// The sync engine at work in the leader tab: sends what was done here, then pulls what the server has; again when there is
// a reason, and now and then without one, since a missed poke must not matter.
import { onChange } from '../db.ts';
import { pullKept } from './feed.ts';
import type { Nap } from './nap.ts';
import { type PushDeps, pushOutbox } from './outbox.ts';

/** Without a poke: this often. Half of it is jitter, so that a hundred tablets do not ask in step. */
const POLL_MS = 20_000;
/** Several reasons in a row are one. */
const GATHER_MS = 50;

/** Serves one user until `signal`. `alarm` is rung when there is a reason to look again. */
export async function serveSync(
  deps: PushDeps & {
    /** something waits: whoever can send it without a page is asked to */
    onWaiting: () => void;
  },
  alarm: Nap,
  signal: AbortSignal,
): Promise<void> {
  const stop = onChange((stores) => {
    // A batch to keep, or an edit: what sending and pulling write names other stores too.
    const edited = stores.includes('outbox') && !stores.includes('sync') && !stores.includes('feeds');
    if (edited || (stores.includes('kept') && !stores.includes('feeds'))) alarm.wake();
  });
  try {
    while (!signal.aborted) {
      const who = await deps.session.identity();
      if (who?.me.user_id !== deps.userId) return;
      const wait = await pushOutbox(deps, signal);
      if (wait !== null) deps.onWaiting();
      await pullKept(deps, signal);
      await alarm.sleep(Math.max(POLL_MS * (0.5 + Math.random() / 2), wait ?? 0), signal);
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
  } finally {
    stop();
  }
}
