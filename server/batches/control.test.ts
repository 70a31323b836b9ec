import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { storeExam } from '../../e2e/support/stored-exam.ts';
import type { BatchStatus } from '../../shared/protocol/stage.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { beginStage, endStage } from '../progress/log.ts';
import { pauseBatch, resumeBatch } from './control.ts';
import { move } from './life.ts';

let folder: string;
let db: Database;
const ANNE: User = {
  user_id: 'anne',
  username: 'anne',
  role: 'admin',
  centres: [],
  must_change_password: false,
  session_id: 'hers',
  device: 'a desk',
};

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-control-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  await storeExam(db, { seed: 1, sheets: 3, packet: 3, questions: 40, booklets: 1, batch_no: 7 });
});
afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const batch = (): Promise<BatchesTable> => db.sql.selectFrom('batches').selectAll().executeTakeFirstOrThrow();
/** As it is while its archive's directory is read. */
async function extracting(status: BatchStatus): Promise<BatchesTable> {
  await db.write(async (tx) => {
    await tx.updateTable('batches').set({ status, processing_completed_at: null }).execute();
    await beginStage(db, tx, 'batch-7', 'extracting', Date.now(), Date.now());
  });
  return batch();
}
/** What the step does when it has come to its end. */
const extracted = () =>
  db.write(async (tx) => {
    await endStage(tx, 'batch-7', 'extracting', Date.now());
    await move(tx, 'batch-7', 'processing');
  });

test.each(['uploaded', 'validating'] as const)(
  '[P3] paused while %s, a batch goes on as processing when its directory has been read meanwhile',
  async (status) => {
    await pauseBatch(db, ANNE, await extracting(status));
    await extracted();
    expect((await batch()).status).toBe('paused');
    await resumeBatch(db, ANNE, await batch());
    expect((await batch()).status).toBe('processing');
  },
);

test('[P3] what the pipeline did between the question and the pause is not undone by going on', async () => {
  const asked = await extracting('validating');
  await extracted();
  await pauseBatch(db, ANNE, asked);
  expect(await batch()).toMatchObject({ status: 'paused', resume_status: 'processing' });
});

test('paused while its directory is read, it goes on with that', async () => {
  await pauseBatch(db, ANNE, await extracting('validating'));
  await resumeBatch(db, ANNE, await batch());
  expect((await batch()).status).toBe('validating');
});
