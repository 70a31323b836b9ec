// A few hundred random schedules with every test run. More, from another seed:
//   SHEAF_SCHEDULES=10000 SHEAF_SEED=7 npm test -- unit e2e/sync-schedules
// A failure prints its seed and the shortest schedule that shows it: that goes into sync-seeds.ts.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeChannel, openQueue } from '../pwa/db.ts';
import { openSqlite } from '../server/adapters/sqlite.ts';
import { makeWorld, runSchedule, schedule } from './support/schedules.ts';
import { FOUND } from './support/sync-seeds.ts';

const RUNS = Number(process.env.SHEAF_SCHEDULES ?? 200);
const SEED = Number(process.env.SHEAF_SEED ?? Date.now() % 1_000_000);

test(`[S1] [S2] [S3] [S4] ${RUNS} schedules: no decision lost, none applied twice, every device like the server at rest`, {
  timeout: 60_000 + RUNS * 1000,
}, async () => {
  // In memory where there is such a folder: what is tested is not the disk.
  const folder = await mkdtemp(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sheaf-schedules-'));
  const db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  const queue = await openQueue();
  try {
    await db.migrate();
    const world = await makeWorld(db, queue);
    for (const found of FOUND) await runSchedule(world, found);
    const done = await fc.check(
      fc.asyncProperty(schedule, (commands) => runSchedule(world, commands)),
      { numRuns: RUNS, seed: SEED },
    );
    if (done.failed) {
      const { seed, counterexamplePath, counterexample, errorInstance } = done;
      const where = `seed ${seed}, path ${counterexamplePath}, after ${done.numShrinks} steps of shrinking`;
      throw new Error(`${where}:\n${JSON.stringify(counterexample?.[0])}`, { cause: errorInstance });
    }
    expect(done.numRuns).toBe(RUNS);
  } finally {
    queue.close();
    closeChannel();
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
});
