// Keyboard shortcuts as they are typed: single keys, or two in a row (`g b`). Pure: what a key does is said by the caller.

/** Between the two keys of a pair, ms. */
const PAIR_MS = 1_200;

export interface KeyPress {
  key: string;
  ctrl: boolean;
  /** typed into a field, where letters are text */
  inField: boolean;
  /** ms, any clock */
  at: number;
}

/** Feeds one key after the other; answers with the shortcut that is complete now, e.g. `g b`, `/`, `mod+k`. */
export function createShortcuts(known: readonly string[]) {
  let first: { key: string; at: number } | null = null;
  return (press: KeyPress): string | null => {
    const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
    if (press.ctrl) {
      first = null;
      return known.includes(`mod+${key}`) ? `mod+${key}` : null;
    }
    if (press.inField) return null;
    const pair = first && press.at - first.at < PAIR_MS ? `${first.key} ${key}` : null;
    first = null;
    if (pair && known.includes(pair)) return pair;
    if (known.includes(key)) return key;
    if (known.some((name) => name.startsWith(`${key} `))) first = { key, at: press.at };
    return null;
  };
}
