// Two API processes and two workers over one MariaDB and one Redis, as on several machines. At moments that a seed chooses
// one of them is killed, Redis is flushed, MariaDB is killed and started again: nothing is lost, and the results are those
// of a batch to which nothing happened. The seed is printed; SHEAF_CHAOS_SEED runs the same moments again.
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, signIn } from '../server/cli/client.ts';
import { seeded } from '../shared/corpus/random.ts';
import { ENDED } from '../shared/protocol/stage.ts';
import { MB, OpenUploadAnswer } from '../shared/protocol/upload.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { isAlive, temporaryFolder } from './support/places.ts';
import { startMariaDb, startRedis, type TestServer } from './support/servers.ts';
import { ADMIN_PASSWORD, type Launched, launchSheaf } from './support/sheaf.ts';

const LONGEST_MS = 240_000;
const seed = Number(process.env.SHEAF_CHAOS_SEED ?? randomInt(1_000_000));

let dataDir: string;
let mariadb: TestServer;
let redis: TestServer;
const machines: Launched[] = [];
let urls: string[];
let exam: Exam;
let zip: Buffer;
let calm: string;

beforeAll(async () => {
  process.stdout.write(`chaos seed ${seed}\n`);
  dataDir = temporaryFolder();
  [mariadb, redis] = await Promise.all([startMariaDb(), startRedis()]);
  const env = { REDIS_URL: redis.url, DATABASE_URL: `${mariadb.url}cluster` };
  for (const args of [['api'], ['api'], ['worker'], ['worker']]) {
    const machine = launchSheaf({ dataDir, args, env });
    machines.push(machine);
    if (args[0] === 'api') urls = [...(urls ?? []), (await machine.ready).url];
  }
  exam = await drawExam({ seed: 21, covers: 3, sheets: 42, questions: 100, dpi: 150 });
  zip = await packZip(exam.scans);
  await announceExam(await either(async (client) => client), exam);
  calm = await resultsOf(await runBatch('calm', []));
}, 600_000);
afterAll(async () => {
  for (const { launcher } of machines) launcher.kill('SIGTERM');
  await Promise.all(machines.map(({ ended }) => ended));
  await Promise.all([mariadb?.stop(), redis?.stop()]);
  fs.rmSync(dataDir, { recursive: true, force: true });
});

const clients = new Map<string, Client>();
let turn = 0;

/** Asks one API process or the other until one of them answers, as a client behind a proxy does. */
async function either<T>(ask: (client: Client) => Promise<T>): Promise<T> {
  for (const until = Date.now() + LONGEST_MS; ; ) {
    const url = urls[turn++ % urls.length]!;
    try {
      const client = clients.get(url) ?? (await signIn(url, 'admin', ADMIN_PASSWORD));
      clients.set(url, client);
      return await ask(client);
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

interface Fault {
  name: string;
  /** after so much of the batch's way: its chunks and pages */
  after: number;
  strike(): unknown;
}

/** Sends the exam and follows it to its end; each fault strikes when the batch has come so far. */
async function runBatch(name: string, faults: readonly Fault[]): Promise<string> {
  const left = [...faults].sort((a, b) => a.after - b.after);
  const strikes: unknown[] = [];
  const strike = (share: number): void => {
    while (left[0] && left[0].after <= share) {
      const { name: what, strike: hit } = left.shift()!;
      process.stdout.write(`${name}: ${what} at ${Math.round(share * 100)} %\n`);
      strikes.push(hit());
    }
  };
  const upload = await either((client) =>
    client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: crypto.randomUUID(),
      upload_type: 'zip_with_qr',
      name: `${name}.zip`,
      size: zip.length,
      chunk_size: MB,
    }),
  );
  for (let index = 0; index < upload.total_chunks; index++) {
    strike((index / upload.total_chunks) * 0.4);
    await either((client) => client.sendChunk(upload, zip, index));
  }
  for (const until = Date.now() + LONGEST_MS; ; ) {
    const batch = await either((client) => client.status(upload.batch_id));
    const ended = ENDED.includes(batch.status);
    strike(ended ? 1 : 0.4 + (batch.processed_sheets / Math.max(1, batch.total_sheets)) * 0.55);
    if (ended) break;
    if (Date.now() > until) throw new Error(`${name} is still ${batch.status} (${batch.stage}): ${batch.message}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await Promise.all(strikes);
  return upload.batch_id;
}

/** Every answer of a batch and what it earned, without the numbers that differ from batch to batch. */
async function resultsOf(batchId: string): Promise<string> {
  const batch = await either((client) => client.status(batchId));
  expect(batch).toMatchObject({ status: 'completed', total_sheets: 42, failed_sheets: 0, covers: 3 });
  expect(batch.total_answers).toBe(42 * 100);
  expect(await either((client) => differences(client, batchId, exam))).toEqual([]);
  const wide = await either((client) => client.text(`/api/batches/${batchId}/export?format=wide`));
  const [head = '', ...lines] = wide.trim().split('\r\n');
  const drop = head.split(',').flatMap((column, i) => (/sheet_id|batch/.test(column) ? i : []));
  return lines
    .map((line) =>
      line
        .split(',')
        .filter((_, i) => !drop.includes(i))
        .join(','),
    )
    .join('\n');
}

const kill = (machine: number, child: string) => (): void => {
  const pid = machines[machine]?.pids.get(child);
  if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
};
async function flush(): Promise<void> {
  const connection = new Redis(redis.url);
  await connection.flushall().finally(() => connection.disconnect());
}

test('[P1][P4] any process killed at any time, Redis flushed, MariaDB restarted: the results are the fault-free ones', async () => {
  const random = seeded(seed);
  const at = (): number => random.between(0.02, 0.93);
  const first = await runBatch('processes', [
    { name: 'SIGKILL of the first API', after: at(), strike: kill(0, 'api') },
    { name: 'SIGKILL of the second API', after: at(), strike: kill(1, 'api') },
    { name: 'SIGKILL of the first worker', after: at(), strike: kill(2, 'worker 1') },
    { name: 'SIGKILL of the second worker', after: at(), strike: kill(3, 'worker 1') },
  ]);
  expect(await resultsOf(first)).toBe(calm);
  const second = await runBatch('servers', [
    { name: 'FLUSHALL', after: at(), strike: flush },
    { name: 'SIGKILL and restart of MariaDB', after: at(), strike: () => mariadb.restart() },
    { name: 'SIGKILL of a worker', after: at(), strike: kill(2 + random.int(2), 'worker 1') },
    { name: 'FLUSHALL again', after: at(), strike: flush },
  ]);
  expect(await resultsOf(second)).toBe(calm);
}, 1_200_000);
