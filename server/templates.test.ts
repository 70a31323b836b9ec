import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSqlite } from './adapters/sqlite.ts';
import { storeBuiltIns, templatesOf } from './templates.ts';

test('a stored template that is none is told with the fields that are wrong', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'sheaf-templates-'));
  const db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  onTestFinished(async () => {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  });
  await db.migrate();
  await storeBuiltIns(db);
  const [first] = await templatesOf(db)();
  const content = JSON.stringify({ ...first, page: { width: 'wide', height: -1 } });
  const row = { template_id: 'spoilt', version: 1, content, created_by: null, created_at: 1 };
  await db.write((tx) => db.insertNew(tx, 'templates', [row]));
  await expect(templatesOf(db)()).rejects.toThrow(
    /^template spoilt@1 in the database is not one: page\.width: .+; page\.height: /,
  );
});
