import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { insertUpload } from '../uploads/ledger.ts';
import { listBatches } from './queries.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sheaf-queries-'));
const admin: User = {
  user_id: 'u1',
  username: 'Ada',
  role: 'admin',
  centres: [],
  must_change_password: false,
  session_id: 's',
  device: 'test',
};
let db: Database;

beforeAll(async () => {
  db = await openSqlite(path.join(folder, 'test.sqlite'));
  await db.migrate();
  await db.write((tx) =>
    db.insertNew(tx, 'users', [
      {
        user_id: 'u1',
        username: 'Ada',
        password_hash: '',
        role: 'admin',
        must_change_password: 0,
        disabled: 0,
        created_at: 1,
      },
    ]),
  );
  for (const [i, name] of ['100%_north.zip', '100 north.zip', 'South.zip'].entries()) {
    const upload = {
      client_upload_id: `c${i}`,
      upload_type: 'zip_with_qr' as const,
      name,
      size: 1,
      chunk_size: 65_536,
      task_id: null,
      files: null,
    };
    const ids = { upload_id: `up${i}`, batch_id: `b${i}`, token: `t${i}` };
    await db.write((tx) => insertUpload(db, tx, admin, upload, ids));
  }
});
afterAll(async () => {
  await db.close();
  fs.rmSync(folder, { recursive: true });
});

const found = async (search: string): Promise<string[]> => {
  const query = { page: 1, status: undefined, sort: 'name', order: 'asc', search, deleted: false } as const;
  return (await listBatches(db, admin, query)).items.map((batch) => batch.name);
};

test('what is searched for means itself: % and _ are no wild cards', async () => {
  expect(await found('%_')).toEqual(['100%_north.zip']);
  expect(await found('100%')).toEqual(['100%_north.zip']);
});

test('search finds names in any case, and by who sent them', async () => {
  expect(await found('south')).toEqual(['South.zip']);
  expect(await found('ADA')).toHaveLength(3);
  expect(await found('nothing of the kind')).toEqual([]);
});
