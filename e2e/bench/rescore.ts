// `bench -- rescore [--sheets 11404] [--runs 3] [--sqlite-only]`: from "publish" to the commit of every sheet's new score,
// with change feed, audit and wrong-key detector, on SQLite and on MariaDB. No reading is parsed and no image opened.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import mysql from 'mysql2/promise';
import type { Database } from '../../server/adapters/database.ts';
import { openMysql } from '../../server/adapters/mysql.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import type { User } from '../../server/auth/sessions.ts';
import { MOST_CHANGES, scopeOf } from '../../server/changes.ts';
import { createKey, publishKey } from '../../server/keys/keys.ts';
import { rescoreAsked } from '../../server/keys/rescore.ts';
import { saveTask } from '../../server/keys/tasks.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import { scoreSheet } from '../../shared/scoring/score.ts';
import { temporaryFolder } from '../support/places.ts';
import { startMariaDb } from '../support/servers.ts';
import { storeExam } from '../support/stored-exam.ts';

const QUESTIONS = 150;
const PACKET = 30;
const OFFICE: User = {
  user_id: 'office',
  username: 'office',
  role: 'admin',
  centres: [],
  must_change_password: false,
  session_id: 'bench',
  device: 'bench',
};
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;

interface Measured {
  seconds: number[];
  answers: number;
  /** the longest time in which nothing else could run in the process, milliseconds */
  blocked_ms: number;
}

async function measure(db: Database, folder: string, sheets: number, runs: number): Promise<Measured> {
  await db.migrate();
  say(`${db.kind}: storing ${sheets} sheets of ${QUESTIONS} questions`);
  const exam = await storeExam(db, {
    seed: 11,
    sheets,
    packet: PACKET,
    questions: QUESTIONS,
    booklets: 4,
    batch_no: 1,
    answersIn: folder,
  });
  const content = (version: number): KeyContent => ({
    ...exam.key,
    marks: { correct: 4, wrong: -1, blank: version / 100 },
  });
  await createKey(db, OFFICE, 'key', content(0));
  await publishKey(db, OFFICE, 'key', {});
  await db.write(async (tx) => {
    // Made as a bulk import would: one by one each would score its own packet.
    await tx.updateTable('sheet_groups').set({ state: 'ok' }).execute();
  });
  for (const task_id of exam.task_ids) {
    await saveTask(db, OFFICE, {
      task_id,
      exam: 'Exam',
      centre: 'North',
      template_id: exam.template_id,
      key_id: 'key',
    });
  }
  await rescoreAsked(db);

  const seconds: number[] = [];
  let blocked_ms = 0;
  for (let run = 1; run <= runs; run++) {
    await createKey(db, OFFICE, 'key', content(run));
    const before = await lastChange(db, exam.batch_id);
    let last = performance.now();
    const ticking = setInterval(() => {
      const now = performance.now();
      blocked_ms = Math.max(blocked_ms, now - last);
      last = now;
    }, 1);
    const began = performance.now();
    const { batches } = await publishKey(db, OFFICE, 'key', {});
    const done = await rescoreAsked(db, batches);
    const took = (performance.now() - began) / 1000;
    clearInterval(ticking);
    seconds.push(took);
    say(`${db.kind}: ${done.sheets} sheets in ${took.toFixed(2)} s`);

    // What was measured has to be what was asked for.
    if (done.sheets !== sheets) throw new Error(`only ${done.sheets} of ${sheets} results changed`);
    const told = (await lastChange(db, exam.batch_id)) - before;
    // Many at once are one number, after which devices begin anew.
    if (told < (sheets > MOST_CHANGES ? 1 : sheets)) throw new Error(`the feed tells of ${told} changes only`);
    for (const sheet of [0, Math.floor(sheets / 2), sheets - 1]) {
      const row = await db.sql
        .selectFrom('results')
        .select(['score', 'max_score', 'key_version'])
        .where('sheet_id', '=', exam.sheet_ids[sheet]!)
        .executeTakeFirstOrThrow();
      const { score, max_score } = scoreSheet(exam.reading(sheet), content(run));
      if (row.score !== score || row.max_score !== max_score || row.key_version !== run + 1)
        throw new Error(`sheet ${sheet} has ${JSON.stringify(row)} instead of ${score} of ${max_score}`);
    }
  }
  const { n } = await db.sql
    .selectFrom('answers')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return { seconds, answers: Number(n), blocked_ms };
}

async function lastChange(db: Database, batchId: string): Promise<number> {
  const row = await db.sql
    .selectFrom('sequences')
    .select('seq')
    .where('scope', '=', scopeOf(batchId))
    .executeTakeFirst();
  return row?.seq ?? 0;
}

async function onMariaDb(folder: string, sheets: number, runs: number): Promise<Measured> {
  const given = process.env.TEST_MARIADB_URL;
  const server = given === undefined ? await startMariaDb() : null;
  try {
    const url = new URL(given ?? server?.url ?? '');
    const name = `bench_${randomBytes(4).toString('hex')}`;
    const connection = await mysql.createConnection(url.href);
    await connection.query(`create database ${name}`);
    await connection.end();
    url.pathname = `/${name}`;
    const db = await openMysql(url.href);
    try {
      return await measure(db, folder, sheets, runs);
    } finally {
      await db.close();
    }
  } finally {
    await server?.stop();
  }
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sheets: { type: 'string', default: '11404' },
      runs: { type: 'string', default: '3' },
      'sqlite-only': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const [sheets, runs] = [Number(values.sheets), Number(values.runs)];
  const folder = temporaryFolder();
  try {
    const db = await openSqlite(path.join(folder, 'bench.sqlite'));
    const sqlite = await measure(db, folder, sheets, runs).finally(() => db.close());
    const mariadb = values['sqlite-only'] ? null : await onMariaDb(folder, sheets, runs);
    return {
      sheets,
      answers: sqlite.answers,
      seconds: round(median(sqlite.seconds)),
      runs: sqlite.seconds.map(round),
      blocked_ms: Math.round(sqlite.blocked_ms),
      mariadb_seconds: mariadb && round(median(mariadb.seconds)),
      mariadb_runs: mariadb?.seconds.map(round) ?? null,
    };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
