// The real tier: the built server with its Redis, workers and a second API process, a tablet whose requests go through a
// line that misbehaves, and an oracle that looks at the store of the tablet, at the ledger, at the disk and at what was
// read. With `browser` the tablet is the app in Chromium.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Database } from '../../server/adapters/database.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import { seeded } from '../../shared/corpus/random.ts';
import { ENDED } from '../../shared/protocol/stage.ts';
import { chunkLength } from '../../shared/protocol/upload.ts';
import { type Line, openLine } from '../line.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from '../support/exam.ts';
import { found } from '../support/found.ts';
import { eventually, temporaryFolder } from '../support/places.ts';
import { type Device, openBrowserDevice, openNodeDevice } from './devices.ts';
import { type Fault, LINE_FAULTS, type Plan, type Tier } from './plan.ts';
import { openSite, type Site } from './site.ts';
import { complain, nothing, type Outcome, struck } from './tally.ts';
import { strikeRequest } from './wire.ts';

/** After the last fault, all that was queued has arrived within this, and all that arrived is read. */
const SETTLE_MS = 240_000;
const isOnLine = (fault: Fault): boolean => LINE_FAULTS.some((kind) => kind === fault.kind);
const TABLET_FAULTS = new Set(['tablet-killed', 'tab-killed', 'worker-killed', 'browser-killed', 'signed-out']);

interface Stage {
  site: Site;
  db: Database;
  exam: Exam;
  /** what is queued again and again */
  file: string;
  bytes: Buffer;
  /** what is found in it when it comes whole and undisturbed */
  whole: Awaited<ReturnType<typeof found>>;
}

export async function openReal(tier: Tier): Promise<{ run(plan: Plan): Promise<Outcome>; close(): Promise<void> }> {
  const site = await openSite();
  const folder = temporaryFolder();
  const db = await openSqlite(path.join(site.dataDir, 'sheaf.sqlite'));
  const client = await site.main().client();
  const exam = await drawExam({ seed: 31, covers: 2, sheets: 10, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  // The app cuts files at 50 MB, so that a file of one chunk and a bit is the smallest that has two.
  const filler = tier === 'browser' ? [{ name: 'notes.bin', bytes: Buffer.alloc(52 * 2 ** 20, 'notes ') }] : [];
  const bytes = await packZip([...exam.scans, ...filler]);
  const file = path.join(folder, 'scans.zip');
  fs.writeFileSync(file, bytes);
  const { batch_id } = await client.send(bytes, { name: 'whole.zip', upload_type: 'zip_with_qr' });
  await client.waitForBatch(batch_id, SETTLE_MS);
  const wrong = await differences(client, batch_id, exam);
  if (wrong.length > 0) throw new Error(`undisturbed, it is read wrong: ${wrong[0]}`);
  const stage: Stage = { site, db, exam, file, bytes, whole: await found(client, db, batch_id) };
  return {
    run: (plan) => play(stage, site.canFill ? plan : withoutFullDisk(plan)),
    async close() {
      await db.close();
      await site.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where no disk can be filled, lines are cut instead: a fault that does nothing is none. */
const withoutFullDisk = (plan: Plan): Plan => ({
  ...plan,
  faults: plan.faults.map((fault) => (fault.kind === 'disk-full' ? { ...fault, kind: 'cut-within' } : fault)),
});

interface Scene extends Stage {
  plan: Plan;
  device: Device;
  outcome: Outcome;
  names: string[];
  said: Set<string>;
  next: number;
  untilNext: number;
  /** faults that strike servers, one after the other */
  hurting: Promise<void>;
  onTheLine: Set<Promise<void>>;
}

async function play(stage: Stage, plan: Plan): Promise<Outcome> {
  const { site } = stage;
  const random = seeded(plan.seed);
  const outcome = nothing();
  let scene: Scene | undefined;
  const wire = {
    urls: site.urls,
    random: () => random.next(),
    onAnswer: (where: string, answer: { status: number; body: Buffer }) => note(scene?.said, where, answer),
  };
  const line: Line = await openLine(site.main().url, (req, res) => {
    const where = req.url ?? '';
    if (!scene || !where.startsWith('/api/batches/upload')) return false;
    // Most of them wait until something is at stake.
    const fault = where === '/api/batches/upload-chunk' || random.chance(0.15) ? nextFault(scene) : null;
    if (!fault) return false;
    const mine = scene;
    const happens = (async () => {
      struck(outcome, fault.kind, where === '/api/batches/upload-chunk' || (await isAnyActive(mine)));
      if (!isOnLine(fault)) hurt(mine, fault);
      await strikeRequest(wire, fault, req, res);
    })().catch(() => void req.socket.destroy());
    scene.onTheLine.add(happens);
    void happens.finally(() => mine.onTheLine.delete(happens));
    return true;
  });
  const open = plan.tier === 'browser' ? openBrowserDevice : openNodeDevice;
  const device = await open(line.url, site.main().admin, random);
  scene = {
    ...stage,
    plan,
    device,
    outcome,
    names: [],
    said: new Set(),
    next: 0,
    untilNext: plan.faults[0]?.after ?? 0,
    hurting: Promise.resolve(),
    onTheLine: new Set(),
  };
  try {
    await act(scene, line);
    // What was struck last may not have hurt yet.
    await Promise.all(scene.onTheLine);
    await scene.hurting;
    await judge(scene);
  } finally {
    await scene.hurting;
    await device.close();
    await line.close();
  }
  return outcome;
}

function nextFault(scene: Scene): Fault | null {
  const fault = scene.plan.faults[scene.next];
  if (!fault || scene.untilNext-- > 0) return null;
  scene.next += 1;
  scene.untilNext = scene.plan.faults[scene.next]?.after ?? 0;
  return fault;
}

function hurt(scene: Scene, fault: Fault): void {
  const { site, device, outcome, db } = scene;
  const happens = async (): Promise<void> => {
    if (fault.kind === 'signed-out') {
      await site.hasRoom();
      await db.write((tx) => tx.updateTable('sessions').set({ revoked_at: Date.now() }).execute());
    } else if (TABLET_FAULTS.has(fault.kind)) await device.hurt(fault);
    else await site.hurt(fault);
  };
  // A tablet is hurt at once; servers one after the other, as each has to be there to be killed.
  const done = TABLET_FAULTS.has(fault.kind) ? happens() : scene.hurting.then(happens);
  const told = done.catch((error: unknown) => complain(outcome, 'stuck', `after ${fault.kind}: ${String(error)}`));
  scene.hurting = Promise.all([scene.hurting, told]).then(() => undefined);
}

function note(said: Set<string> | undefined, where: string, answer: { status: number; body: Buffer }): void {
  if (!where.endsWith('/upload-chunk') || answer.status !== 200) return;
  const { upload_id, chunk_index, verified } = JSON.parse(answer.body.toString()) as Record<string, unknown>;
  if (verified === true) said?.add(`${upload_id} ${chunk_index}`);
}

const isAnyActive = async ({ db }: Stage): Promise<boolean> =>
  (await db.sql
    .selectFrom('uploads')
    .innerJoin('chunks', 'chunks.upload_id', 'uploads.upload_id')
    .select('uploads.upload_id')
    .where('uploads.state', '=', 'open')
    .limit(1)
    .executeTakeFirst()) !== undefined;

async function act(scene: Scene, line: Line): Promise<void> {
  const { plan, device, outcome, site, names, file } = scene;
  let settleUntil = Number.POSITIVE_INFINITY;
  for (;;) {
    // All was killed and came back elsewhere.
    line.leadTo(site.urls()[scene.next % 2] ?? '');
    const unsent = (await device.uploads()).filter(({ at }) => at !== 'sent');
    const done = scene.next >= plan.faults.length;
    for (const { name, at, why } of unsent)
      if (at === 'parked' || at === 'incomplete')
        complain(outcome, at === 'parked' ? 'stuck' : 'lost', `${name} is ${at}: ${why}`);
    if (outcome.complaints.length > 0) return;
    if (done) {
      await scene.hurting;
      settleUntil = Math.min(settleUntil, Date.now() + SETTLE_MS);
      if (unsent.length === 0) break;
      if (Date.now() > settleUntil) {
        for (const { name, at, why } of unsent) complain(outcome, 'stuck', `${name} is ${at}: ${why}`);
        return;
      }
    } else if (unsent.length === 0) {
      const name = `seed-${plan.seed}-${names.length}-${Date.now()}.zip`;
      names.push(name);
      outcome.uploads += 1;
      await device.keep(name, file);
    }
    await device.send();
    await lookAtChunks(scene);
  }
}

/** At every moment a chunk is on the tablet or verified, and what is verified is on the disk as it is in the file. */
async function lookAtChunks({ db, device, site, bytes, outcome, said }: Scene): Promise<void> {
  for (const { id, name, stored } of await device.uploads()) {
    const uploads = await db.sql.selectFrom('uploads').selectAll().where('client_upload_id', '=', id).execute();
    if (uploads.length > 1) complain(outcome, 'duplicated', `${name} is ${uploads.length} batches`);
    const upload = uploads[0];
    const rows = upload
      ? await db.sql
          .selectFrom('chunks')
          .select(['chunk_index', 'sha256'])
          .where('upload_id', '=', upload.upload_id)
          .where('state', '=', 'verified')
          .execute()
      : [];
    const verified = new Map(rows.map(({ chunk_index, sha256 }) => [chunk_index, sha256]));
    const size = upload?.chunk_size ?? bytes.length;
    for (let index = 0; index * size < bytes.length; index++) {
      const sha256 = verified.get(index);
      if (sha256 === undefined && upload && !stored.has(index))
        complain(outcome, 'lost', `[U2] chunk ${index} of ${name} is neither on the tablet nor on the server`);
      if (sha256 === undefined && upload && said.has(`${upload.upload_id} ${index}`))
        complain(outcome, 'lost', `[U5] chunk ${index} of ${name} was said to be verified, and is not`);
      if (sha256 === undefined || !upload) continue;
      const length = chunkLength(bytes.length, size, index);
      const onDisk = Buffer.alloc(length);
      const fd = fs.openSync(path.join(site.dataDir, 'blobs', upload.upload_id), 'r');
      fs.readSync(fd, onDisk, 0, length, index * size);
      fs.closeSync(fd);
      if (createHash('sha256').update(onDisk).digest('hex') !== sha256)
        complain(outcome, 'corrupted', `[U5] chunk ${index} of ${name} is not on the disk as the ledger says`);
    }
  }
}

/** What must hold when all has come to rest. */
async function judge({ site, db, exam, bytes, whole, names, outcome }: Scene): Promise<void> {
  // With a full disk nobody could even sign in.
  await site.hasRoom();
  // Whoever was killed last is on its way back.
  for (const url of site.urls())
    await eventually(`${url}`, async () => (await fetch(`${url}/healthz`).catch(() => null))?.ok, SETTLE_MS);
  const client = await site.main().client();
  for (const name of names) {
    const uploads = await db.sql.selectFrom('uploads').selectAll().where('name', '=', name).execute();
    if (uploads.length > 1) complain(outcome, 'duplicated', `${name} is ${uploads.length} batches`);
    const upload = uploads[0];
    if (upload?.state !== 'sealed') {
      complain(outcome, 'stuck', `${name} is ${upload?.state ?? 'unknown'} on the server`);
      continue;
    }
    if (!fs.readFileSync(path.join(site.dataDir, 'blobs', upload.upload_id)).equals(bytes))
      complain(outcome, 'corrupted', `[U6] ${name} is sealed, and is not the file`);
    const { batch_id } = upload;
    const until = Date.now() + SETTLE_MS;
    let batch = await client.status(batch_id);
    for (; !ENDED.includes(batch.status) && Date.now() < until; batch = await client.status(batch_id)) await sleep(300);
    if (batch.status !== 'completed') {
      complain(outcome, 'stuck', `${name}: its batch is ${batch.status} (${batch.stage}): ${batch.message}`);
      continue;
    }
    for (const line of await differences(client, batch_id, exam))
      complain(outcome, /instead of|no such|not read/.test(line) ? 'lost' : 'corrupted', `${name}: ${line}`);
    if (!isDeepStrictEqual(await found(client, db, batch_id), whole))
      complain(outcome, 'corrupted', `[P5] ${name}: what was read is not what is read of the whole file`);
    const told = await db.sql.selectFrom('events').select(['type', 'data']).where('batch_id', '=', batch_id).execute();
    const items = told
      .filter(({ type }) => type === 'item.completed')
      .map(({ data }) => (JSON.parse(data) as { item_index: number }).item_index);
    if (new Set(items).size < items.length) complain(outcome, 'duplicated', `${name}: a page was read twice`);
    if (new Set(items).size < exam.scans.length) complain(outcome, 'lost', `${name}: a page was told of by nobody`);
    const chunks = told
      .filter(({ type }) => type === 'progress')
      .map(({ data }) => (JSON.parse(data) as { message: string }).message)
      .filter((message) => message.startsWith('Chunk '));
    if (new Set(chunks).size < chunks.length) complain(outcome, 'duplicated', `[U4] ${name}: a chunk landed twice`);
    // The next seed needs the room.
    for (const query of ['', '?purge=true'])
      await client.request('DELETE', `/api/batches/${batch_id}${query}`).then((answer) => answer.body?.cancel());
  }
}
