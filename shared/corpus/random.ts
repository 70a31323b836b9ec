// A seeded source of chance: the same seed draws the same page on every machine.

export interface Random {
  /** in [0, 1) */
  next(): number;
  /** a whole number in [0, n) */
  int(n: number): number;
  between(low: number, high: number): number;
  chance(p: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** mean 0, deviation 1, within ±3.5: the sum of four even draws, which needs no logarithm */
  normal(): number;
}

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, ample for drawing pages. */
export const seeded = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    int: (n) => Math.floor(next() * n),
    between: (low, high) => low + (high - low) * next(),
    chance: (p) => next() < p,
    pick: (list) => list[Math.floor(next() * list.length)]!,
    // four even draws have variance 4/12; √3 makes it one
    normal: () => (next() + next() + next() + next() - 2) * 1.7320508075688772,
  };
};
