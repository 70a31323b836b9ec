// Screens read the stored databases through this: a query that runs again whenever a store it names has changed, in this
// tab, another one, or the service worker.
import { useEffect, useState } from 'preact/hooks';
import { type Changed, onChange } from './db.ts';

/** Events of a busy batch come four times a second: screens follow at most this often, */
const PACE_MS = 150;
/** and spend no more than a fifth of the time on reading what they show. */
const REST = 4;

/** `undefined` until the first answer. `key` names what is asked for: another key starts from `undefined` again. */
export function useLive<T>(key: string, stores: readonly Changed[], query: () => Promise<T>): T | undefined {
  const [got, setGot] = useState<{ key: string; value: T }>();
  // `key` stands for everything that `query` closes over
  useEffect(() => {
    let over = false;
    let due = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      due = false;
      const began = performance.now();
      const value = await query();
      if (over) return;
      setGot({ key, value });
      const rest = Math.max(PACE_MS, REST * (performance.now() - began));
      timer = setTimeout(() => {
        timer = undefined;
        if (due) start();
      }, rest);
    };
    // A database that was closed under us (signed out, newer version) has its own screen.
    const start = () => {
      run().catch(() => {});
    };
    timer = setTimeout(start, 0);
    const stop = onChange((changed) => {
      if (!changed.some((store) => stores.includes(store))) return;
      due = true;
      if (timer === undefined) timer = setTimeout(start, 0);
    });
    return () => {
      over = true;
      clearTimeout(timer);
      stop();
    };
  }, [key]);
  return got?.key === key ? got.value : undefined;
}

/** The time, told anew every `everyMs`: for what grows old without anything being written. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
