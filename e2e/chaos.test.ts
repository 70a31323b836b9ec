// The nemesis of uploads, as far as it needs no process: a few seeds of its fast tier, every plan that once failed, and
// proof that its oracle sees what it is there to see.
import { expect, test } from 'vitest';
import { runFast } from './chaos/fast.ts';
import { drawPlan, type Fault, type Plan, shrink } from './chaos/plan.ts';
import { readRegressions } from './chaos/regressions.ts';
import { createDisk } from './chaos/sim-disk.ts';

const LONG = { timeout: 600_000 };
const unharmed = { lost: 0, duplicated: 0, corrupted: 0, stuck: 0, complaints: [] };

test('[U2] [U3] [U4] [U5] [U6] 40 faults, and every upload arrives whole, once', LONG, async () => {
  const outcome = await runFast(drawPlan('fast', 101, 40));
  expect(outcome).toMatchObject({ faults: 40, ...unharmed });
  expect(outcome.faults_on_active_uploads).toBeGreaterThanOrEqual(32);
});

test.each(readRegressions().filter(({ tier }) => tier === 'fast'))(
  'what once failed does so no more: $seed',
  LONG,
  async (plan) => {
    expect(await runFast(plan)).toMatchObject(unharmed);
  },
);

test('[U5] a disk that only says that it syncs is found out when the power goes', LONG, async () => {
  const cut = (at: number): Fault => ({ kind: 'power-cut', after: 2, at, how: 0.9 });
  const plan: Plan = { tier: 'fast', seed: 7, faults: [0.9, 0.8, 0.7].map(cut) };
  expect(await runFast(plan)).toMatchObject(unharmed);
  expect((await runFast(plan, createDisk(false))).lost).toBeGreaterThan(0);
});

test('the same seed is the same plan, and a failing one is made as small as what makes it fail', async () => {
  const plan = drawPlan('real', 3, 60);
  expect(drawPlan('real', 3, 60)).toEqual(plan);
  const [one, other] = [plan.faults[17], plan.faults[41]];
  let tries = 0;
  const smallest = await shrink(
    plan,
    async ({ faults }) => {
      tries += 1;
      return faults.includes(one) && faults.includes(other);
    },
    200,
  );
  expect(smallest.faults).toEqual([one, other]);
  expect(tries).toBeLessThan(100);
});
