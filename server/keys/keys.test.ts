import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { keysContract } from '../../e2e/support/keys.contract.ts';
import { openSqlite } from '../adapters/sqlite.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sheaf-keys-db-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

keysContract('SQLite', (number) => openSqlite(path.join(folder, `${number}.sqlite`)));
