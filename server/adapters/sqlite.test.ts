import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseContract } from './database.contract.ts';
import { openSqlite } from './sqlite.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sheaf-sqlite-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

databaseContract('SQLite', () => openSqlite(join(folder, 'contract.db')));

describe('several processes and one file', () => {
  /** Does 40 transactions of read, wait, write; prints the highest number it took. */
  const COUNTER = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { openSqlite } from './sqlite.mjs';
    const db = await openSqlite(process.argv[2]);
    await db.migrate();
    for (let i = 0; i < 40; i += 1)
      await db.write(async (tx) => {
        const seq = await db.nextSeq(tx, 'processes');
        await sleep(Math.random() * 3);
        await tx.insertInto('events').values({ batch_id: 'p', seq, type: 'x', data: String(process.pid), at: 0 }).execute();
      });
    await db.close();`;

  test('three that make, migrate and write it at once lose nothing', async () => {
    // Node runs no TypeScript by itself, so the adapter is bundled as a build would.
    await build({
      configFile: false,
      logLevel: 'error',
      publicDir: false,
      build: {
        ssr: fileURLToPath(new URL('sqlite.ts', import.meta.url)),
        outDir: folder,
        emptyOutDir: false,
        rolldownOptions: { output: { entryFileNames: 'sqlite.mjs' } },
      },
    });
    await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'));
    await writeFile(join(folder, 'counter.mjs'), COUNTER);
    const file = join(folder, 'processes.db');
    const children = [1, 2, 3].map(() =>
      spawn(process.execPath, [join(folder, 'counter.mjs'), file], { stdio: ['ignore', 'inherit', 'inherit'] }),
    );
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
    expect(codes).toEqual([0, 0, 0]);

    const db = await openSqlite(file);
    const events = await db.sql.selectFrom('events').select(['seq', 'data']).orderBy('seq').execute();
    await db.close();
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(new Set(events.map(({ data }) => data)).size).toBe(3);
  }, 180_000);
});

describe('reading connections', () => {
  test('several streams and queries at the same time do not wait for each other', async () => {
    const db = await openSqlite(join(folder, 'streams.db'));
    await db.migrate();
    const rows = Array.from({ length: 100 }, (_, i) => ({ scope: `s${i}`, seq: i }));
    await db.write((tx) => db.insertNew(tx, 'sequences', rows));
    const all = db.sql.selectFrom('sequences').selectAll().where('scope', 'like', 's%');
    const streams = Array.from({ length: 8 }, () => all.stream());
    for (const stream of streams) expect((await stream.next()).done).toBe(false);
    expect(await all.execute()).toHaveLength(100);
    await db.write((tx) => db.nextSeq(tx, 's0'));
    for (const stream of streams) {
      let more = 0;
      for await (const _ of stream) more += 1;
      expect(more).toBe(99);
    }
    await db.close();
  });

  test('cannot write', async () => {
    const db = await openSqlite(join(folder, 'readonly.db'));
    await db.migrate();
    await expect(db.sql.insertInto('sequences').values({ scope: 'x', seq: 1 }).execute()).rejects.toThrow('readonly');
    await db.close();
  });
});

test('a bulk load lets the event loop turn', async () => {
  const db = await openSqlite(join(folder, 'loop.db'));
  await db.migrate();
  const file = join(folder, 'loop.csv');
  const lines = Array.from({ length: 200_000 }, (_, i) => `${Math.floor(i / 100)},${i % 100},A,1,""\n`);
  await writeFile(file, lines.join(''));
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const columns = ['sheet_id', 'question', 'value', 'confidence', 'flags'] as const;
  const loaded = await db.writeAnswers((tx) => db.bulkLoad(tx, 'answers', columns, file));
  clearInterval(timer);
  expect(loaded).toBe(200_000);
  expect(turns).toBeGreaterThan(10);
  await db.close();
});

test('a file that is no database is refused', async () => {
  const file = join(folder, 'letter.db');
  await writeFile(file, 'Dear Sirs, this is a letter and no database. '.repeat(50));
  await expect(openSqlite(file)).rejects.toThrow('not a database');
});
