// What is done to a tablet and its servers, drawn from a seed: a list of faults, each with how many requests pass before
// it strikes. A plan that fails is made smaller until nothing more can be left out of it.
import { type Random, seeded } from '../../shared/corpus/random.ts';

/** Faults that strike the next request on the line. `at`: how much of its body has gone by then, 0 to 1. */
export const LINE_FAULTS = [
  'cut-before',
  'cut-within',
  'answer-lost',
  'slow',
  'stalled',
  'corrupted',
  'duplicated',
  'duplicated-at-once',
  'delivered-late',
  'stale-socket',
  'spoilt-token',
] as const;
/** Faults that strike a process, a disk or a person's session. */
export const PLACE_FAULTS = [
  'kill-api',
  'power-cut',
  'kill-worker',
  'kill-redis',
  'flush-redis',
  'disk-full',
  'tablet-killed',
  'tab-killed',
  'worker-killed',
  'browser-killed',
  'two-senders',
  'signed-out',
  'clock-jump',
  'expired',
] as const;
export type FaultKind = (typeof LINE_FAULTS)[number] | (typeof PLACE_FAULTS)[number];

export interface Fault {
  kind: FaultKind;
  /** requests that pass unharmed before it */
  after: number;
  /** two numbers in [0, 1) that say where exactly; what they mean is the fault's own */
  at: number;
  how: number;
}
export type Tier = 'fast' | 'real' | 'browser';
export interface Plan {
  tier: Tier;
  seed: number;
  faults: Fault[];
}

/** Kinds of each tier and how often each is drawn. What only a real process or a real browser has is not in the fast
 *  tier; what only a simulated disk and clock can do is in no other. */
const WEIGHTS: Record<Tier, Partial<Record<FaultKind, number>>> = {
  fast: {
    'cut-before': 2,
    'cut-within': 4,
    'answer-lost': 3,
    stalled: 2,
    corrupted: 3,
    duplicated: 2,
    'duplicated-at-once': 2,
    'delivered-late': 2,
    'stale-socket': 3,
    'spoilt-token': 1,
    'kill-api': 4,
    'power-cut': 3,
    'disk-full': 1,
    'tablet-killed': 3,
    'two-senders': 1,
    'signed-out': 1,
    'clock-jump': 1,
    expired: 0.3,
  },
  real: {
    'cut-before': 2,
    'cut-within': 4,
    'answer-lost': 3,
    slow: 1,
    corrupted: 2,
    duplicated: 2,
    'duplicated-at-once': 2,
    'delivered-late': 2,
    'stale-socket': 2,
    'spoilt-token': 1,
    'kill-api': 4,
    'kill-worker': 2,
    'kill-redis': 2,
    'flush-redis': 1,
    'power-cut': 1,
    'disk-full': 2,
    'tablet-killed': 3,
    'signed-out': 1,
  },
  browser: {
    'cut-before': 2,
    'cut-within': 3,
    'answer-lost': 2,
    slow: 1,
    corrupted: 1,
    duplicated: 1,
    'delivered-late': 1,
    'kill-api': 3,
    'kill-worker': 1,
    'kill-redis': 1,
    'flush-redis': 1,
    'power-cut': 1,
    'tab-killed': 4,
    'worker-killed': 4,
    'browser-killed': 2,
  },
};
/** requests that may pass between two faults */
const GAP: Record<Tier, number> = { fast: 4, real: 3, browser: 2 };

function drawKind(random: Random, tier: Tier): FaultKind {
  const weights = Object.entries(WEIGHTS[tier]) as [FaultKind, number][];
  let left = random.next() * weights.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of weights) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'cut-before';
}

export function drawPlan(tier: Tier, seed: number, faults: number): Plan {
  const random = seeded(seed * 7919 + tier.length);
  return {
    tier,
    seed,
    faults: Array.from({ length: faults }, () => ({
      kind: drawKind(random, tier),
      after: random.int(GAP[tier]),
      at: random.next(),
      how: random.next(),
    })),
  };
}

/** Leaves out halves, quarters … single faults, as long as the plan still fails, and at most so many times.
 *  Source: Zeller and Hildebrandt, Simplifying and isolating failure-inducing input, 2002 (ddmin). */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, attempts: number): Promise<Plan> {
  let best = plan;
  let left = attempts;
  for (let parts = 2; best.faults.length > 1 && left > 0; ) {
    const size = Math.ceil(best.faults.length / parts);
    let smaller: Plan | null = null;
    for (let from = 0; from < best.faults.length && left > 0 && !smaller; from += size) {
      const faults = best.faults.filter((_, i) => i < from || i >= from + size);
      if (faults.length === 0) continue;
      left -= 1;
      const tried = { ...best, faults };
      if (await fails(tried)) smaller = tried;
    }
    if (smaller) {
      best = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(best.faults.length, parts * 2);
  }
  return best;
}
