// Composition root of an API process: config → adapters → recovery → app → listen, and the same backwards at the end.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import { decodeGray, encodeJpeg, showable } from './adapters/decode.ts';
import { openDatabase } from './adapters/open-database.ts';
import { briefConnection, openQueues } from './adapters/redis.ts';
import { signHeads } from './audit/heads.ts';
import { forgetSessions } from './auth/devices.ts';
import { createSessions, firstAdmin, signingSecret } from './auth/sessions.ts';
import { dropStrayAnswers } from './batches/answers.ts';
import { loadConfig } from './config.ts';
import { onEnd, report } from './ending.ts';
import { createApp } from './http/app.ts';
import { wakeBatch } from './pipeline/flow.ts';
import { batchOfChannel, CHANNELS, createAnnounce, createForget, createTouch } from './progress/announce.ts';
import { createFeeds } from './progress/feeds.ts';
import { createRoster } from './progress/roster.ts';
import { beginAnewIfRestored, forgetTombstones } from './sync/horizon.ts';
import { storeBuiltIns } from './templates.ts';
import { openBlobs } from './uploads/blobs.ts';
import { createLeases } from './uploads/leases.ts';
import { expireUploads, recoverUploads, sealOverdue } from './uploads/recover.ts';

const config = loadConfig(process.env);
if (config.redis === null)
  throw new Error('Set REDIS_URL, or start Sheaf with the launcher (npm start), which brings its own Redis.');

const db = await openDatabase(config.database);
await db.migrate();
await storeBuiltIns(db);
const secret = await signingSecret(db);
const admin = await firstAdmin(db, config.adminPassword ?? undefined);
await beginAnewIfRestored(db, config.dataDir);
const heads = await signHeads(db, config.dataDir, report);
const blobs = await openBlobs(config.blobDir);

const redis = briefConnection(config.redis);
const subscriber = briefConnection(config.redis);
redis.on('error', () => undefined);
subscriber.on('error', () => undefined);
const queues = openQueues(redis);
const announce = createAnnounce(redis);
const feeds = createFeeds(db, report);
const roster = createRoster(db, report);
subscriber.on('ready', () => subscriber.psubscribe(CHANNELS).catch(() => undefined));
subscriber.on('pmessage', (_pattern: string, channel: string) => {
  const batchId = batchOfChannel(channel);
  feeds.poke(batchId);
  roster.poke(batchId);
});

const closing = new AbortController();
const server = createServer();
// Whoever asks before all stands is answered when it does: a request that nobody listens to would hang for ever.
const early: Parameters<typeof app>[] = [];
const hold = (...asked: Parameters<typeof app>): void => void early.push(asked);
server.on('request', hold);
// A chunk on a slow line takes as long as it takes; a socket on which nothing moves is cut.
server.requestTimeout = 0;
server.headersTimeout = 30_000;
server.keepAliveTimeout = 65_000;

await new Promise<void>((resolve, reject) => {
  server.once('error', reject);
  server.listen(config.port, config.host, resolve);
});
const { port } = server.address() as AddressInfo;
const leases = createLeases(db, `${os.hostname()}:${port}`);
await leases.drop();

const wake = (batchId: string): void => {
  // Lost when Redis is away: the reconciler finds the batch.
  wakeBatch(queues, batchId).catch(() => undefined);
};
const { app } = createApp({
  db,
  blobs,
  images: { decodeGray, encodeJpeg, showable },
  announce,
  forget: createForget(redis),
  touch: createTouch(redis),
  wake,
  secret,
  leases,
  quota: config.quota,
  report,
  feeds,
  roster,
  closing: closing.signal,
  sessions: createSessions(db, secret),
  webDir: config.webDir,
  trustedProxies: config.trustedProxies,
  async check() {
    await db.sql.selectFrom('settings').select('name').limit(1).execute();
    await redis.ping();
  },
});
server.off('request', hold).on('request', app);
for (const asked of early) app(...asked);
await recoverUploads({ db, blobs, announce, wake }, report);
await dropStrayAnswers(db);
const soon = setInterval(() => void sealOverdue({ db, blobs, announce, wake }, report).catch(report), 15_000);
const hourly = setInterval(() => {
  expireUploads({ db, blobs }).catch(report);
  forgetSessions(db).catch(report);
  forgetTombstones(db).catch(report);
}, 3_600_000);

process.send?.({ ready: true, port, ...(admin ? { firstAdmin: admin } : {}) });
console.log(
  JSON.stringify({ time: new Date().toISOString(), level: 'info', message: `listening on ${config.host}:${port}` }),
);

onEnd(async () => {
  closing.abort();
  clearInterval(soon);
  clearInterval(hourly);
  server.close();
  server.closeIdleConnections();
  await new Promise<void>((resolve) => {
    server.once('close', resolve);
    setTimeout(() => server.closeAllConnections(), 3000).unref();
  });
  await heads.stop();
  await queues.close();
  redis.disconnect();
  subscriber.disconnect();
  await db.close();
}, 7000);
