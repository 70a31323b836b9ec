// The same on a real MariaDB: the one of TEST_MARIADB_URL, or a private one.
import mysql from 'mysql2/promise';
import { afterAll, beforeAll } from 'vitest';
import { startMariaDb } from '../../e2e/support/servers.ts';
import { syncContract } from '../../e2e/support/sync.contract.ts';
import { openMysql } from '../adapters/mysql.ts';

let server: { url: string; stop(): Promise<void> } | undefined;
const made: string[] = [];
const ask = async (statement: string): Promise<void> => {
  const connection = await mysql.createConnection(server?.url ?? '');
  await connection.query(statement);
  await connection.end();
};

beforeAll(async () => {
  const given = process.env.TEST_MARIADB_URL;
  server = given ? { url: given, stop: async () => {} } : await startMariaDb();
});
afterAll(async () => {
  for (const name of made) await ask(`drop database ${name}`);
  await server?.stop();
});

syncContract('MariaDB', async (number) => {
  const name = `sheaf_sync_${process.pid}_${number}`;
  await ask(`create database ${name}`);
  made.push(name);
  const url = new URL(server?.url ?? '');
  url.pathname = `/${name}`;
  return openMysql(url.href);
});
