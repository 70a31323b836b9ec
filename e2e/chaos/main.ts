// `npm run -s chaos -- --seeds A..B --faults N [--browser] [--json]`: everything that can go wrong with an upload, drawn
// from seeds, and an oracle that knows what must be true all the same. Each seed is played in the fast tier (pure Node,
// simulated line, disk and clock) and in the real one (built server, real Redis, killed processes); with --browser in
// real Chromium instead. A seed that fails is made smaller and kept in regressions.json, which the tests play again.
//
//   --seeds A..B   first and last seed (1..5)
//   --faults N     a seed (50)
//   --tier NAME    fast or real alone
//   --browser      real Chromium: tab, service worker and browser are killed as well
//   --json         one line at the end; else it is spread out
import { parseArgs } from 'node:util';
import { runFast } from './fast.ts';
import { drawPlan, type Plan, shrink, type Tier } from './plan.ts';
import { keepRegression } from './regressions.ts';
import { add, isHarmed, nothing, type Outcome } from './tally.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

type Run = (plan: Plan) => Promise<Outcome>;
/** Fewer attempts where one takes a minute. */
const SHRINKS: Record<Tier, number> = { fast: 300, real: 12, browser: 6 };

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1..5' },
    faults: { type: 'string', default: '50' },
    tier: { type: 'string' },
    browser: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [, first, last] = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ?? [];
const faults = Number(values.faults);
const wanted = values.browser ? ['browser'] : values.tier ? [values.tier] : ['fast', 'real'];
const tiers = wanted.filter((tier): tier is Tier => tier === 'fast' || tier === 'real' || tier === 'browser');
if (first === undefined || !(faults >= 1) || tiers.length !== wanted.length) {
  say('Usage: npm run -s chaos -- --seeds A..B --faults N [--tier fast|real] [--browser] [--json]');
  process.exit(2);
}

/** Opens what the tier needs, once for all seeds. */
async function openTier(tier: Tier): Promise<{ run: Run; close(): Promise<void> }> {
  if (tier === 'fast') return { run: (plan) => runFast(plan), close: async () => undefined };
  const { openReal } = await import('./real.ts');
  return openReal(tier);
}

let closeTier = async (): Promise<void> => undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void closeTier().finally(() => process.exit(130)));

const total = nothing();
const byTier: Partial<Record<Tier, Outcome>> = {};
for (const tier of tiers) {
  const sum = nothing();
  byTier[tier] = sum;
  const { run, close } = await openTier(tier);
  closeTier = close;
  try {
    for (let seed = Number(first); seed <= Number(last ?? first); seed++) {
      const plan = drawPlan(tier, seed, faults);
      const began = performance.now();
      const outcome = await run(plan);
      const { lost, duplicated, corrupted, stuck, uploads } = outcome;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      say(
        `${tier} seed ${seed}: ${outcome.faults} faults on ${uploads} uploads in ${seconds} s: lost ${lost}, duplicated ${duplicated}, corrupted ${corrupted}, stuck ${stuck}`,
      );
      for (const line of outcome.complaints) say(`  ${line}`);
      add(sum, outcome);
      if (!isHarmed(outcome)) continue;
      const smallest = await shrink(plan, async (smaller) => isHarmed(await run(smaller)), SHRINKS[tier]);
      const kept = keepRegression(smallest);
      say(`  it fails with ${smallest.faults.map(({ kind }) => kind).join(', ')}; kept in ${kept}`);
    }
  } finally {
    await close();
  }
  add(total, sum);
}
const { complaints, ...numbers } = total;
const tierNumbers = Object.fromEntries(
  Object.entries(byTier).map(([tier, { faults: struck, uploads, lost, duplicated, corrupted, stuck }]) => [
    tier,
    { faults: struck, uploads, lost, duplicated, corrupted, stuck },
  ]),
);
process.stdout.write(`${JSON.stringify({ ...numbers, tiers: tierNumbers, complaints }, null, values.json ? 0 : 2)}\n`);
process.exit(isHarmed(total) ? 1 : 0);
