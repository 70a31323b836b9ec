// The contract and what is MySQL's alone, against a real MariaDB: the one of TEST_MARIADB_URL, or a private one.
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMariaDb } from '../../e2e/support/servers.ts';
import { databaseContract } from './database.contract.ts';
import { loadDataField, openMysql } from './mysql.ts';

const NEEDS_MARIADB =
  'These tests need MariaDB: install it (Debian, Ubuntu: apt-get install mariadb-server), or name a server on which ' +
  'databases may be created in TEST_MARIADB_URL';

let server: { url: string; stop(): Promise<void> } | undefined;
const database = `sheaf_contract_${process.pid}`;
const urlOf = (name: string): string => {
  if (!server) throw new Error(NEEDS_MARIADB);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
};

beforeAll(async () => {
  const given = process.env.TEST_MARIADB_URL;
  if (given) {
    server = { url: given, stop: async () => {} };
    return;
  }
  try {
    server = await startMariaDb();
  } catch (cause) {
    throw new Error(NEEDS_MARIADB, { cause });
  }
});
afterAll(async () => {
  if (!server) return;
  try {
    const db = await openMysql(urlOf(database));
    await sql.raw(`drop database ${database}`).execute(db.sql);
    await db.close();
  } finally {
    await server.stop();
  }
});

databaseContract('MariaDB', () => openMysql(urlOf(database)));

describe('openMysql', () => {
  test('a url without a database is refused', async () => {
    await expect(openMysql('mysql://root@127.0.0.1/')).rejects.toThrow('must end in the name of a database');
  });

  test('a server that is not there is named in the error', async () => {
    await expect(openMysql('mysql://root@127.0.0.1:1/sheaf')).rejects.toThrow('127.0.0.1:1');
  });

  test('every connection is strict, READ COMMITTED and compares byte by byte', async () => {
    const db = await openMysql(urlOf(database));
    const look = () =>
      sql<{ isolation: string; mode: string; collation: string }>`select @@tx_isolation as isolation,
        @@sql_mode as mode, @@collation_connection as collation`.execute(db.sql);
    for (const { rows } of await Promise.all([look(), look(), look()]))
      expect(rows).toEqual([
        { isolation: 'READ-COMMITTED', mode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', collation: 'utf8mb4_bin' },
      ]);
    await db.close();
  });

  test('a server that asks for a file nobody offered gets nothing', async () => {
    const db = await openMysql(urlOf(database));
    const asking = db.write((tx) => sql.raw("load data local infile '/etc/hostname' into table settings").execute(tx));
    await expect(asking).rejects.toThrow('was not offered');
    expect(await sql`select 1 as one`.execute(db.sql)).toMatchObject({ rows: [{ one: 1 }] });
    await db.close();
  });

  test('a migration that was killed halfway is finished', async () => {
    const name = `${database}_half`;
    const db = await openMysql(urlOf(name));
    try {
      await db.migrate();
      // As if killed after a few tables: those are there, the rest and the record are not.
      await sql`drop table audit`.execute(db.sql);
      await sql`drop table changes`.execute(db.sql);
      await sql`delete from migrations`.execute(db.sql);
      await db.migrate();
      expect(await db.sql.selectFrom('audit').selectAll().execute()).toEqual([]);
      expect(await db.write((tx) => db.nextSeq(tx, 'x'))).toBe(1);
    } finally {
      await sql.raw(`drop database ${name}`).execute(db.sql);
      await db.close();
    }
  });
});

test('a field of a LOAD DATA line is told from its neighbours, and NULL from text', () => {
  expect([null, '\\N', 'a\tb\nc', '', 'é,"'].map(loadDataField)).toEqual(['\\N', '\\\\N', 'a\\tb\\nc', '', 'é,"']);
});
