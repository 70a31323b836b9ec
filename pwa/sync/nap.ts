// Sleeping that a signal ends and that somebody may wake from: "wait, unless there is a reason to try again now".
export interface Nap {
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** ends every sleep under way */
  wake: () => void;
}

export function createNap(): Nap {
  const sleepers = new Set<() => void>();
  return {
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const end = () => {
          clearTimeout(timer);
          sleepers.delete(end);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const timer = setTimeout(end, ms);
        sleepers.add(end);
        signal.addEventListener('abort', end);
      }),
    wake() {
      for (const end of [...sleepers]) end();
    },
  };
}

/** A nap that remembers: whoever is woken while awake does not fall asleep the next time. */
export function createAlarm(): Nap {
  const nap = createNap();
  let rung = false;
  return {
    async sleep(ms, signal) {
      if (!rung) await nap.sleep(ms, signal);
      rung = false;
    },
    wake() {
      rung = true;
      nap.wake();
    },
  };
}
