// Random schedules for the sync engine: reviewers and a supervisor on devices of their own decide, undo, go on and off
// line, are killed between any two steps, while keys change, pages are read again and the server dies in its transactions.
// The real outbox and feed (over an IndexedDB of Node's) run against the real push and pull. What must have come of it is
// worked out beside them, from what each person had on the screen, not from what the engine says of itself.
import 'fake-indexeddb/auto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { createApi } from '../../pwa/api.ts';
import { closeChannel, forgetUser, openQueue, openUser, type QueueDb, type UserDb } from '../../pwa/db.ts';
import { createSession } from '../../pwa/session.ts';
import { keepBatch, keptPages, letGo, pullKept, scopeOf } from '../../pwa/sync/feed.ts';
import { isPending, pushOutbox, record, unsay } from '../../pwa/sync/outbox.ts';
import type { Database } from '../../server/adapters/database.ts';
import type { User } from '../../server/auth/sessions.ts';
import { tellAll } from '../../server/changes.ts';
import { createKey, publishKey } from '../../server/keys/keys.ts';
import { rescoreAsked } from '../../server/keys/rescore.ts';
import { saveTask } from '../../server/keys/tasks.ts';
import { pull } from '../../server/sync/feed.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { SheetLine } from '../../shared/protocol/sync.ts';
import { packValues } from '../../shared/scoring/marks.ts';
import { scorer } from '../../shared/scoring/score.ts';
import { correctionsOf, revOf, viewSheet } from '../../shared/sheet-line.ts';
import { type StoredExam, storeExam } from './stored-exam.ts';
import { type Fault, person, storeUsers, syncOffice } from './sync-office.ts';

const SHEETS = 4;
const QUESTIONS = 40;
const FIELDS = ['q1', 'q2', 'q3', 'roll', 'void'] as const;
const VALUES: Record<(typeof FIELDS)[number], readonly (string | null)[]> = {
  q1: ['A', 'B', '', null],
  q2: ['C', 'A|B', null],
  q3: ['D', 'E'],
  roll: ['123', '456', null],
  void: ['true', 'false', null],
};

const device = fc.nat(2);
const faults = fc.array(
  fc.constantFrom<Fault | 'server-killed'>('none', 'none', 'lost', 'answer-lost', 'twice', 'server-killed'),
  {
    maxLength: 6,
  },
);
/** After so many transactions of its IndexedDB the device is killed; null: it lives. */
const killedAfter = fc.option(fc.nat(12), { freq: 2 });

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('decide' as const),
      device,
      sheet: fc.nat(SHEETS - 1),
      field: fc.nat(FIELDS.length - 1),
      value: fc.nat(3),
    }),
  },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('sync' as const), device, faults, killedAfter }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('two-tabs' as const), device, faults }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('unsay' as const), device }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('key' as const), correct: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('rescore' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('read-again' as const), sheet: fc.nat(SHEETS - 1), value: fc.nat(4) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('let-go' as const), device }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('sign-out' as const), device }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restore' as const) }) },
);
export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
const schedule = fc.array(command, { minLength: 3, maxLength: 24 });

interface Decision {
  /** stands in the reason, by which it is found again */
  name: string;
  n: number;
  device: Device;
  life: number;
  sheet: number;
  field: string;
  value: string | null;
  /** names of what its maker had on the screen, or had said before on this device */
  knows: Set<string>;
  unsaid: boolean;
}

interface Device {
  user: User;
  db: UserDb;
  keeps: boolean;
  /** counts up when the device forgets who it was: a sign-out with nothing left to send */
  life: number;
}

class Killed extends Error {}

/** The database until `left` more transactions have begun: then whoever uses it is gone. */
function killable(db: UserDb, left: number): UserDb {
  const begins = new Set<PropertyKey>(['transaction', 'get', 'getAll', 'getAllKeys', 'count', 'put']);
  return new Proxy(db, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (begins.has(property) && left-- <= 0) throw new Killed('killed');
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

const CENTRE = 'North';
const KEY = 'key';
const ada = person('ada', 'admin');

interface World {
  db: Database;
  queue: QueueDb;
  exam: StoredExam;
  batch_id: string;
  users: User[];
  /** of the newest published version */
  key: KeyContent;
  schedules: number;
}

/** The batch, its keys and tasks, and the people: made once, put back after each schedule. */
async function makeWorld(db: Database, queue: QueueDb): Promise<World> {
  const users = [
    person('rea', 'reviewer', [CENTRE]),
    person('rob', 'reviewer', [CENTRE]),
    person('sue', 'supervisor', [CENTRE]),
  ];
  await storeUsers(db, [...users, ada]);
  const exam = await storeExam(db, {
    seed: 3,
    sheets: SHEETS,
    packet: 2,
    questions: QUESTIONS,
    booklets: 1,
    batch_no: 1,
    readings: true,
  });
  const { batch_id } = exam;
  await db.write((tx) => tx.updateTable('batches').set({ centre_id: CENTRE, uploaded_by: 'ada' }).execute());
  const world: World = { db, queue, exam, batch_id, users, key: exam.key, schedules: 0 };
  await publish(world, exam.key);
  for (const task_id of exam.task_ids)
    await saveTask(db, ada, { task_id, exam: 'Exam', centre: CENTRE, template_id: exam.template_id, key_id: KEY });
  await rescoreAsked(db, [batch_id]);
  return world;
}

async function publish(world: World, content: KeyContent): Promise<void> {
  const { db } = world;
  await createKey(db, ada, KEY, content);
  // One person keeps the keys of a schedule: that a second has to publish is another test's.
  await db.write((tx) => tx.updateTable('answer_keys').set({ edited_by: null }).execute());
  await publishKey(db, ada, KEY, {});
  world.key = content;
}

/** As it was, but for the numbers of the feed and of the key's versions: they go on. */
async function putBack({ db, batch_id, exam }: World): Promise<void> {
  await db.write(async (tx) => {
    await tx.deleteFrom('corrections').execute();
    await tx.deleteFrom('audit').where('action', '=', 'correction.append').execute();
    const newest = tx.selectFrom('answer_keys').select((eb) => eb.fn.max('version').as('version'));
    const { version } = await newest.executeTakeFirstOrThrow();
    await tx.deleteFrom('answer_keys').where('version', '<', version).execute();
    for (const [sheet, sheet_id] of exam.sheet_ids.entries())
      await tx
        .updateTable('marks')
        .set({ choices: packValues(exam.candidates[sheet]?.values ?? []) })
        .where('sheet_id', '=', sheet_id)
        .execute();
    await tellAll(db, tx, scopeOf(batch_id));
    await db.upsert(tx, 'rescores', [{ batch_id, reason: 'put back', user_id: null, requested_at: 1 }]);
  });
  await rescoreAsked(db, [batch_id]);
}

/** Runs one schedule and throws when something does not hold. */
async function runSchedule(world: World, commands: readonly Command[]): Promise<void> {
  world.schedules += 1;
  await putBack(world);
  const devices: Device[] = [];
  for (const user of world.users) {
    const own = await openUser(user.user_id);
    await keepBatch(own, world.batch_id, true, 0);
    devices.push({ user, db: own, keeps: true, life: 1 });
  }
  const decisions: Decision[] = [];
  /** What the machine says by now, where it was read again. */
  const reread = new Map<number, string>();
  try {
    for (const one of commands) {
      await step(world, devices, decisions, reread, one);
      for (const own of devices) await neverHalf(world, own, decisions);
    }
    await settle(world, devices, decisions, reread);
  } finally {
    for (const { db: own, user } of devices) {
      await own.clear('outbox');
      own.close();
      await forgetUser(user.user_id);
    }
  }
}

/** One try to push and pull. @param left transactions until the device is killed */
async function sync(
  world: World,
  own: Device,
  script: (Fault | 'server-killed')[],
  left: number | null,
): Promise<void> {
  const { queue, db } = world;
  const next = (): Fault => {
    const happens = script.shift() ?? 'none';
    if (happens !== 'server-killed') return happens;
    dies = true;
    return 'none';
  };
  let dies = false;
  // The server's process ends at the end of a transaction, before its commit.
  const mortal: Database = {
    ...db,
    write: (work) =>
      db.write(async (tx) => {
        const done = await work(tx);
        if (dies) {
          dies = false;
          throw new Killed('the server was killed');
        }
        return done;
      }),
  };
  const fetch = syncOffice(mortal).fetchAs(() => own.user, next);
  const api = createApi({
    fetch: async (input, init) => {
      try {
        return await fetch(input, init);
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        throw new TypeError('the server hung up');
      }
    },
  });
  const { user_id, username, role, centres } = own.user;
  const me = { user_id, username, role, is_admin: false, centres, must_change_password: false };
  const session = createSession({ queue, api, exclusively: (_, work) => work(), now: () => 0 });
  await queue.put('device', { key: 'identity', me, signed_in: true });
  const user = left === null ? own.db : killable(own.db, left);
  const deps = { user, api, session, userId: user_id, now: () => 1 };
  const { signal } = new AbortController();
  try {
    await pushOutbox(deps, signal);
    await pullKept(deps, signal);
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    // What a killed tab had begun is finished or undone by the browser before another one sees it.
    await nextTurn();
  }
}

async function step(
  world: World,
  devices: readonly Device[],
  decisions: Decision[],
  reread: Map<number, string>,
  one: Command,
): Promise<void> {
  const { db, exam, batch_id } = world;
  const own = 'device' in one ? devices[one.device] : undefined;
  switch (one.does) {
    case 'decide': {
      if (!own) return;
      const field = FIELDS[one.field] ?? 'q1';
      const values = VALUES[field];
      const value = values[one.value % values.length] ?? null;
      const line = (await keptPages(own.db.transaction(['feeds', 'parts']), batch_id))?.lines[one.sheet];
      const name = `decision ${world.schedules}.${decisions.length + 1}`;
      const said = decisions.filter(
        ({ device, life, sheet, unsaid }) => device === own && life === own.life && sheet === one.sheet && !unsaid,
      );
      const onScreen = line ? correctionsOf(line).map(({ reason }) => reason ?? '') : [];
      const knows = new Set([...onScreen, ...said.map((before) => before.name)]);
      const sheet_id = String(exam.sheet_ids[one.sheet]);
      const items = [{ sheet_id, field, value, base_rev: line ? revOf(line) : 0 }];
      const n = await record(own.db, { kind: 'correct', batch_id, items, reason: name }, null, 0);
      decisions.push({ name, n, device: own, life: own.life, sheet: one.sheet, field, value, knows, unsaid: false });
      return;
    }
    case 'unsay': {
      const last = decisions.findLast(({ device, unsaid }) => device === own && !unsaid);
      if (own && last && (await own.db.get('outbox', last.n)) && (await unsay(own.db, last.n))) last.unsaid = true;
      return;
    }
    case 'sync':
      if (own) await sync(world, own, [...one.faults], one.killedAfter);
      return;
    case 'two-tabs':
      if (own) await Promise.all([sync(world, own, [...one.faults], null), sync(world, own, [], null)]);
      return;
    case 'key':
      return publish(world, { ...exam.key, marks: { correct: one.correct, wrong: -1, blank: world.schedules / 100 } });
    case 'rescore':
      await rescoreAsked(db, [batch_id]);
      return;
    case 'read-again': {
      // As the load of a batch that was read again leaves it: another reading, everything told anew, a score to come.
      const sheet_id = exam.sheet_ids[one.sheet] ?? 0;
      const value = ['A', 'B', 'C', 'D', ''][one.value] ?? '';
      reread.set(one.sheet, value);
      const values = valuesOf(world, one.sheet, reread);
      await db.write(async (tx) => {
        await tx
          .updateTable('marks')
          .set({ choices: packValues(values) })
          .where('sheet_id', '=', sheet_id)
          .execute();
        await db.upsert(tx, 'rescores', [{ batch_id, reason: 'read again', user_id: null, requested_at: 1 }]);
        await tellAll(db, tx, scopeOf(batch_id));
      });
      return;
    }
    case 'let-go':
      if (!own) return;
      if (own.keeps) await letGo(own.db, scopeOf(batch_id));
      else await keepBatch(own.db, batch_id, true, 0);
      own.keeps = !own.keeps;
      return;
    case 'sign-out':
      if (!own) return;
      // What was not sent is kept, and with it who sends it; what the device itself had said before is forgotten.
      if ((await own.db.count('outbox')) === 0) own.life += 1;
      own.db.close();
      await forgetUser(own.user.user_id);
      own.db = await openUser(own.user.user_id);
      await keepBatch(own.db, batch_id, true, 0);
      own.keeps = true;
      return;
    case 'restore':
      await db.write((tx) =>
        tx
          .updateTable('settings')
          .set({ value: String(world.schedules) })
          .where('name', '=', 'feed_epoch')
          .execute(),
      );
      return;
  }
}

const valuesOf = ({ exam }: World, sheet: number, reread: ReadonlyMap<number, string>): string[] => {
  const values = [...(exam.candidates[sheet]?.values ?? [])];
  const again = reread.get(sheet);
  if (again !== undefined) values[0] = again;
  return values;
};

/** At any moment: all pages or none are shown, and what was decided here is shown until the server refuses it. */
async function neverHalf({ batch_id, exam }: World, own: Device, decisions: readonly Decision[]): Promise<void> {
  const kept = await keptPages(own.db.transaction(['feeds', 'parts']), batch_id);
  if (!kept) return;
  expect(kept.lines.map(([page]) => page)).toEqual(exam.sheet_ids.map((id) => id % 1_000_000));
  const outbox = new Set((await own.db.getAll('outbox')).map(({ n }) => n));
  for (const { n, name, device, sheet, unsaid } of decisions) {
    if (device !== own || unsaid || outbox.has(n)) continue;
    const shown = correctionsOf(kept.lines[sheet] as SheetLine).some(({ reason }) => reason === name);
    expect(shown, `${name} of ${own.user.username} has vanished from their screen`).toBe(true);
  }
}

/** The network comes back, everybody is up, nothing happens any more. */
async function settle(
  world: World,
  devices: readonly Device[],
  decisions: readonly Decision[],
  reread: ReadonlyMap<number, string>,
): Promise<void> {
  const { db, batch_id, exam, key } = world;
  for (const own of devices) {
    if (!own.keeps) await keepBatch(own.db, batch_id, true, 0);
    await sync(world, own, [], null);
  }
  await rescoreAsked(db, [batch_id]);
  for (const own of devices) await sync(world, own, [], null);

  const rows = await db.sql
    .selectFrom('corrections')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .orderBy('rev')
    .execute();
  const refused = new Map<string, string>();
  for (const own of devices) {
    const outbox = await own.db.getAll('outbox');
    for (const edit of outbox) {
      if (edit.state.at !== 'refused') throw new Error(`an edit of ${own.user.username} is still ${edit.state.at}`);
      if (edit.change.kind === 'correct') refused.set(edit.change.reason ?? '', edit.state.code);
    }
    expect(outbox.filter(isPending).length).toBe(outbox.length);
  }

  // [S1] [S3] Each decision was taken once, in order, or its maker has been told why not.
  for (const { name, unsaid } of decisions) {
    const taken = rows.filter(({ reason }) => reason === name).length;
    expect([name, taken]).toEqual([name, unsaid || refused.has(name) ? 0 : 1]);
  }
  for (const own of devices)
    for (let sheet = 0; sheet < SHEETS; sheet++) {
      const taken = rows.filter((row) => row.user_id === own.user.user_id && row.sheet_id === exam.sheet_ids[sheet]);
      const order = taken.map(({ reason }) => decisions.findIndex(({ name }) => name === reason));
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  const audited = await db.sql
    .selectFrom('audit')
    .select('subject')
    .where('action', '=', 'correction.append')
    .where('subject', 'in', ['', ...rows.map(({ correction_id }) => `correction:${correction_id}`)])
    .execute();
  expect(audited.length).toBe(rows.length);

  // [S3] [S4] What it comes to, from what each had on the screen.
  const results = await db.sql
    .selectFrom('results')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .orderBy('sheet_id')
    .execute();
  for (let sheet = 0; sheet < SHEETS; sheet++) {
    const values = valuesOf(world, sheet, reread);
    let roll: string | null = String(20_000_000 + sheet);
    let isVoid = false;
    let conflicts = 0;
    for (const field of FIELDS) {
      const said = rows
        .filter((row) => row.sheet_id === exam.sheet_ids[sheet] && row.field === field)
        .map(({ reason }) => decisions.find(({ name }) => name === reason) as Decision);
      const weight = ({ device }: Decision): number => (device.user.role === 'supervisor' ? 2 : 1);
      // It stands unless somebody of no less weight, who knew it, has said something since.
      const standing = said.filter(
        (one, i) => !said.slice(i + 1).some((later) => later.knows.has(one.name) && weight(later) >= weight(one)),
      );
      const most = Math.max(0, ...standing.map(weight));
      const [counts, ...others] = standing.filter((one) => weight(one) === most);
      if (others.some(({ value }) => value !== counts?.value)) conflicts++;
      if (!counts || counts.value === null) continue;
      if (field === 'roll') roll = counts.value;
      else if (field === 'void') isVoid = counts.value === 'true';
      else values[Number(field.slice(1)) - 1] = counts.value;
    }
    const scored = scorer(key).score({
      roll,
      variant: exam.candidates[sheet]?.booklet ?? null,
      values,
      doubtful: conflicts,
      doubtful_unlisted: conflicts,
    });
    const nothing = { score: null, max_score: null, correct: null, wrong: null, unscored: 'void' };
    const expected = { ...scored, ...(isVoid ? nothing : {}) };
    const is = results[sheet];
    if (is?.unscored !== 'suspect-key') expect(is).toMatchObject(expected);

    // Devices work out the same.
    for (const own of devices) {
      const line = (await keptPages(own.db.transaction(['feeds', 'parts']), batch_id))?.lines[sheet] as SheetLine;
      const view = viewSheet(line, [], () => ({ key, template_id: exam.template_id }));
      const { roll, score, max_score, correct, doubtful, unscored } = is ?? {};
      expect(view?.result).toMatchObject({ roll, score, max_score, correct, doubtful, unscored });
    }
  }

  // [S2] Every device has what the server has.
  for (const own of devices) {
    const scope = scopeOf(batch_id);
    const told = await pull(db, own.user, scope);
    const kept = await keptPages(own.db.transaction(['feeds', 'parts']), batch_id);
    expect(kept?.lines).toEqual(told.sheets);
    expect(kept?.groups).toEqual(told.groups);
    const office = await officeOf(db, own.user);
    expect((await own.db.getAll('tasks')).map(({ true_at: _, ...task }) => task)).toEqual(office.tasks);
    expect((await own.db.getAll('keys')).map(({ newest }) => newest)).toEqual(
      office.keys.map(({ versions }) => versions[0]),
    );
    expect(await own.db.getAll('overlays')).toEqual([]);
  }
}

async function officeOf(db: Database, user: User) {
  const first = await pull(db, user, 'office');
  for (let part = first; part.more; ) {
    part = await pull(db, user, 'office', part.cursor);
    first.tasks.push(...part.tasks);
    first.keys.push(...part.keys);
  }
  return first;
}

/**
 * Runs what has failed once, then `runs` random schedules from `seed`.
 * @throws with the seed and the shortest schedule that shows what does not hold
 */
export async function checkSchedules(
  db: Database,
  found: readonly (readonly Command[])[],
  { runs, seed }: { runs: number; seed: number },
): Promise<void> {
  const queue = await openQueue();
  try {
    const world = await makeWorld(db, queue);
    for (const commands of found) await runSchedule(world, commands);
    const done = await fc.check(
      fc.asyncProperty(schedule, (commands) => runSchedule(world, commands)),
      { numRuns: runs, seed },
    );
    if (!done.failed) return;
    const { counterexamplePath, counterexample, errorInstance, numShrinks } = done;
    const where = `seed ${seed}, path ${counterexamplePath}, after ${numShrinks} steps of shrinking`;
    throw new Error(`${where}:\n${JSON.stringify(counterexample?.[0])}`, { cause: errorInstance });
  } finally {
    queue.close();
    closeChannel();
  }
}

/** How many and from which seed, as the environment says. */
export const schedulesAsked = (usual: number): { runs: number; seed: number } => ({
  runs: Number(process.env.SHEAF_SCHEDULES ?? usual),
  seed: Number(process.env.SHEAF_SEED ?? Date.now() % 1_000_000),
});
