// A few hundred random schedules with every test run. More, from another seed:
//   SHEAF_SCHEDULES=10000 SHEAF_SEED=7 npm test -- unit e2e/sync-schedules
// A failure prints its seed and the shortest schedule that shows it: that goes into support/sync-seeds.ts.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'vitest';
import { openSqlite } from '../server/adapters/sqlite.ts';
import { checkSchedules, schedulesAsked } from './support/schedules.ts';
import { FOUND } from './support/sync-seeds.ts';

const asked = schedulesAsked(150);

test(`[S1] [S2] [S3] [S4] ${asked.runs} schedules on SQLite: no decision lost, none applied twice, every device like the server at rest`, {
  timeout: 600_000 + asked.runs * 2000,
}, async () => {
  // In memory where there is such a folder: what is tested is not the disk.
  const folder = await mkdtemp(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sheaf-schedules-'));
  const db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  try {
    await db.migrate();
    await checkSchedules(db, FOUND, asked);
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
});
