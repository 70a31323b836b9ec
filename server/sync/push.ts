// What was done on a device without a network, taken in: each mutation in one transaction with the number of the last one
// taken from that device and what became of it, so that however often it is sent it is applied exactly once, in order [S1].
// One that is refused is answered so, again and again until its client has heard, and holds nothing back.
import * as v from 'valibot';
import {
  keyStamp,
  MUTATIONS,
  type MutationName,
  Outcome,
  type PushAnswer,
  type PushForm,
  taskStamp,
} from '../../shared/protocol/sync.ts';
import type { Database, Tx } from '../adapters/database.ts';
import { keepsKeys, reviews } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { OFFICE, scopeOf } from '../changes.ts';
import { correct } from '../corrections/correct.ts';
import { saveKeyOver } from '../keys/keys.ts';
import { saveTaskOver } from '../keys/tasks.ts';
import { RequestRefused, refuse } from '../problem.ts';

interface Effect {
  scopes: string[];
  stamp: string | null;
  /** batches to be scored again after the commit */
  rescore: string[];
}

const EFFECTS: {
  [N in MutationName]: (
    db: Database,
    tx: Tx,
    user: User,
    args: v.InferOutput<(typeof MUTATIONS)[N]>,
    origin: { client_id: string; mid: number },
  ) => Promise<Effect>;
} = {
  async correct(db, tx, user, args, origin) {
    if (!reviews(user))
      refuse('FORBIDDEN', `Corrections are for reviewers and supervisors; you are signed in as ${user.role}.`);
    const { batch_id, rescore } = await correct(db, tx, user, args, origin);
    return { scopes: [scopeOf(batch_id)], stamp: null, rescore: rescore ? [batch_id] : [] };
  },
  async 'key.save'(db, tx, user, { key_id, content, base }) {
    if (!keepsKeys(user)) refuse('FORBIDDEN', `Answer keys are for supervisors; you are signed in as ${user.role}.`);
    const key = await saveKeyOver(db, tx, user, key_id, content, base);
    return { scopes: [OFFICE], stamp: keyStamp(key), rescore: [] };
  },
  async 'task.save'(db, tx, user, { task, base }) {
    if (!keepsKeys(user)) refuse('FORBIDDEN', `Tasks are for supervisors; you are signed in as ${user.role}.`);
    const saved = await saveTaskOver(db, tx, user, task, base);
    return { scopes: [OFFICE], stamp: taskStamp(saved.task), rescore: saved.batches };
  },
};

const isName = (name: string): name is MutationName => Object.hasOwn(MUTATIONS, name);

/** Parses one mutation's arguments and runs it. */
function run<N extends MutationName>(db: Database, tx: Tx, user: User, name: N, args: unknown, origin: Origin) {
  const parsed = v.safeParse(MUTATIONS[name], args);
  if (!parsed.success) {
    const said = parsed.issues.map((issue) => `${v.getDotPath(issue) ?? name}: ${issue.message}`).join('; ');
    return refuse('VALIDATION_FAILED', `The ${name} does not fit: ${said}.`);
  }
  return EFFECTS[name](db, tx, user, parsed.output, origin);
}
interface Origin {
  client_id: string;
  mid: number;
}

/** @returns what became of each, in the order they came; `rescore`: batches to be scored again now */
export async function push(
  db: Database,
  user: User,
  { client_id, heard, mutations }: PushForm,
): Promise<{ answer: PushAnswer; rescore: string[] }> {
  const outcomes: Outcome[] = [];
  const rescore = new Set<string>();
  let last_mid = await register(db, user, client_id, heard);
  for (const { mid, name, args } of mutations) {
    const done = await once(db, user, { client_id, mid }, name, args);
    outcomes.push(done.outcome);
    last_mid = done.last_mid;
    for (const batch of done.rescore) rescore.add(batch);
  }
  return { answer: { last_mid, outcomes }, rescore: [...rescore] };
}

/** Makes the client known, and forgets the answers that it has kept. @returns the last mutation taken from it */
async function register(db: Database, user: User, client_id: string, heard: number): Promise<number> {
  return db.write(async (tx) => {
    await db.insertNew(tx, 'sync_clients', [{ client_id, user_id: user.user_id, last_mid: 0, seen_at: Date.now() }]);
    const client = await lock(tx, user, client_id);
    await tx.deleteFrom('sync_outcomes').where('client_id', '=', client_id).where('mid', '<=', heard).execute();
    return client.last_mid;
  });
}

async function lock(tx: Tx, user: User, client_id: string): Promise<{ last_mid: number }> {
  const client = await tx
    .selectFrom('sync_clients')
    .select(['user_id', 'last_mid'])
    .where('client_id', '=', client_id)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (client.user_id !== user.user_id)
    refuse(
      'FORBIDDEN',
      'These changes were made by another user of this device. They are sent when that user signs in.',
    );
  return client;
}

interface Done {
  outcome: Outcome;
  last_mid: number;
  rescore: string[];
}

async function once(db: Database, user: User, origin: Origin, name: string, args: unknown): Promise<Done> {
  const { client_id, mid } = origin;
  /** Runs `effect` unless this mutation was taken before, and keeps what became of it, all in one transaction. */
  const take = (effect: (tx: Tx) => Promise<{ outcome: Outcome; rescore: string[] }>): Promise<Done> =>
    db.write(async (tx) => {
      const { last_mid } = await lock(tx, user, client_id);
      if (mid <= last_mid) return { outcome: await before(tx, origin), last_mid, rescore: [] };
      const { outcome, rescore } = await effect(tx);
      await tx
        .updateTable('sync_clients')
        .set({ last_mid: mid, seen_at: Date.now() })
        .where('client_id', '=', client_id)
        .execute();
      await tx
        .insertInto('sync_outcomes')
        .values({ client_id, mid, outcome: JSON.stringify(outcome) })
        .execute();
      return { outcome, last_mid: mid, rescore };
    });
  try {
    return await take(async (tx) => {
      if (!isName(name))
        return refuse('VALIDATION_FAILED', `There is no mutation ${name}. Update Sheaf on this device.`);
      const { scopes, stamp, rescore } = await run(db, tx, user, name, args, origin);
      const covers = [];
      for (const scope of scopes) {
        const row = await tx.selectFrom('sequences').select('seq').where('scope', '=', scope).executeTakeFirst();
        covers.push({ scope, seq: row?.seq ?? 0 });
      }
      return { outcome: { mid, status: 'applied', covers, stamp }, rescore };
    });
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error;
    const { code, message } = error;
    return take(async () => ({ outcome: { mid, status: 'rejected', code, detail: message }, rescore: [] }));
  }
}

async function before(tx: Tx, { client_id, mid }: Origin): Promise<Outcome> {
  const row = await tx
    .selectFrom('sync_outcomes')
    .select('outcome')
    .where('client_id', '=', client_id)
    .where('mid', '=', mid)
    .executeTakeFirst();
  if (row) return v.parse(Outcome, JSON.parse(row.outcome));
  // It said that it had heard, or threw this one away and went on with later ones.
  return { mid, status: 'applied', covers: [], stamp: null };
}
