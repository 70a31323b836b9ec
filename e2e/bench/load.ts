// `bench -- load [--sheets 11404] [--runs 3]`: the last step of a batch, its answers from the file into the database, one row
// each, in one transaction. On SQLite as it is; on MariaDB against a bare LOAD DATA of the same file into the same table.
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createConnection } from 'mysql2';
import { csvLine } from '../../server/adapters/csv-lines.ts';
import type { Database } from '../../server/adapters/database.ts';
import { openMysql } from '../../server/adapters/mysql.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import { ANSWER_COLUMNS } from '../../server/batches/answers.ts';
import { MOST_PAGES } from '../../server/uploads/zip.ts';
import { seeded } from '../../shared/corpus/random.ts';
import { temporaryFolder } from '../support/places.ts';
import { startMariaDb } from '../support/servers.ts';

const QUESTIONS = 150;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number): number => Math.round(value * 1000) / 1000;
async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Answers as the pipeline writes them: one in a hundred is doubtful, one in fifty blank. */
async function writeAnswers(file: string, sheets: number): Promise<number> {
  const random = seeded(3);
  const out = createWriteStream(file);
  for (let sheet = 0; sheet < sheets; sheet++) {
    let lines = '';
    for (let question = 1; question <= QUESTIONS; question++) {
      const blank = random.chance(0.02);
      const doubtful = random.chance(0.01);
      const flags = [...(blank ? ['blank'] : []), ...(doubtful ? ['faint', 'doubtful'] : [])].join(' ');
      const confidence = Math.round((doubtful ? random.between(0.5, 0.9) : random.between(0.99, 1)) * 1e4) / 1e4;
      const value = blank ? '' : random.pick(['A', 'B', 'C', 'D', 'E']);
      lines += csvLine([MOST_PAGES + sheet, question, value, confidence, flags]);
    }
    if (!out.write(lines)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
  return sheets * QUESTIONS;
}

/** Seconds from the start of the transaction to its commit. */
async function load(db: Database, file: string, answers: number): Promise<number> {
  await db.migrate();
  const seconds = await timed(() => db.writeAnswers((tx) => db.bulkLoad(tx, 'answers', ANSWER_COLUMNS, file)));
  const { n } = await db.sql
    .selectFrom('answers')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  if (Number(n) !== answers) throw new Error(`${n} rows were loaded instead of ${answers}`);
  return seconds;
}

/** LOAD DATA and nothing else, by the driver that Sheaf uses; the file goes to the server as it is. */
async function bareLoad(url: string, file: string, answers: number): Promise<number> {
  const connection = createConnection({
    uri: url,
    charset: 'UTF8MB4_BIN',
    infileStreamFactory: () => createReadStream(file, { highWaterMark: 256 * 1024 }),
  });
  try {
    const text = `load data local infile 'answers' into table answers character set utf8mb4
      fields terminated by ',' optionally enclosed by '"' (${ANSWER_COLUMNS.join(', ')})`;
    let loaded = 0;
    const seconds = await timed(async () => {
      const [result] = await connection.promise().query<import('mysql2').ResultSetHeader>(text);
      loaded = result.affectedRows;
    });
    if (loaded !== answers) throw new Error(`a bare LOAD DATA loaded ${loaded} rows instead of ${answers}`);
    return seconds;
  } finally {
    connection.destroy();
  }
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sheets: { type: 'string', default: '11404' },
      runs: { type: 'string', default: '3' },
      json: { type: 'boolean' },
    },
  });
  const folder = temporaryFolder();
  const file = path.join(folder, 'answers.csv');
  const answers = await writeAnswers(file, Number(values.sheets));
  const runs = Array.from({ length: Number(values.runs) }, (_, i) => i);
  const sqlite: number[] = [];
  for (const i of runs) {
    const db = await openSqlite(path.join(folder, `load-${i}.db`));
    sqlite.push(await load(db, file, answers).finally(() => db.close()));
    say(`sqlite ${i + 1}: ${round(sqlite.at(-1)!)} s`);
    for (const end of ['', '-wal', '-shm']) await rm(path.join(folder, `load-${i}.db${end}`), { force: true });
  }
  const server = await startMariaDb();
  const mariadb: number[] = [];
  const bare: number[] = [];
  try {
    for (const i of runs) {
      const url = `${server.url}load_${i}`;
      const db = await openMysql(url);
      try {
        const ours = async () => {
          mariadb.push(await load(db, file, answers));
          await db.writeAnswers((tx) => tx.deleteFrom('answers').execute());
        };
        await db.migrate();
        // Turn about, so that neither always meets the warmer server; into an emptied table of its own.
        const first = async () => {
          const fresh = await openMysql(`${server.url}bare_${i}`);
          await fresh.migrate();
          await fresh.close();
          bare.push(await bareLoad(`${server.url}bare_${i}`, file, answers));
        };
        for (const turn of i % 2 === 0 ? [first, ours] : [ours, first]) await turn();
      } finally {
        await db.close();
      }
      say(`mariadb ${i + 1}: ${round(mariadb.at(-1)!)} s, bare ${round(bare.at(-1)!)} s`);
    }
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return {
    answers,
    sqlite_s: round(median(sqlite)),
    mariadb_s: round(median(mariadb)),
    mariadb_bare_s: round(median(bare)),
    mariadb_ratio: round(median(mariadb.map((seconds, i) => seconds / (bare[i] ?? Number.NaN)))),
  };
}
