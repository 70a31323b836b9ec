// The contract and what is MySQL's alone, against a real MariaDB: the one of TEST_MARIADB_URL, or a private one that is
// started here on a free port of the loopback interface.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseContract } from './database.contract.ts';
import { loadDataField, openMysql } from './mysql.ts';

interface Server {
  /** without a database */
  url: string;
  stop(): Promise<void>;
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port was given');
  return address.port;
};

async function startMariaDb(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'sheaf-mariadb-'));
  const data = join(folder, 'data');
  const runAs = process.getuid?.() === 0 ? ['--user=root'] : [];
  const install = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', ...runAs];
  try {
    execFileSync('mariadb-install-db', [...install, '--skip-test-db'], { stdio: 'ignore' });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(
      'These tests need MariaDB: install it (Debian and Ubuntu: apt-get install mariadb-server) or name a server in TEST_MARIADB_URL',
      { cause: error },
    );
  }
  const port = await freePort();
  const child = spawn(
    'mariadbd',
    ['--no-defaults', `--datadir=${data}`, `--socket=${join(folder, 'socket')}`, `--port=${port}`, ...runAs].concat(
      '--bind-address=127.0.0.1',
      '--innodb-buffer-pool-size=64M',
      '--skip-log-bin',
    ),
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  return {
    url: `mysql://root@127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let server: Server;
const database = `sheaf_contract_${process.pid}`;
const urlOf = (name: string): string => {
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
};

beforeAll(async () => {
  const given = process.env.TEST_MARIADB_URL;
  server = given === undefined ? await startMariaDb() : { url: given, stop: async () => {} };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const db = await openMysql(urlOf(database));
      await db.close();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(100);
    }
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
