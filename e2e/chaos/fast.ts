// The fast tier: the server's upload code and the tablet's sender in one process, over a simulated line, disk and clock.
// A run takes a fraction of a second, and nothing in it depends on how fast the machine is.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Database } from '../../server/adapters/database.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import { firstAdmin, signingSecret } from '../../server/auth/sessions.ts';
import { expireUploads } from '../../server/uploads/recover.ts';
import { type Random, seeded } from '../../shared/corpus/random.ts';
import { chunkCount, chunkLength, SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import type { Fault, Plan } from './plan.ts';
import { installClock, type SimClock, settle } from './sim-clock.ts';
import { createDisk, type SimDisk } from './sim-disk.ts';
import { call, type Heard, type Letter, LineCut, letterOf } from './sim-line.ts';
import { type SimServer, startServer } from './sim-server.ts';
import { createTablet, newId, RUN_MS, type Source, type Tablet } from './tablet.ts';
import { complain, nothing, type Outcome, struck } from './tally.ts';

const PASSWORD = 'a password for chaos';
/** Runs of the sender before an upload that has not arrived counts as stuck, when nothing is done to it any more. */
const PATIENT_RUNS = 60;
const LONGEST_RUNS = 2000;
const DAY_MS = 86_400_000;
/** Kills and power cuts are of the simulated disk: the database's own need not be real. */
const IN_MEMORY = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

interface World {
  plan: Plan;
  random: Random;
  clock: SimClock;
  disk: SimDisk;
  db: Database;
  secret: Uint8Array;
  servers: (SimServer | null)[];
  tablet: Tablet;
  outcome: Outcome;
  sources: Source[];
  /** `upload index` of chunks that were answered as verified, whether or not the tablet heard it */
  said: Set<string>;
  /** uploads that the server gave up after 14 days: what they held is to be sent again */
  expired: Set<string>;
  next: number;
  untilNext: number;
  /** what happens before one of the next requests */
  later: { requests: number; happens: () => Promise<void> | void }[];
  /** device clock minus true time, ms */
  deviceAhead: number;
  others: Promise<unknown>[];
}

/** Plays the plan. @returns what came of it */
export async function runFast(plan: Plan, disk: SimDisk = createDisk()): Promise<Outcome> {
  const clock = installClock();
  const folder = fs.mkdtempSync(path.join(IN_MEMORY, 'sheaf-chaos-'));
  const db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  let tablet: Tablet | undefined;
  try {
    await db.migrate();
    await firstAdmin(db, PASSWORD);
    const random = seeded(plan.seed);
    const world: World = {
      plan,
      random,
      clock,
      disk,
      db,
      secret: await signingSecret(db),
      servers: [null, null],
      tablet: await createTablet({
        fetch: (where, init, cookie) => request(world, where, init, cookie),
        now: () => clock.now() + world.deviceAhead,
        elapsed: () => clock.now(),
        sleep: (ms) => clock.advance(ms),
        random: () => random.next(),
      }),
      outcome: nothing(),
      sources: [],
      said: new Set(),
      expired: new Set(),
      next: 0,
      untilNext: plan.faults[0]?.after ?? 0,
      later: [],
      deviceAhead: 0,
      others: [],
    };
    tablet = world.tablet;
    for (const index of world.servers.keys()) await restart(world, index);
    await play(world);
    return world.outcome;
  } finally {
    tablet?.close();
    clock.uninstall();
    await db.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function restart(world: World, index: number, killAt?: { operations: number; done: boolean }): Promise<void> {
  const { db, disk: blobs, secret } = world;
  const report = (error: unknown): void => {
    if ((error as { code?: string }).code === 'ENOSPC') return;
    complain(world.outcome, 'stuck', `the server met what nobody expects: ${String(error)}`);
  };
  world.servers[index] = await startServer({ name: `api-${index}`, db, blobs, secret, report }, killAt);
}

async function play(world: World): Promise<void> {
  const { tablet, plan, clock, outcome } = world;
  if (!(await tablet.signIn('admin', PASSWORD))) throw new Error('nobody can sign in');
  let quiet = 0;
  for (let run = 0; run < LONGEST_RUNS; run++) {
    const unsent = await unsentOf(world);
    const done = world.next >= plan.faults.length;
    if (unsent.length === 0 && done) break;
    if (done && ++quiet > PATIENT_RUNS) break;
    if (unsent.length === 0) await keepAnother(world);
    await tablet.send(RUN_MS);
    await Promise.all(world.others.splice(0));
    await goOn(world);
    await check(world);
    await clock.advance(1000 * (1 + world.random.int(done ? 300 : 60)));
  }
  for (const { happens } of world.later.splice(0)) await happens();
  await settle(40);
  for (const source of await unsentOf(world))
    complain(outcome, 'stuck', `${source.name}: ${JSON.stringify(await tablet.stepOf(source.id))}`);
  await check(world);
  for (const source of world.sources) await checkSealed(world, source);
}

const unsentOf = async ({ sources, tablet }: World): Promise<Source[]> => {
  const found: Source[] = [];
  for (const source of sources) if ((await tablet.stepOf(source.id))?.at !== 'sent') found.push(source);
  return found;
};

async function keepAnother({ random, sources, tablet, outcome }: World): Promise<void> {
  const size = 1 + random.int(6 * SMALLEST_CHUNK);
  const source: Source = {
    id: newId(),
    name: `captures ${sources.length}`,
    upload_type: 'images',
    task_id: '14900113',
    chunk_size: SMALLEST_CHUNK,
    bytes: bytesOf(random, size),
  };
  sources.push(source);
  outcome.uploads += 1;
  await tablet.keep(source);
}

function bytesOf(random: Random, size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let word = random.int(2 ** 32);
  // The generator of Numerical Recipes, 2nd ed., 7.1: no two chunks are alike, and that is all.
  for (const i of words.keys()) words[i] = word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
  return Buffer.from(words.buffer).subarray(0, size);
}

/** What a person does who looks at the tablet now and then: signs in again, picks a file again that is asked for. */
async function goOn({ tablet, sources, expired, outcome, random }: World): Promise<void> {
  for (const source of sources) {
    const step = await tablet.stepOf(source.id);
    if (step?.at === 'waiting' && step.why === 'sign-in' && random.chance(0.5)) await tablet.signIn('admin', PASSWORD);
    if (step?.at === 'parked') complain(outcome, 'stuck', `${source.name} was parked: ${step.code}`);
    if (step?.at !== 'incomplete') continue;
    if (!expired.has(source.id)) complain(outcome, 'lost', `${source.name} needs its file again: ${step.why}`);
    await tablet.keep(source);
  }
}

// ---- the line ------------------------------------------------------------------------------------------------------

async function request(world: World, where: string, init: RequestInit, cookie: string | null): Promise<Response> {
  await beforeRequest(world);
  const letter = await letterOf(where, init, cookie);
  const active = where.endsWith('/upload-chunk') || (await isAnyActive(world));
  // Most of them wait until something is at stake.
  const fault =
    where.startsWith('/api/batches/upload') && (active || world.random.chance(0.15)) ? nextFault(world) : null;
  if (fault) {
    struck(world.outcome, fault.kind, active);
    const heard = await strike(world, fault, letter);
    return responseOf(heard);
  }
  return responseOf(await ask(world, letter));
}

const responseOf = ({ status, headers, body }: Heard): Response =>
  new Response(status === 204 ? null : new Uint8Array(body), { status, headers });

async function beforeRequest(world: World): Promise<void> {
  const due = world.later.filter((one) => --one.requests <= 0);
  world.later = world.later.filter((one) => one.requests > 0);
  for (const { happens } of due) await happens();
}
const later = (world: World, requests: number, happens: () => Promise<void> | void): void =>
  void world.later.push({ requests, happens });

function nextFault(world: World): Fault | null {
  const fault = world.plan.faults[world.next];
  if (!fault || world.untilNext-- > 0) return null;
  world.next += 1;
  world.untilNext = world.plan.faults[world.next]?.after ?? 0;
  return fault;
}

/** Between its first byte and its seal. */
async function isAnyActive({ db }: World): Promise<boolean> {
  const row = await db.sql
    .selectFrom('uploads')
    .innerJoin('chunks', 'chunks.upload_id', 'uploads.upload_id')
    .select('uploads.upload_id')
    .where('uploads.state', '=', 'open')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The server that a proxy in front of both would choose. */
const anyServer = ({ random }: World): number => (random.chance(0.7) ? 0 : 1);
const connectTo =
  ({ servers }: World, index: number) =>
  (socket: Parameters<SimServer['connect']>[0]): void => {
    const server = servers[index];
    if (server?.alive) server.connect(socket);
    else socket.destroy();
  };
const dial = (world: World, letter: Letter, server = anyServer(world)) =>
  call(connectTo(world, server), letter, world.clock, (heard) => note(world, letter, heard));

async function ask(world: World, letter: Letter, server?: number): Promise<Heard> {
  const line = dial(world, letter, server);
  await line.send();
  try {
    return await line.answer();
  } finally {
    reviveSoon(world);
  }
}

/** A server that died is started again some requests later, as its launcher would. */
function reviveSoon(world: World): void {
  for (const [index, server] of world.servers.entries()) {
    if (!server || server.alive) continue;
    world.servers[index] = null;
    later(world, world.random.int(4), () => restart(world, index));
  }
}

/** Whatever a server has said counts, heard or not. */
function note(world: World, letter: Letter, heard: Heard): void {
  if (!letter.path.endsWith('/upload-chunk') || heard.status !== 200) return;
  const said = JSON.parse(heard.body.toString()) as { upload_id: string; chunk_index: number; verified: boolean };
  if (said.verified) world.said.add(`${said.upload_id} ${said.chunk_index}`);
}

const cutOff = (): never => {
  throw new LineCut('the line was cut');
};

async function strike(world: World, fault: Fault, letter: Letter): Promise<Heard> {
  const { random, disk, clock, db, tablet } = world;
  const until = Math.floor(fault.at * letter.body.length);
  const some = 1 + Math.floor(fault.how * 5);
  switch (fault.kind) {
    case 'cut-before':
      return cutOff();
    case 'cut-within': {
      const line = dial(world, letter);
      await line.send(until);
      line.cut();
      await settle();
      return cutOff();
    }
    case 'answer-lost':
      await ask(world, letter);
      return cutOff();
    case 'stalled': {
      // Nobody learns of it: the tablet waits as long as it is patient, the server until it cuts idle sockets.
      const line = dial(world, letter);
      await line.send(until);
      return line.answer();
    }
    case 'corrupted': {
      // What is spoilt is the chunk itself: a multipart frame that is none is no request of ours any more.
      const body = Buffer.from(letter.body);
      const frame = body.indexOf('\r\n\r\n', body.indexOf('name="chunk"')) + 4;
      const length = body.lastIndexOf('\r\n--') - frame;
      for (let i = 0; i < some && frame > 4 && length > 0; i++) {
        const at = frame + Math.floor(((fault.at + i / some) % 1) * length);
        body.writeUInt8(body.readUInt8(at) ^ (1 + random.int(255)), at);
      }
      return ask(world, { ...letter, body });
    }
    case 'duplicated': {
      const heard = await ask(world, letter);
      later(world, Math.floor(fault.at * 3), () =>
        ask(world, letter).then(
          () => undefined,
          () => undefined,
        ),
      );
      return heard;
    }
    case 'duplicated-at-once': {
      const [one, other] = [dial(world, letter, 0), dial(world, letter, fault.how < 0.5 ? 0 : 1)];
      await one.send(until);
      await other.send();
      await one.send();
      other.answer().catch(() => undefined);
      return one.answer();
    }
    case 'delivered-late':
      later(world, some, () =>
        ask(world, letter).then(
          () => undefined,
          () => undefined,
        ),
      );
      return cutOff();
    case 'stale-socket': {
      const line = dial(world, letter);
      await line.send(until);
      const rest = fault.how < 0.5 ? letter : null;
      later(world, some, async () => {
        if (!rest) letter.body.fill(0x2a, until);
        await line.send();
        await settle();
      });
      await clock.advance(fault.how * 25_000);
      return cutOff();
    }
    case 'spoilt-token':
      return ask(world, { ...letter, head: letter.head.replace(/(authorization: Bearer ).*/i, '$1spoilt') });
    case 'kill-api': {
      const index = anyServer(world);
      world.servers[index]?.killAt(Math.floor(fault.how * 30), fault.at < 0.5);
      return ask(world, letter, index);
    }
    case 'power-cut': {
      const line = dial(world, letter);
      await line.send(until);
      for (const server of world.servers) server?.kill();
      await settle();
      disk.powerCut(random);
      // The next start may be cut short as well.
      const again = fault.how < 0.3 ? { operations: Math.floor(fault.how * 40), done: fault.at < 0.5 } : undefined;
      for (const index of world.servers.keys()) {
        await restart(world, index, again);
        if (!world.servers[index]) await restart(world, index);
      }
      return cutOff();
    }
    case 'disk-full':
      disk.full = true;
      later(world, some, () => {
        disk.full = false;
      });
      return ask(world, letter);
    case 'tablet-killed':
      tablet.killAt(Math.floor(fault.how * 12));
      return ask(world, letter);
    case 'two-senders':
      world.others.push(tablet.send(RUN_MS));
      return ask(world, letter);
    case 'signed-out':
      await db.write((tx) => tx.updateTable('sessions').set({ revoked_at: clock.now() }).execute());
      return ask(world, letter);
    case 'clock-jump':
      world.deviceAhead = (fault.at - 0.5) * 2 * 2 * 3_600_000;
      return ask(world, letter);
    case 'expired': {
      const before = await db.sql
        .selectFrom('uploads')
        .select('client_upload_id')
        .where('state', '=', 'open')
        .execute();
      await expireUploads({ db, blobs: disk }, clock.now() + 15 * DAY_MS);
      for (const { client_upload_id } of before) world.expired.add(client_upload_id);
      world.said.clear();
      return ask(world, letter);
    }
    default:
      throw new Error(`${fault.kind} has no meaning in the fast tier`);
  }
}

// ---- the oracle ----------------------------------------------------------------------------------------------------

/** What must hold at every moment. */
async function check({ db, disk, tablet, sources, said, expired, outcome }: World): Promise<void> {
  for (const { id, name, bytes, chunk_size } of sources) {
    const uploads = await db.sql.selectFrom('uploads').selectAll().where('client_upload_id', '=', id).execute();
    if (uploads.length > 1) complain(outcome, 'duplicated', `${name} is ${uploads.length} batches`);
    const upload = uploads[0];
    const chunks = upload
      ? await db.sql.selectFrom('chunks').selectAll().where('upload_id', '=', upload.upload_id).execute()
      : [];
    const verified = new Set(chunks.filter(({ state }) => state === 'verified').map(({ chunk_index }) => chunk_index));
    const onDisk = upload && disk.bytesOf(upload.upload_id);
    for (const index of verified) {
      const start = index * chunk_size;
      const end = start + chunkLength(bytes.length, chunk_size, index);
      if (!onDisk?.subarray(start, end).equals(bytes.subarray(start, end)))
        complain(outcome, 'corrupted', `[U5] chunk ${index} of ${name} is verified, but other bytes are on the disk`);
    }
    const stored = await tablet.stored(id);
    for (let index = 0; index < chunkCount(bytes.length, chunk_size); index++) {
      if (!stored.has(index) && !verified.has(index) && !expired.has(id))
        complain(outcome, 'lost', `[U2] chunk ${index} of ${name} is neither on the tablet nor on the server`);
      if (upload && said.has(`${upload.upload_id} ${index}`) && !verified.has(index))
        complain(outcome, 'lost', `[U5] chunk ${index} of ${name} was said to be verified, and is not`);
    }
    if (!upload || expired.has(id)) continue;
    const told = await db.sql
      .selectFrom('events')
      .select('data')
      .where('batch_id', '=', upload.batch_id)
      .where('type', '=', 'progress')
      .execute();
    const lines = told.map(({ data }) => (JSON.parse(data) as { message: string }).message);
    const chunkLines = lines.filter((line) => line.startsWith('Chunk '));
    if (new Set(chunkLines).size < chunkLines.length)
      complain(outcome, 'duplicated', `[U4] a chunk of ${name} landed twice: ${chunkLines.join(', ')}`);
  }
}

async function checkSealed({ db, disk, outcome }: World, { id, name, bytes }: Source): Promise<void> {
  const upload = await db.sql.selectFrom('uploads').selectAll().where('client_upload_id', '=', id).executeTakeFirst();
  if (upload?.state !== 'sealed') complain(outcome, 'stuck', `${name} is ${upload?.state ?? 'unknown'} on the server`);
  else if (!disk.bytesOf(upload.upload_id)?.equals(bytes))
    complain(outcome, 'corrupted', `[U6] ${name} is sealed, and is not the file`);
}
