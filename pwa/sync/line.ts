// A stream that is held as long as it is wanted: opened again whenever it breaks, with growing, jittered pauses, for ever;
// cut by a watchdog when nothing is heard, whatever TCP thinks; with a fresh token when the old one ends.
import type { Answer, Opened } from '../api.ts';
import type { Session } from '../session.ts';

export interface LineDeps {
  session: Session;
  random: () => number;
  /** ends early when something happened that makes another try worthwhile */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  /** each time it has broken, before the pause */
  onLost?: () => Promise<void>;
}

export type LineEnd = 'ended' | 'gone' | 'signed-out' | 'stopped';
type Open<E> = (token: string, signal: AbortSignal) => Promise<Answer<Opened<E>>>;

/** The server sends a heartbeat every 15 s: this long without a byte, and the line is dead. */
export const SILENCE_MS = 40_000;

/** @param take keeps what came; true when that was the last of it */
export async function holdLine<E extends { type: string }>(
  deps: LineDeps,
  open: Open<E>,
  take: (events: readonly E[]) => Promise<boolean>,
): Promise<LineEnd> {
  let failures = 0;
  while (!deps.signal.aborted) {
    const end = await listen(deps, open, take, () => {
      failures = 0;
    });
    if (end !== 'again') return end;
    if (deps.signal.aborted) break;
    failures += 1;
    await deps.onLost?.();
    await deps.sleep(deps.random() * Math.min(30_000, 500 * 2 ** failures), deps.signal);
  }
  return 'stopped';
}

async function listen<E extends { type: string }>(
  deps: LineDeps,
  open: Open<E>,
  take: (events: readonly E[]) => Promise<boolean>,
  onLife: () => void,
): Promise<LineEnd | 'again'> {
  const quiet = new AbortController();
  let watchdog = setTimeout(() => quiet.abort(), SILENCE_MS);
  const signal = AbortSignal.any([deps.signal, quiet.signal]);
  try {
    let token = '';
    const answer = await deps.session.ask((fresh) => {
      token = fresh;
      return open(fresh, signal);
    });
    if (answer.kind === 'refused' && answer.status === 404) return 'gone';
    if (answer.kind === 'refused' && answer.status === 401) return 'signed-out';
    if (answer.kind !== 'ok') return 'again';
    if (answer.value.kind === 'ended') return 'ended';
    for await (const events of answer.value.events) {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => quiet.abort(), SILENCE_MS);
      onLife();
      if (events.length === 0) continue;
      if (await take(events)) return 'ended';
      if (events.some((event) => event.type === 'reauth')) {
        await deps.session.access(token);
        return 'again';
      }
      if (events.some((event) => event.type === 'shutdown')) return 'again';
    }
    return 'again';
  } catch (error) {
    // The reader of a cut line throws whatever the browser likes; our own faults must not hide among that.
    if (signal.aborted || error instanceof TypeError || (error instanceof Error && error.name === 'AbortError'))
      return 'again';
    throw error;
  } finally {
    clearTimeout(watchdog);
    quiet.abort();
  }
}
