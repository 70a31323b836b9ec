// Composition root of a worker process: it walks batches and reads pages, one group at a time, and puts back into the
// queues what SQL says is still to do.
import path from 'node:path';
import { Worker } from 'bullmq';
import { countPages, decodeGray } from './adapters/decode.ts';
import { openDatabase } from './adapters/open-database.ts';
import { briefConnection, openQueues, queueOptions, workerConnection } from './adapters/redis.ts';
import { loadConfig } from './config.ts';
import { onEnd, report } from './ending.ts';
import { rescoreLeftUndone } from './keys/rescore.ts';
import { BATCH_QUEUE, type BatchJob, createHandlers, PAGE_QUEUE, type PageJob, reconcile } from './pipeline/flow.ts';
import { createAnnounce } from './progress/announce.ts';
import { templatesOf } from './templates.ts';
import { openBlobs } from './uploads/blobs.ts';

/** How soon what a dead process or a wiped Redis left undone is taken up. */
const RECONCILE_MS = 3000;
/** A lock is renewed at half its time; a worker that is killed is noticed within both together. */
const STALL = { lockDuration: 8000, stalledInterval: 3000, maxStalledCount: 5 };

const config = loadConfig(process.env);
if (config.redis === null)
  throw new Error('Set REDIS_URL, or start Sheaf with the launcher (npm start), which brings its own Redis.');

const db = await openDatabase(config.database);
await db.migrate();
const blobs = await openBlobs(config.blobDir);
const connection = workerConnection(config.redis);
const brief = briefConnection(config.redis);
brief.on('error', () => undefined);
connection.on('error', () => undefined);
const queues = openQueues(brief);

const handlers = createHandlers(
  {
    db,
    blobs,
    announce: createAnnounce(brief),
    workFolder: path.join(config.dataDir, 'work'),
    decode: decodeGray,
    countPages,
    templates: templatesOf(db),
  },
  queues,
);
const ending = new AbortController();
const options = { connection, ...queueOptions, ...STALL, concurrency: 1 };
const workers = [
  new Worker<BatchJob>(BATCH_QUEUE, (job) => handlers.batch(job), options),
  new Worker<PageJob>(PAGE_QUEUE, (job) => handlers.pages(job, ending.signal), options),
];
let silent = 0;
for (const worker of workers) {
  worker.on('failed', (job, error) => report(Object.assign(error, { job: job?.id })));
  // While Redis is away this comes every second; once a minute is enough for a log.
  worker.on('error', (error) => {
    if (Date.now() - silent < 60_000) return;
    silent = Date.now();
    report(error);
  });
}

let reconciling: Promise<void> = Promise.resolve();
const takeUp = (): void => {
  reconciling = reconciling
    .then(() => reconcile(db, queues))
    // Redis may be away: what is not queued now is queued by the next look.
    .catch(() => undefined)
    // What the API was to score again when it ended, or what has been loaded since.
    .then(() => rescoreLeftUndone(db))
    .catch(report);
};
const reconciler = setInterval(takeUp, RECONCILE_MS);
brief.once('ready', takeUp);

onEnd(async () => {
  clearInterval(reconciler);
  ending.abort();
  await Promise.all(workers.map((worker) => worker.close()));
  await reconciling;
  await queues.close();
  connection.disconnect();
  brief.disconnect();
  await db.close();
}, 7000);
