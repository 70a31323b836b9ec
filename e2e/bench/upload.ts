// `npm run -s bench -- upload`: how fast bytes land, beside tus doing the same on the same machine, what that takes of
// memory and disk, and how soon results come of an archive that is read while it arrives.
//
//   --gb N      size of the file that is landed (2)
//   --runs N    of each side, order alternated, medians kept; 0: leave landing out (5)
//   --pages N   of the archive that is read early, 0: leave that out (2000)
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import yazl from 'yazl';
import type { Client } from '../../server/cli/client.ts';
import { CHUNK_SIZE, GB, MB } from '../../shared/protocol/upload.ts';
import { announceExam, drawExam, type Exam, packZip } from '../support/exam.ts';
import { eventually, temporaryFolder } from '../support/places.ts';
import { startRedis } from '../support/servers.ts';
import { type Sheaf, startSheaf } from '../support/sheaf.ts';
import { type Order, Told } from './upload-order.ts';

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const round = (value: number, digits = 1): number => Number(value.toFixed(digits));
const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** Three chunks under way, as a browser sends them. */
const PARALLEL = 3;

/** Runs the sender to its end. `onTold` hears what it tells on the way. */
function send(order: Order, onTold: (told: Told) => void = () => undefined): Promise<Extract<Told, { told: 'done' }>> {
  return new Promise((resolve, reject) => {
    const child = fork(beside('./upload-sender.js'), [JSON.stringify(order)], { execArgv: [] });
    let done: Extract<Told, { told: 'done' }> | undefined;
    child.on('message', (message) => {
      const told = v.parse(Told, message);
      if (told.told === 'done') done = told;
      onTold(told);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      code === 0 && done ? resolve(done) : reject(new Error(`the sender ended with ${signal ?? code}`)),
    );
  });
}

/** A ZIP of that size: entries of 200 kB, as scans are, stored; their bytes cannot be packed, nor read. */
async function writeBigZip(file: string, size: number): Promise<void> {
  const zip = new yazl.ZipFile();
  const scans = Array.from({ length: 16 }, () => randomBytes(200_000));
  for (let i = 0; i < size / 200_110; i++)
    zip.addBuffer(scans[i % 16], `${String(i + 1).padStart(6, '0')}.jpg`, { compress: false });
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
}

/** Bytes that the files of a folder take up on the disk. */
const allocated = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).blocks * 512, 0);

/** The most memory a process has had, in MB. */
function peakRss(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error('the kernel does not tell a process’s peak memory');
  return Number(kilobytes) / 1024;
}

/** Gives both sides the same start: nothing that the one has left is still to be written, and the memory that the file
 *  will fill has been in use a moment ago (a virtual machine pays several times for memory it has given back). */
async function evenOut(scratch: string, size: number): Promise<void> {
  const zeros = Buffer.alloc(16 * MB);
  await pipeline(function* () {
    for (let left = size; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
  }, createWriteStream(scratch));
  rmSync(scratch);
  spawnSync('sync');
}

async function startTus(folder: string): Promise<{ url: string; process: ChildProcess }> {
  await mkdir(folder);
  const child = fork(beside('./upload-tus.js'), [folder], { execArgv: [] });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(v.parse(v.object({ url: v.string() }), message).url));
    child.once('exit', () => reject(new Error('tus did not start')));
  });
  return { url, process: child };
}

/** Lands one file again and again, by turns in Sheaf's API (without workers: landing is what is measured) and in tus. */
async function measureLanding(folder: string, gb: number, runs: number) {
  const file = path.join(folder, 'big.zip');
  await writeBigZip(file, gb * GB);
  const { size } = statSync(file);
  const redis = await startRedis();
  const tusFolder = path.join(folder, 'tus');
  const tus = await startTus(tusFolder);
  const sheaf = await startSheaf({ args: ['api'], env: { REDIS_URL: redis.url } });
  const blobs = path.join(sheaf.dataDir, 'blobs');
  try {
    const client = await sheaf.client();
    const rates = { sheaf: [] as number[], tus: [] as number[] };
    let diskRatio = 0;
    const ways = {
      async sheaf() {
        await client.signIn();
        let batch = '';
        const { began, ended } = await send(
          {
            way: 'sheaf',
            url: sheaf.url,
            file,
            token: client.token,
            chunkSize: CHUNK_SIZE,
            parallel: PARALLEL,
            bytesPerSecond: null,
          },
          (told) => {
            if (told.told === 'opened') batch = told.batch_id;
          },
        );
        diskRatio = Math.max(diskRatio, allocated(blobs) / size);
        const { status } = await client.status(batch);
        if (status === 'uploading' || status === 'failed') throw new Error(`after its seal the batch is ${status}`);
        for (const query of ['', '?purge=true'])
          await client.request('DELETE', `/api/batches/${batch}${query}`).then((answer) => answer.body?.cancel());
        await eventually('the purge', () => allocated(blobs) === 0);
        return (ended - began) / 1000;
      },
      async tus() {
        const { began, ended } = await send({ way: 'tus', url: tus.url, file });
        if (readdirSync(tusFolder).every((name) => statSync(path.join(tusFolder, name)).size !== size))
          throw new Error('tus does not hold the file');
        for (const name of readdirSync(tusFolder)) rmSync(path.join(tusFolder, name));
        return (ended - began) / 1000;
      },
    };
    for (let run = 0; run < runs; run++) {
      for (const way of run % 2 ? (['tus', 'sheaf'] as const) : (['sheaf', 'tus'] as const)) {
        await evenOut(path.join(folder, 'scratch'), size);
        const seconds = await ways[way]();
        rates[way].push(size / MB / seconds);
        say(`${way.padEnd(5)} ${round(size / GB, 2)} GB in ${round(seconds)} s, ${round(size / MB / seconds)} MB/s`);
      }
    }
    const api = sheaf.pid('api');
    return {
      mb_per_s: round(median(rates.sheaf)),
      peer_mb_per_s: round(median(rates.tus)),
      peer_ratio: round(median(rates.sheaf) / median(rates.tus), 2),
      peak_rss_mb: round(peakRss(api)),
      disk_ratio: round(diskRatio, 4),
    };
  } finally {
    await sheaf.stop();
    tus.process.disconnect();
    await redis.stop();
    rmSync(file);
  }
}

/** Distinct rasters of which the big archive is made. */
const RASTERS = 240;
/** Batches are read whole in as many pages, to find the speed of reading. */
const PROBE = 240;
/** A fiftieth of 200 MB: small enough that the first pages are whole long before 5 % have come. */
const EARLY_CHUNK = 4 * MB;

/** The scans again and again under new names, covers among them. */
const repeat = ({ scans }: Exam, pages: number) =>
  Array.from({ length: pages }, (_, i) => ({
    name: `${String(i + 1).padStart(5, '0')}.jpg`,
    bytes: scans[i % scans.length].bytes,
  }));

/** Pages a second, of a batch that was there as a whole. */
async function readingSpeed(client: Client, exam: Exam): Promise<number> {
  const zip = await packZip(repeat(exam, PROBE));
  const { batch_id } = await client.send(zip, { name: 'probe.zip', upload_type: 'zip_with_qr' });
  const batch = await client.waitForBatch(batch_id, 300_000);
  if (batch.failed_sheets > 0) throw new Error(`${batch.failed_sheets} sheets of the probe failed`);
  // From the answer to the seal: pages of the tail are read before it.
  const spent = Date.parse(batch.processing_completed_at ?? '') - Date.parse(batch.processing_started_at ?? '');
  return (PROBE / spent) * 1000;
}

async function measureEarly(folder: string, pages: number) {
  say(`Drawing ${RASTERS} scans …`);
  const exam = await drawExam({ seed: 5, covers: 6, sheets: RASTERS - 6, questions: 150, dpi: 200 });
  const zip = await packZip(repeat(exam, pages));
  const file = path.join(folder, 'early.zip');
  await writeFile(file, zip);
  const sheaf = await startSheaf({ env: { SHEAF_WORKERS: undefined } });
  try {
    const client = await sheaf.client();
    await announceExam(client, exam);
    await readingSpeed(client, exam); // the workers have warmed up after it
    const speed = await readingSpeed(client, exam);
    const bytesPerSecond = 0.7 * speed * (zip.length / pages);
    say(
      `${round(speed)} pages/s are read, so ${round(zip.length / MB)} MB come at ${round(bytesPerSecond / MB, 2)} MB/s …`,
    );
    return await followEarly(sheaf, client, file, { size: zip.length, pages, bytesPerSecond });
  } finally {
    await sheaf.stop();
  }
}

async function followEarly(
  sheaf: Sheaf,
  client: Client,
  file: string,
  { size, pages, bytesPerSecond }: { size: number; pages: number; bytesPerSecond: number },
) {
  const sent: { bytes: number; at: number }[] = [];
  let watched: Promise<{ firstAt: number; completeAt: number; status: string }> | undefined;
  const watch = async (batchId: string) => {
    let firstAt = 0;
    for await (const event of client.follow(batchId, 3_600_000)) {
      if (event.type === 'item.completed' && firstAt === 0) firstAt = Date.now();
      if (event.type !== 'complete') continue;
      const { status } = v.parse(v.object({ status: v.string() }), event.data);
      return { firstAt, completeAt: Date.now(), status };
    }
    throw new Error('the batch ended without being complete');
  };
  const { began, lastByteAt } = await send(
    {
      way: 'sheaf',
      url: sheaf.url,
      file,
      token: client.token,
      chunkSize: EARLY_CHUNK,
      parallel: 1,
      bytesPerSecond,
    },
    (told) => {
      if (told.told === 'sent') sent.push(told);
      if (told.told === 'opened') {
        watched = watch(told.batch_id);
        watched.catch(() => undefined); // awaited below
      }
    },
  );
  if (!watched) throw new Error('the sender opened nothing');
  const { firstAt, completeAt, status } = await watched;
  if (status !== 'completed' || firstAt === 0) throw new Error(`the paced batch is ${status}`);
  const arrived = sent.findLast(({ at }) => at <= firstAt)?.bytes ?? 0;
  return {
    pages,
    first_result_s: round((firstAt - began) / 1000, 2),
    first_result_percent_of_bytes: round((arrived / size) * 100, 2),
    last_byte_to_complete_s: round((completeAt - lastByteAt) / 1000, 2),
  };
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      gb: { type: 'string', default: '2' },
      runs: { type: 'string', default: '5' },
      pages: { type: 'string', default: '2000' },
      json: { type: 'boolean' },
    },
  });
  const [gb, runs, pages] = [Number(values.gb), Number(values.runs), Number(values.pages)];
  if (!(gb > 0 && gb <= 10 && runs >= 0 && pages >= 0)) throw new RangeError('--gb 0.1 to 10, --runs, --pages');
  const folder = temporaryFolder();
  try {
    const landing = runs > 0 ? { gb, runs, ...(await measureLanding(folder, gb, runs)) } : {};
    return { ...landing, ...(pages > 0 ? await measureEarly(folder, pages) : {}) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
