// The sync engine at work in the leader tab: sends what was done here, then pulls what the server has; at once when there is
// a reason, and now and then without one, since a missed poke must not matter.
import { onChange } from '../db.ts';
import { OFFICE, pullKept, scopeOf } from './feed.ts';
import { holdLine } from './line.ts';
import { createAlarm, type Nap } from './nap.ts';
import { type PushDeps, pushOutbox } from './outbox.ts';

/** Without a poke: this often. Half of it is jitter, so that a hundred tablets do not ask in step. */
const POLL_MS = 20_000;
/** A busy batch pokes every second; the list of batches may be this old then. */
const OFFICE_MS = 5_000;
/** Several reasons in a row are one. */
const GATHER_MS = 10;

export interface SyncDeps extends PushDeps {
  /** something waits: whoever can send it without a page is asked to */
  onWaiting: () => void;
  /** how long to wait before the app's stream is opened again */
  retry: Nap;
}

export interface Sync {
  /** Serves one user until `signal`. */
  serve(signal: AbortSignal): Promise<void>;
  /** There is a reason to look at everything. */
  wake(): void;
}

export function createSync(deps: SyncDeps): Sync {
  const alarm = createAlarm();
  let everything = true;
  const poked = new Set<string>();
  let officeAt = 0;
  const wake = (): void => {
    everything = true;
    alarm.wake();
  };

  /** One connection for the whole browser: it says that there is news, and where. */
  const listen = (signal: AbortSignal) =>
    holdLine(
      { session: deps.session, random: Math.random, sleep: deps.retry.sleep, signal },
      (token, cut) => deps.api.pokes(token, cut),
      async (events) => {
        for (const event of events) {
          if (event.type !== 'batches.changed') continue;
          // Said to whoever connects, too: what was missed meanwhile is pulled now.
          if (event.data.batch_ids === null) everything = true;
          else for (const batch of event.data.batch_ids) poked.add(scopeOf(batch));
          alarm.wake();
        }
        return false;
      },
    );

  /** @returns what to pull; undefined: everything */
  function due(): ReadonlySet<string> | undefined {
    const only = everything ? undefined : new Set(poked);
    everything = false;
    poked.clear();
    if (!only || deps.now() - officeAt >= OFFICE_MS) {
      officeAt = deps.now();
      only?.add(OFFICE);
    }
    return only;
  }

  return {
    wake,
    async serve(signal) {
      const stop = onChange((stores) => {
        // A batch to keep, or an edit: what sending and pulling write names other stores too.
        const edited = stores.includes('outbox') && !stores.includes('sync') && !stores.includes('feeds');
        if (edited || (stores.includes('kept') && !stores.includes('feeds'))) wake();
      });
      const listening = listen(signal);
      try {
        while (!signal.aborted) {
          const who = await deps.session.identity();
          if (who?.me.user_id !== deps.userId) return;
          const wait = await pushOutbox(deps, signal);
          if (wait !== null) deps.onWaiting();
          await pullKept(deps, signal, due());
          const pauseMs = Math.max(POLL_MS * (0.5 + Math.random() / 2), wait ?? 0);
          const slept = deps.now();
          await alarm.sleep(pauseMs, signal);
          if (deps.now() - slept >= pauseMs) everything = true;
          await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
        }
      } finally {
        stop();
        await Promise.allSettled([listening]);
      }
    },
  };
}
