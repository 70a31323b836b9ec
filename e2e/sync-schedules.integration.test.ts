// The same on a real MariaDB. More: SHEAF_SCHEDULES=500 npm test -- integration e2e/sync-schedules
import mysql from 'mysql2/promise';
import { test } from 'vitest';
import { openMysql } from '../server/adapters/mysql.ts';
import { checkSchedules, schedulesAsked } from './support/schedules.ts';
import { startMariaDb } from './support/servers.ts';
import { FOUND } from './support/sync-seeds.ts';

const asked = schedulesAsked(25);

test(`[S1] [S2] [S3] [S4] ${asked.runs} schedules on MariaDB: no decision lost, none applied twice, every device like the server at rest`, {
  timeout: 600_000 + asked.runs * 5000,
}, async () => {
  const given = process.env.TEST_MARIADB_URL;
  const server = given ? { url: given, stop: async () => {} } : await startMariaDb();
  const name = `sheaf_schedules_${process.pid}`;
  const ask = async (statement: string): Promise<void> => {
    const connection = await mysql.createConnection(server.url);
    await connection.query(statement);
    await connection.end();
  };
  try {
    await ask(`create database ${name}`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    const db = await openMysql(url.href);
    try {
      await db.migrate();
      await checkSchedules(db, FOUND, asked);
    } finally {
      await db.close();
    }
    await ask(`drop database ${name}`);
  } finally {
    await server.stop();
  }
});
