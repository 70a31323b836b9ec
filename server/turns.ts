// So many at a time, and the rest in the order they came: for work that takes memory as long as it lasts.

/** Runs `work` when there is a place. @throws the signal's reason when whoever waits goes away before that */
export type Turns = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** @param places for work that is done at the same time */
export function createTurns(places: number): Turns {
  let free = places;
  const waiting = new Set<() => void>();
  return async (signal, work) => {
    signal.throwIfAborted();
    if (free > 0) free--;
    else {
      await new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(begin);
          reject(signal.reason);
        };
        const begin = (): void => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        waiting.add(begin);
        signal.addEventListener('abort', leave, { once: true });
      });
    }
    try {
      return await work();
    } finally {
      // A place is handed on, so that nobody who comes just now is before those who wait.
      const [next] = waiting;
      if (next) {
        waiting.delete(next);
        next();
      } else free++;
    }
  };
}
