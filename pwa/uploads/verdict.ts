// What a refusal or a silence means for an upload. Pure: the one table of the retry policy.
import type { Refused, Unreachable } from '../api.ts';

export type Verdict =
  /** may pass by itself: try again with a growing, random pause */
  | { act: 'retry'; why: 'no-network' | 'busy'; at_least_ms: number }
  /** the whole queue leaves the server alone, at least as long as it asked */
  | { act: 'back-off'; why: 'busy' | 'server-full'; after_ms: number }
  /** another sender has taken the upload over: this one lets go of it */
  | { act: 'stand-down' }
  /** the capability token or the upload itself is not known any more: open it again */
  | { act: 'reopen' }
  /** it stands elsewhere than we thought: sealed, rejected, or by another's hand */
  | { act: 'look-again' }
  /** the chunk goes on at another byte, which the answer names */
  | { act: 'resume' }
  /** the part is too big for this line or for a proxy on it */
  | { act: 'halve' }
  /** the chunk did not arrive as it was hashed: look at our own copy first */
  | { act: 'check-bytes' }
  /** only a person can help; the bytes stay */
  | { act: 'park'; code: string };

/** A sender does not sit out more than this between two attempts: it goes and comes back. */
const LONGEST_PAUSE_MS = 30_000;
/** Asked to wait without a number: a disk does not empty itself in seconds. */
const DEFAULT_BACK_OFF_MS = 30_000;
const FULL_BACK_OFF_MS = 60_000;

export function verdict(answer: Refused | Unreachable): Verdict {
  if (answer.kind === 'unreachable')
    return answer.timed_out ? { act: 'halve' } : { act: 'retry', why: 'no-network', at_least_ms: 0 };
  const { status, code, retry_after_ms } = answer;
  if (code === 'CHUNK_HASH_MISMATCH') return { act: 'check-bytes' };
  // An upload that expired is opened again under its id; one that was deleted refuses that, and is parked then.
  if (code === 'STALE_EPOCH') return { act: 'stand-down' };
  if (code === 'UPLOAD_NOT_FOUND' || code === 'UPLOAD_GONE' || status === 401) return { act: 'reopen' };
  if (code === 'CONFLICT') return answer.landed === null ? { act: 'look-again' } : { act: 'resume' };
  if (code === 'UPLOAD_TOO_LARGE') return { act: 'park', code };
  if (status === 413) return { act: 'halve' };
  if (status === 507) return { act: 'back-off', why: 'server-full', after_ms: retry_after_ms ?? FULL_BACK_OFF_MS };
  if (status === 429 || status === 503)
    return { act: 'back-off', why: 'busy', after_ms: retry_after_ms ?? DEFAULT_BACK_OFF_MS };
  if (status === 408 || status === 423 || status === 425 || status >= 500) {
    const at_least_ms = retry_after_ms ?? 0;
    if (at_least_ms > LONGEST_PAUSE_MS) return { act: 'back-off', why: 'busy', after_ms: at_least_ms };
    return { act: 'retry', why: status === 502 || status === 504 ? 'no-network' : 'busy', at_least_ms };
  }
  return { act: 'park', code: code ?? `HTTP_${status}` };
}

/** Attempts at one part before the sender waits for a reason to try again. */
export const ATTEMPTS = 3;

/** Full jitter: anything from nothing to a bound that doubles, so that a hundred tablets do not knock at once. */
export const pauseMs = (attempt: number, random: () => number): number =>
  random() * Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** attempt);

const SHORTEST_PATIENCE_MS = 60_000;
const LONGEST_PATIENCE_MS = 15 * 60_000;

/**
 * How long a sender that has given up for now waits by itself: decorrelated jitter, between a minute and three times the
 * last wait, a quarter of an hour at most. (M. Brooker, "Exponential Backoff And Jitter", 2015.)
 */
export const patienceMs = (before: number, random: () => number): number => {
  const most = Math.max(SHORTEST_PATIENCE_MS, before * 3);
  return Math.min(LONGEST_PATIENCE_MS, SHORTEST_PATIENCE_MS + random() * (most - SHORTEST_PATIENCE_MS));
};
