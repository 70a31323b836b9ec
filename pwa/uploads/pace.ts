// How much at once, and how many at a time: learned from what the line did with the parts before. Pure but for the state
// that it keeps; times are the caller's.

/** A part is what is lost when the line breaks: long enough to be worth a request, short enough to be sent again. */
const SHORT_MS = 8_000;
const LONG_MS = 20_000;
const SMALLEST_PART = 64 * 1024;
const LARGEST_PART = 50 * 2 ** 20;
/** Before anything is known. */
export const FIRST_PART = 8 * 2 ** 20;
/** A browser opens six connections to a server that speaks HTTP/1.1, and screens need some. */
const MOST_LANES = 3;
/** One more lane has to bring this much, or it only splits the same line. */
const WORTH = 1.15;
/** A rate over less than this is noise. */
const WINDOW_MS = 3_000;

export interface Pace {
  /** bytes of the next part */
  part(): number;
  /** requests at a time */
  lanes(): number;
  /** A part arrived. `now` in ms, on the clock that `began` was read from. */
  sent(bytes: number, began: number, now: number): void;
  /** A part broke off: one at a time, then, until the next drain. */
  failed(): void;
  /** The line or a proxy takes no parts of this size. False when they cannot be smaller. */
  tooBig(): boolean;
}

/** `downlinkMbps`: what the browser believes of the line, as a first guess. */
export function createPace(downlinkMbps?: number): Pace {
  const guess = downlinkMbps ? (downlinkMbps * 1e6 * SHORT_MS) / 8000 : FIRST_PART;
  let part = Math.max(SMALLEST_PART, Math.min(FIRST_PART, 2 ** Math.floor(Math.log2(guess))));
  let ceiling = LARGEST_PART;
  let lanes = 1;
  /** what one lane less brought, bytes a second; null before the first window */
  let before: number | null = null;
  let settled = false;
  let window: { from: number; bytes: number; parts: number } | null = null;

  function measure(bytes: number, began: number, now: number): void {
    window ??= { from: began, bytes: 0, parts: 0 };
    window.bytes += bytes;
    window.parts += 1;
    const took = now - window.from;
    if (settled || took < WINDOW_MS || window.parts < 2 * lanes) return;
    const rate = window.bytes / took;
    window = null;
    if (before !== null && rate < before * WORTH) {
      lanes -= 1;
      settled = true;
    } else if (lanes === MOST_LANES) {
      settled = true;
    } else {
      before = rate;
      lanes += 1;
    }
  }

  return {
    part: () => part,
    lanes: () => lanes,
    sent(bytes, began, now) {
      const took = now - began;
      // The last part of a chunk is shorter and tells nothing about longer ones.
      if (took < SHORT_MS && bytes >= part) part = Math.min(ceiling, part * 2);
      else if (took > LONG_MS && bytes > SMALLEST_PART) part = Math.max(SMALLEST_PART, Math.floor(part / 2));
      measure(bytes, began, now);
    },
    failed() {
      lanes = 1;
      settled = true;
      part = Math.max(SMALLEST_PART, Math.min(part, FIRST_PART));
    },
    tooBig() {
      if (part <= SMALLEST_PART) return false;
      part = Math.max(SMALLEST_PART, Math.floor(part / 2));
      ceiling = part;
      return true;
    },
  };
}
