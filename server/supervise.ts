// Keeps one process running: started again when it ends, later and later while it keeps ending, until it is told to
// stop. What the processes are, and in which order they start and stop, is main.ts's.
import type { ChildProcess } from 'node:child_process';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** Whoever ran this long counts as healthy: its next end is a first one again. */
const HEALTHY_AFTER_MS = 30_000;

export interface Watch {
  /** what it throws (no room for a log) counts as an end */
  spawn(): ChildProcess;
  /** after each start, the first one included */
  onStart(pid: number): void;
  /** it ended without being told to; `nextMs` is when it is started again, null when it is given up */
  onEnd(how: string, nextMs: number | null): void;
  /** whether to start it again after so many ends in a row, none of them after a healthy life */
  keepTrying(failures: number): boolean;
}

export interface Supervised {
  readonly pid: number | undefined;
  /** Asks it to end, and insists after `graceMs`. Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** Ends the grace of a `stop` that is under way. */
  insist(): void;
}

export const delayAfter = (failures: number): number =>
  Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LONGEST_DELAY_MS);

const howItEnded = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal ? `signal ${signal}` : `exit code ${code}`;

export function supervise(watch: Watch): Supervised {
  let child: ChildProcess | null = null;
  let stopping = false;
  let failures = 0;
  let again: NodeJS.Timeout | undefined;

  const failed = (how: string): void => {
    const delay = watch.keepTrying(failures) ? delayAfter(failures) : null;
    watch.onEnd(how, delay);
    if (delay !== null) again = setTimeout(start, delay);
  };
  const start = (): void => {
    const startedAt = Date.now();
    let current: ChildProcess;
    try {
      current = watch.spawn();
    } catch (error) {
      failures += 1;
      failed(error instanceof Error ? error.message : String(error));
      return;
    }
    child = current;
    const ended = (how: string): void => {
      if (child !== current) return;
      child = null;
      if (stopping) return;
      failures = Date.now() - startedAt > HEALTHY_AFTER_MS ? 1 : failures + 1;
      failed(how);
    };
    current.once('error', (error) => ended(error.message));
    current.once('exit', (code, signal) => ended(howItEnded(code, signal)));
    if (current.pid !== undefined) watch.onStart(current.pid);
  };
  start();

  return {
    get pid() {
      return child?.pid;
    },
    async stop(graceMs) {
      stopping = true;
      clearTimeout(again);
      const current = child;
      if (!current || current.exitCode !== null || current.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => current.once('exit', () => resolve()));
      current.kill('SIGTERM');
      const timer = setTimeout(() => current.kill('SIGKILL'), graceMs);
      await gone;
      clearTimeout(timer);
    },
    insist() {
      if (stopping) child?.kill('SIGKILL');
    },
  };
}
