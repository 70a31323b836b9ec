// A write transaction opened inside another one waits for itself for ever: on SQLite for the only writer, on MySQL for
// its own row locks. The guard turns that silence into an error at once.
import { AsyncLocalStorage } from 'node:async_hooks';

/** Makes the guard of one database: it runs what it is given, and refuses while that very call is still running. */
export function writeGuard(): <T>(run: () => Promise<T>) => Promise<T> {
  const inside = new AsyncLocalStorage<{ running: boolean }>();
  return async (run) => {
    if (inside.getStore()?.running) throw new Error('A write transaction was opened inside another one');
    const call = { running: true };
    return inside.run(call, async () => {
      try {
        return await run();
      } finally {
        call.running = false;
      }
    });
  };
}
