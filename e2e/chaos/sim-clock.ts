// Time that passes when it is told to. While it is installed, clocks and intervals of this process run by it, so that a
// lease runs out in no time and every run of a seed sees the same hours.
import { setImmediate as turn } from 'node:timers/promises';

export interface SimClock {
  /** ms since 1970 */
  now(): number;
  /** Lets time pass in steps, in each of which whatever is due and whatever follows from it happens. */
  advance(ms: number): Promise<void>;
  /** called every simulated second */
  onTick(listener: () => void): () => void;
  uninstall(): void;
}

const STEP_MS = 1000;
const START = Date.UTC(2026, 4, 4, 8);

/** Turns of the event loop in which what was begun usually ends: files and databases answer within one. */
export async function settle(turns = 12): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

export function installClock(): SimClock {
  const real = {
    now: Date.now,
    performance: performance.now,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  };
  let passed = 0;
  let lastId = 0;
  const intervals = new Map<number, { every: number; due: number; work: () => void }>();
  const listeners = new Set<() => void>();

  Date.now = () => START + passed;
  performance.now = () => passed;
  const setSimInterval = (work: () => void, every = 0) => {
    const id = ++lastId;
    intervals.set(id, { every: Math.max(1, every), due: passed + every, work });
    const handle = { unref: () => handle, ref: () => handle, hasRef: () => false, [Symbol.toPrimitive]: () => id };
    return handle;
  };
  const clearSimInterval = (handle: unknown): void => {
    if (handle !== undefined && handle !== null) intervals.delete(Number(handle));
  };
  Object.assign(globalThis, { setInterval: setSimInterval, clearInterval: clearSimInterval });

  return {
    now: () => START + passed,
    async advance(ms) {
      // Clocks tell whole milliseconds.
      for (let left = Math.ceil(ms); left > 0; ) {
        // Hours in which nothing is watched pass at once.
        const step = intervals.size === 0 && listeners.size === 0 ? left : Math.min(left, STEP_MS);
        passed += step;
        left -= step;
        for (const interval of [...intervals.values()]) {
          if (interval.due > passed) continue;
          interval.due = passed + interval.every;
          interval.work();
        }
        for (const listener of [...listeners]) listener();
        if (intervals.size > 0 || listeners.size > 0) await settle();
      }
    },
    onTick(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    uninstall() {
      Date.now = real.now;
      performance.now = real.performance;
      Object.assign(globalThis, { setInterval: real.setInterval, clearInterval: real.clearInterval });
    },
  };
}
