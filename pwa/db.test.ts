import 'fake-indexeddb/auto';
import type { DBSchema } from 'idb';
import { afterAll, expect, test } from 'vitest';
import { closeChannel, type Migration, NewerSchema, onChange, openMigrated, openQueue, openUser, write } from './db.ts';

interface Shelf extends DBSchema {
  books: { key: string; value: { id: string; title: string }; indexes: { title: string } };
  loans: { key: string; value: { id: string } };
}

const FIRST: Migration<Shelf> = {
  version: 1,
  reason: 'books',
  run(db) {
    db.createObjectStore('books', { keyPath: 'id' });
  },
};
const SECOND: Migration<Shelf> = {
  version: 2,
  reason: 'loans, and books by title',
  run(db, tx) {
    db.createObjectStore('loans', { keyPath: 'id' });
    tx.objectStore('books').createIndex('title', 'title');
  },
};

let names = 0;
const freshName = (): string => `shelf-${names++}`;

afterAll(closeChannel);

test('[U3] what an older schema stored is there after the migration', async () => {
  const name = freshName();
  const old = await openMigrated<Shelf>(name, [FIRST]);
  await old.put('books', { id: 'a', title: 'Emma' });
  old.close();
  const now = await openMigrated<Shelf>(name, [FIRST, SECOND]);
  expect(await now.getFromIndex('books', 'title', 'Emma')).toEqual({ id: 'a', title: 'Emma' });
  expect([...now.objectStoreNames]).toEqual(['books', 'loans']);
  now.close();
});

test('a migrated database has the same stores as a fresh one', async () => {
  const [grown, fresh] = [freshName(), freshName()];
  (await openMigrated<Shelf>(grown, [FIRST])).close();
  const a = await openMigrated<Shelf>(grown, [FIRST, SECOND]);
  const b = await openMigrated<Shelf>(fresh, [FIRST, SECOND]);
  expect([...a.objectStoreNames]).toEqual([...b.objectStoreNames]);
  expect([...a.transaction('books').store.indexNames]).toEqual([...b.transaction('books').store.indexNames]);
  a.close();
  b.close();
});

test('[U3] a schema written by a newer version is refused and left alone', async () => {
  const name = freshName();
  const newer = await openMigrated<Shelf>(name, [FIRST, SECOND]);
  await newer.put('loans', { id: 'x' });
  newer.close();
  await expect(openMigrated<Shelf>(name, [FIRST])).rejects.toBeInstanceOf(NewerSchema);
  const again = await openMigrated<Shelf>(name, [FIRST, SECOND]);
  expect(await again.count('loans')).toBe(1);
  again.close();
});

test('a gap in the numbers of migrations is a fault of ours', async () => {
  await expect(openMigrated<Shelf>(freshName(), [FIRST, { ...SECOND, version: 3 }])).rejects.toThrow('migration 2');
});

test('a migration that throws leaves the old schema and its data', async () => {
  const name = freshName();
  const old = await openMigrated<Shelf>(name, [FIRST]);
  await old.put('books', { id: 'a', title: 'Emma' });
  old.close();
  const broken: Migration<Shelf> = {
    version: 2,
    reason: 'breaks half-way',
    run(db) {
      db.createObjectStore('loans', { keyPath: 'id' });
      throw new Error('broken migration');
    },
  };
  await expect(openMigrated<Shelf>(name, [FIRST, broken])).rejects.toThrow();
  const after = await openMigrated<Shelf>(name, [FIRST]);
  expect(await after.count('books')).toBe(1);
  after.close();
});

test('a newer version in another tab is let in, and this one is told', async () => {
  const name = freshName();
  const old = await openMigrated<Shelf>(name, [FIRST]);
  const heard: string[] = [];
  const stop = onChange((stores) => heard.push(...stores));
  const newer = await openMigrated<Shelf>(name, [FIRST, SECOND]);
  expect(heard).toEqual(['user-gone']);
  await expect(old.get('books', 'a')).rejects.toThrow();
  stop();
  newer.close();
});

test('both databases of the app open fresh', async () => {
  const queue = await openQueue();
  const user = await openUser('u1');
  expect([...queue.objectStoreNames]).toEqual(['bytes', 'chunks', 'device', 'uploads']);
  expect(user.name).toBe('sheaf-u1');
  expect(user.objectStoreNames).toContain('sheets');
  queue.close();
  user.close();
});

test('a write is announced when it is complete, and not at all when it fails', async () => {
  const db = await openMigrated<Shelf>(freshName(), [FIRST]);
  const heard: string[] = [];
  const stop = onChange((stores) => heard.push(...stores));
  await write(db, ['books'], (tx) => tx.objectStore('books').put({ id: 'a', title: 'Emma' }));
  expect(heard).toEqual(['books']);
  await expect(
    write(db, ['books'], async (tx) => {
      await tx.objectStore('books').put({ id: 'b', title: 'Persuasion' });
      throw new Error('thought better of it');
    }),
  ).rejects.toThrow('thought better of it');
  expect(heard).toEqual(['books']);
  expect(await db.count('books')).toBe(1);
  stop();
  db.close();
});
