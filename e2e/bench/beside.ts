// `bench -- beside [--sheets 11404] [--databases sqlite,mariadb]`: how long a correction takes while the worker collects,
// writes and loads a big batch. Both go through the built server; the correction is of another batch.
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Database } from '../../server/adapters/database.ts';
import { openDatabase } from '../../server/adapters/open-database.ts';
import { hasEnded } from '../../server/batches/life.ts';
import type { DatabasePlace } from '../../server/config.ts';
import { PushAnswer } from '../../shared/protocol/sync.ts';
import { peakRss } from '../support/processes.ts';
import { startMariaDb } from '../support/servers.ts';
import { startSheaf } from '../support/sheaf.ts';
import { storeExam } from '../support/stored-exam.ts';

const QUESTIONS = 150;
/** Corrections before the load, to compare with. */
const IDLE = 60;
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number): number => Math.round(value * 10) / 10;

/** Puts a stored batch back to where its last page has just been read: the worker does the rest. */
async function unload(db: Database, batch_id: string): Promise<void> {
  const at = Date.now();
  await db.write(async (tx) => {
    await tx.deleteFrom('stages').where('batch_id', '=', batch_id).execute();
    await db.insertNew(
      tx,
      'stages',
      ['uploading', 'extracting', 'organizing_qr', 'processing_sheets'].map((stage) => ({
        batch_id,
        stage,
        enqueued_at: null,
        started_at: at,
        finished_at: at,
      })),
    );
    await tx
      .updateTable('batches')
      .set({ status: 'processing', stage: 'processing_sheets', processing_completed_at: null })
      .where('batch_id', '=', batch_id)
      .execute();
  });
}

export interface Beside {
  /** of one correction, from the request to the answer */
  idle_ms: number;
  /** the same while the batch is loaded */
  median_ms: number;
  worst_ms: number;
  /** the longest, less what one takes otherwise */
  delay_ms: number;
  corrections: number;
  load_s: number;
  /** of API and worker, since their start */
  peak_rss_mb: Record<string, number>;
}

/** @param url of a MariaDB server; none: SQLite */
export async function besideLoad(sheets: number, url?: string): Promise<Beside> {
  const DATABASE_URL = url && new URL('/beside', url).href;
  const sheaf = await startSheaf({ env: { DATABASE_URL } });
  const place: DatabasePlace =
    DATABASE_URL === undefined
      ? { kind: 'sqlite', file: path.join(sheaf.dataDir, 'sheaf.sqlite') }
      : { kind: 'mysql', url: DATABASE_URL };
  const db = await openDatabase(place);
  try {
    say(`storing ${sheets} sheets of ${QUESTIONS} questions`);
    const size = { packet: 30, questions: QUESTIONS, booklets: 4 };
    const big = await storeExam(db, { ...size, seed: 11, sheets, batch_no: 901, readings: true });
    const small = await storeExam(db, { ...size, seed: 12, sheets: 90, batch_no: 902 });
    const client = await sheaf.client();
    let mid = 0;
    const correct = async (): Promise<number> => {
      const sheet_id = String(small.sheet_ids[mid % 90]);
      const field = `q${(Math.floor(mid / 90) % QUESTIONS) + 1}`;
      mid += 1;
      const args = { batch_id: small.batch_id, items: [{ sheet_id, field, value: 'B', base_rev: mid }] };
      const form = { client_id: 'bench-beside-load', heard: mid - 1, mutations: [{ mid, name: 'correct', args }] };
      const asked = performance.now();
      const { outcomes } = await client.call(PushAnswer, 'POST', '/api/sync/push', form);
      if (outcomes[0]?.status !== 'applied') throw new Error(`the correction was ${JSON.stringify(outcomes[0])}`);
      return performance.now() - asked;
    };
    const idle: number[] = [];
    for (let i = 0; i < IDLE; i++) idle.push(await correct());

    await unload(db, big.batch_id);
    const meanwhile: { ms: number; stage: string }[] = [];
    const ended = { stage: '', status: '' };
    const look = async () => {
      const { stage, status } = await db.sql
        .selectFrom('batches')
        .select(['stage', 'status'])
        .where('batch_id', '=', big.batch_id)
        .executeTakeFirstOrThrow();
      Object.assign(ended, { stage, status });
    };
    for (await look(); !hasEnded(ended.status); await look())
      meanwhile.push({ ms: await correct(), stage: ended.stage });
    if (ended.status !== 'completed') throw new Error(`the batch ended ${ended.status}`);
    const { started_at, finished_at } = await db.sql
      .selectFrom('stages')
      .selectAll()
      .where('batch_id', '=', big.batch_id)
      .where('stage', '=', 'loading_database')
      .executeTakeFirstOrThrow();
    const { n } = await db.sql
      .selectFrom('answers')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow();
    if (Number(n) !== sheets * QUESTIONS) throw new Error(`${n} answers were loaded`);
    const [worst] = [...meanwhile].sort((a, b) => b.ms - a.ms);
    for (const { ms, stage } of [...meanwhile].sort((a, b) => b.ms - a.ms).slice(0, 5))
      say(`${round(ms)} ms while ${stage}`);
    return {
      idle_ms: round(median(idle)),
      median_ms: round(median(meanwhile.map(({ ms }) => ms))),
      worst_ms: round(worst!.ms),
      delay_ms: round(worst!.ms - median(idle)),
      corrections: meanwhile.length,
      load_s: ((finished_at ?? Number.NaN) - started_at) / 1000,
      peak_rss_mb: await peakRss(sheaf),
    };
  } finally {
    await db.close();
    await sheaf.stop();
  }
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sheets: { type: 'string', default: '11404' },
      databases: { type: 'string', default: 'sqlite,mariadb' },
      json: { type: 'boolean' },
    },
  });
  const sheets = Number(values.sheets);
  const found: Record<string, Beside> = {};
  if (values.databases.includes('sqlite')) found.sqlite = await besideLoad(sheets);
  if (values.databases.includes('mariadb')) {
    const server = await startMariaDb();
    try {
      found.mariadb = await besideLoad(sheets, server.url);
    } finally {
      await server.stop();
    }
  }
  return { sheets, questions: QUESTIONS, ...found };
}
