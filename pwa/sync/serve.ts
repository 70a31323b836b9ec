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

/** Serves one user until `signal`. `nap` is woken when there is a reason to look again. */
export async function serveSync(
  deps: PushDeps & {
    /** something waits: whoever can send it without a page is asked to */
    onWaiting: () => void;
  },
  nap: Nap,
  signal: AbortSignal,
): Promise<void> {
  let reason = false;
  const stop = onChange((stores) => {
    // What we write ourselves is no reason; it is noticed below and costs one look.
    if (!stores.includes('kept') && !(stores.includes('outbox') && !stores.includes('sync'))) return;
    reason = true;
    nap.wake();
  });
  try {
    while (!signal.aborted) {
      reason = false;
      const who = await deps.session.identity();
      if (who?.me.user_id !== deps.userId) return;
      const wait = await pushOutbox(deps, signal);
      if (wait !== null) deps.onWaiting();
      await pullKept(deps, signal);
      if (!reason || (wait ?? 0) > 0) await nap.sleep(Math.max(POLL_MS * (0.5 + Math.random() / 2), wait ?? 0), signal);
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
  } finally {
    stop();
  }
}
