import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { syncContract } from '../../e2e/support/sync.contract.ts';
import { openSqlite } from '../adapters/sqlite.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sheaf-sync-db-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

syncContract('SQLite', (number) => openSqlite(path.join(folder, `${number}.sqlite`)));
