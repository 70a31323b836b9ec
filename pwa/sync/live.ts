// The leader tab: one tab on the device, elected by a Web Lock, keeps the store fresh for all of them. It knocks at the
// server, pulls the list, follows the batches that are alive, and keeps whole the ones that ended.
import { ENDED } from '../../shared/protocol/stage.ts';
import type { Api } from '../api.ts';
import { type Changed, onChange, openUser, type QueueDb, type UserDb } from '../db.ts';
import { serveKeeping } from '../media/keep.ts';
import type { Session } from '../session.ts';
import { follow } from './follow.ts';
import { ungrouped } from './held.ts';
import { createNap, type Nap } from './nap.ts';
import { serveOffice } from './office.ts';
import {
  keepWhole,
  type PullDeps,
  pullDetail,
  pullGroups,
  pullList,
  pullListPage,
  pullSheets,
  versionOf,
} from './pull.ts';
import { createSync, type Sync } from './serve.ts';

export interface LiveDeps {
  queue: QueueDb;
  api: Api;
  session: Session;
  /** asks the service worker to send what waits, without a page too */
  standBehind: () => Promise<void>;
  signal: AbortSignal;
}

/** Streams of batches at once, beside the app's own. A browser opens six connections to a server that speaks HTTP/1.1, and uploads need some. */
const STREAMS = 2;
const LIST_MS = 30_000;
/** The first page has what is new; what was deleted shows only by its absence from all of them. */
const WHOLE_LIST_MS = 10 * 60_000;
const KNOCK_MS = 15_000;
/** While sheets are being read: how often the numbers, and how often the rows, of an open batch are fetched anew. */
const DETAIL_MS = 2_000;
const ROWS_MS = 8_000;
/** Groups of so many batches are looked up in a row, before anything else is looked at again. */
const GROUPS_AT_ONCE = 5;
/** A batch that somebody opened within this is followed before others. */
const WANTED_MS = 10 * 60_000;

/** What sleeps in the leader: retries of streams and knocks, and the look at what there is to do. */
interface Naps {
  /** of the user who is served */
  sync: Sync | null;
  retry: Nap;
  look: Nap;
  office: Nap;
  /** a nudge came: the list is fetched at the next look, however fresh it is */
  nudged: boolean;
}

/** `nudge`: something happened (focus, a network, a tap) that makes another try worthwhile. */
export function startLive(deps: LiveDeps): { nudge: () => void } {
  const naps: Naps = {
    sync: null,
    retry: createNap(),
    look: createNap(),
    office: createNap(),
    nudged: false,
  };
  const nudge = () => {
    naps.nudged = true;
    naps.retry.wake();
    naps.look.wake();
    naps.office.wake();
    naps.sync?.wake();
  };
  const lead = async () => {
    await navigator.locks.request('live', { signal: deps.signal }, () =>
      Promise.all([knock(deps, naps, nudge), lookAfterUser(deps, naps)]),
    );
  };
  lead().catch((error: unknown) => {
    if (!deps.signal.aborted) throw error;
  });
  return { nudge };
}

/** Something on the line is heard at least every 15 s, so that "online" on the screen is never older than that. */
async function knock({ api, signal }: LiveDeps, naps: Naps, nudge: () => void): Promise<void> {
  let before = true;
  while (!signal.aborted) {
    const alive = await api.alive();
    if (alive && !before) nudge();
    before = alive;
    await naps.retry.sleep(alive ? KNOCK_MS : KNOCK_MS / 3, signal);
  }
}

/** Serves whoever is signed in, anew for each. */
async function lookAfterUser(deps: LiveDeps, naps: Naps): Promise<void> {
  while (!deps.signal.aborted) {
    const who = await deps.session.identity();
    const mine = new AbortController();
    const signal = AbortSignal.any([deps.signal, mine.signal]);
    const serving = who?.signed_in ? serveUser(deps, naps, who.me.user_id, signal) : Promise.resolve();
    await someoneElse(deps, who?.signed_in ? who.me.user_id : null);
    mine.abort();
    await serving;
  }
}

/** Waits until another than `userId` is signed in (null: until anybody is), or the databases were closed. */
function someoneElse({ session, signal }: LiveDeps, userId: string | null): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const look = async () => {
      const who = await session.identity();
      if ((who?.signed_in ? who.me.user_id : null) !== userId) end();
    };
    const stop = onChange((stores) => {
      if (stores.includes('device')) look().catch(end);
    });
    signal.addEventListener('abort', end);
    // It may have changed between the caller's look and our listening.
    look().catch(end);
  });
}

async function serveUser(deps: LiveDeps, naps: Naps, userId: string, signal: AbortSignal): Promise<void> {
  const user = await openUser(userId);
  const pull: PullDeps = { user, api: deps.api, session: deps.session, now: Date.now };
  // Closed by a sign-out, or by a newer Sheaf: what is kept is there for the next time.
  const office = serveOffice(pull, userId, naps.office, signal).catch(() => {});
  const engine = createSync({ ...pull, userId, onWaiting: () => void deps.standBehind(), retry: naps.retry });
  const keeping = serveKeeping(pull, signal).catch(() => {});
  naps.sync = engine;
  const sync = engine.serve(signal).catch(() => {});
  const followed = new Map<string, Promise<void>>();
  let listDue = 0;
  // A reason that comes up while we are awake must not be slept over.
  let reason = true;
  const lookAgain = () => {
    reason = true;
    naps.look.wake();
  };

  const stop = onChange((stores: readonly Changed[]) => {
    // An upload was opened or sealed: there is a new batch to see.
    if (stores.includes('uploads')) listDue = 0;
    if (stores.includes('uploads') || stores.includes('wanted')) lookAgain();
    // Keys and tasks are on somebody's screen: news of them is fetched at once.
    if (stores.includes('looks')) engine.wake();
  });

  const followOne = async (batch: string): Promise<void> => {
    const refresh = refresher(pull, batch, signal);
    const end = await follow(
      {
        ...pull,
        random: Math.random,
        // Where streams cannot pass, each try at one fetches the numbers by another road.
        sleep(ms, end) {
          refresh.note();
          return naps.retry.sleep(ms, end);
        },
        signal,
        onStored: refresh.note,
      },
      batch,
    );
    await refresh.idle();
    if (end === 'ended') await keepWhole(pull, batch);
    // What ended badly is looked at again with the list, not at once.
    else await naps.retry.sleep(LIST_MS, signal);
  };

  try {
    let wholeDue = 0;
    while (!signal.aborted) {
      reason = false;
      if (naps.nudged || Date.now() >= listDue) {
        naps.nudged = false;
        // Before the request: what happens while it is under way is a reason to ask again.
        listDue = Date.now() + LIST_MS;
        if (Date.now() < wholeDue) await pullListPage(pull, 1);
        else if ((await pullList(pull)).kind === 'ok') wholeDue = Date.now() + WHOLE_LIST_MS;
      }
      for (const batch of await reopened(user, Date.now())) await keepWhole(pull, batch);
      for (const batch of await choose(deps.queue, user, Date.now())) {
        if (followed.size >= STREAMS) break;
        if (followed.has(batch)) continue;
        const following = followOne(batch)
          // The database may be closed under us by a sign-out; anything else shows again at the next look.
          .catch(() => {})
          .finally(() => {
            followed.delete(batch);
            lookAgain();
          });
        followed.set(batch, following);
      }
      if (await lookUpGroups(pull)) reason = true;
      if (!reason && !naps.nudged) await naps.look.sleep(LIST_MS, signal);
      // Several reasons to look in a row are one.
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop();
    naps.office.wake();
    engine.wake();
    await Promise.allSettled([office, sync, keeping, ...followed.values()]);
    user.close();
  }
}

/**
 * What to follow, most urgent first: opened here lately, then sent from here, then whatever is alive. An ended batch
 * is followed too when it is not kept whole yet: its log comes by the same road.
 */
export async function choose(queue: QueueDb, user: UserDb, now: number): Promise<string[]> {
  const whole = new Map((await user.getAll('cursors')).map((cursor) => [cursor.batch, cursor.whole_for]));
  const wanted = new Map((await user.getAll('wanted')).map((row) => [row.batch, row.at]));
  const sentHere = new Set((await queue.getAll('uploads')).map((upload) => upload.server?.batch_id));
  const rank = (batch: string): number => {
    if (now - (wanted.get(batch) ?? 0) < WANTED_MS) return 0;
    return sentHere.has(batch) ? 1 : 2;
  };
  return (await user.getAll('batches'))
    .filter((row) => {
      if (!ENDED.includes(row.status)) return true;
      const missing = whole.get(row.batch_id) !== versionOf(row);
      return missing && (sentHere.has(row.batch_id) || wanted.has(row.batch_id));
    })
    .sort((a, b) => rank(a.batch_id) - rank(b.batch_id) || b.created_at.localeCompare(a.created_at))
    .map((row) => row.batch_id);
}

/**
 * Ended batches that somebody has opened since their sheets were fetched: a key that was published, or a task that was
 * made, scores them anew without any event of theirs.
 */
export async function reopened(user: UserDb, now: number): Promise<string[]> {
  const due: string[] = [];
  for (const { batch, at } of await user.getAll('wanted')) {
    if (now - at >= WANTED_MS) continue;
    const groups = await user.get('groups', batch);
    const row = await user.get('batches', batch);
    // One that has ended anew is followed first: its log comes by that road alone.
    const kept = (await user.get('cursors', batch))?.whole_for;
    if (row && kept === versionOf(row) && groups && groups.true_at < at) due.push(batch);
  }
  return due;
}

/** Fetches groups of ended batches that nobody has opened here. @returns true when there are more to fetch */
async function lookUpGroups(pull: PullDeps): Promise<boolean> {
  const { user } = pull;
  const fetched = new Map((await user.getAll('groups')).map((one) => [one.batch, one]));
  const due = ungrouped(await user.getAll('batches'), fetched, new Set(await user.getAllKeys('wanted')));
  for (const { batch, version } of due.slice(0, GROUPS_AT_ONCE))
    if ((await pullGroups(pull, batch, version)).kind !== 'ok') return false;
  return due.length > GROUPS_AT_ONCE;
}

/** Fetches numbers, and rows when somebody looks at them, behind the events of a living batch: never faster than said above. */
function refresher(pull: PullDeps, batch: string, signal: AbortSignal) {
  let detailAt = 0;
  let rowsAt = 0;
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    if (Date.now() - detailAt >= DETAIL_MS) {
      detailAt = Date.now();
      await pullDetail(pull, batch);
    }
    const wanted = (await pull.user.get('wanted', batch))?.at ?? 0;
    if (Date.now() - rowsAt >= ROWS_MS && Date.now() - wanted < WANTED_MS) {
      rowsAt = Date.now();
      await pullGroups(pull, batch);
      await pullSheets(pull, batch);
    }
  }

  return {
    note(): void {
      if (running || signal.aborted) return;
      running = run()
        // Closed by a sign-out, or full: the next event tries again.
        .catch(() => {})
        .finally(() => {
          running = null;
        });
    },
    idle: async (): Promise<void> => {
      await running;
    },
  };
}
