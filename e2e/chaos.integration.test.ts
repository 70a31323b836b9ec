// The nemesis of uploads against the built server: one seed of its real tier, and every plan of it that once failed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { drawPlan } from './chaos/plan.ts';
import { openReal } from './chaos/real.ts';
import { readRegressions } from './chaos/regressions.ts';

let tier: Awaited<ReturnType<typeof openReal>>;
beforeAll(async () => {
  tier = await openReal('real');
});
afterAll(() => tier?.close());

const LONG = { timeout: 900_000 };
const unharmed = { lost: 0, duplicated: 0, corrupted: 0, stuck: 0, complaints: [] };

test('[U2] [U4] [U5] [U6] [P4] [P5] 15 faults, and every batch is read as if there had been none', LONG, async () => {
  const outcome = await tier.run(drawPlan('real', 7, 15));
  expect(outcome).toMatchObject({ faults: 15, ...unharmed });
  expect(outcome.faults_on_active_uploads).toBeGreaterThanOrEqual(12);
});

const regressions = readRegressions().filter((plan) => plan.tier === 'real');
for (const plan of regressions)
  test(
    `what once failed does so no more: ${plan.seed}, ${plan.faults.map(({ kind }) => kind).join(', ')}`,
    LONG,
    async () => {
      expect(await tier.run(plan)).toMatchObject(unharmed);
    },
  );
