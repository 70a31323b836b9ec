// What the service worker does when the browser lets it live for a while: stand behind the page that sends, send the queue
// when there is none, and keep what came of it. Every run may be cut off on any line and begun again.
import { type Api, createApi } from '../api.ts';
import { onChange, openQueue, openUser, type QueueDb, type WaitReason } from '../db.ts';
import { createSession, type Session, webLock } from '../session.ts';
import { follow } from '../sync/follow.ts';
import { createLink } from '../sync/link.ts';
import { createNap } from '../sync/nap.ts';
import { pushOutbox } from '../sync/outbox.ts';
import { keepWhole, pullList } from '../sync/pull.ts';
import { canHandOver, takeBackUnbegun, watchHandOvers } from '../uploads/handover.ts';
import { isWaitedFor, SENDER_LOCK, send, sendersOn } from '../uploads/sender.ts';

/** Background Sync is not in TypeScript's WebWorker library. */
interface SyncManager {
  register(tag: string): Promise<void>;
}

/** Chromium ends a sync event after 180 s: no new part is begun after this, and the one under way may finish. */
const SEND_MS = 150_000;
/** Between two tries inside one sync event. */
const PATIENCE_MS = 6_000;
/** A page that goes away frees the lock at once, and hands over what is left a moment later: sending meanwhile would take
 *  the upload away from the browser again. */
const HANDING_MS = 3_000;
const LISTEN_MS = 250;
/** What stands in the way by itself, and not until somebody signs in. */
const PASSING = new Set<WaitReason>(['no-network', 'busy', 'server-full']);
/** The rest of those 180 s is for results. */
const EVENT_MS = 172_000;

/** `more`: time ran out while something could be done. `waiting`: what is left needs the network, the server or a person. */
type Done = 'all' | 'more' | 'waiting';

interface Tools {
  queue: QueueDb;
  api: Api;
  session: Session;
}

async function openTools(): Promise<Tools> {
  const queue = await openQueue();
  const api = createApi({ heard: createLink(queue).heard });
  return { queue, api, session: createSession({ queue, api, exclusively: webLock, now: () => performance.now() }) };
}

export function createWork(scope: ServiceWorkerGlobalScope) {
  let tools: Promise<Tools> | null = null;
  let running: Promise<Done> | null = null;
  let again = false;

  const open = (): Promise<Tools> => {
    tools ??= openTools().then((opened) => {
      // Closed under us, by a newer schema or by the browser: the next run opens anew.
      const stop = onChange((stores) => {
        if (!stores.includes('queue-gone')) return;
        stop();
        tools = null;
      });
      return opened;
    });
    tools.catch(() => {
      tools = null;
    });
    return tools;
  };

  const inTheirHands = watchHandOvers(scope.registration, async () => (await open()).queue, Date.now);

  const pageIsOpen = async (): Promise<boolean> =>
    (await scope.clients.matchAll({ type: 'window', includeUncontrolled: true })).length > 0;

  /** What was decided and edited on this device, of whoever is signed in: a few kilobytes, before the gigabytes. True when
   *  nothing of it is left to send. */
  async function pushEdits({ session, api, signal }: Tools & { signal: AbortSignal }): Promise<boolean> {
    const who = await session.identity();
    if (!who?.signed_in) return true;
    const user = await openUser(who.me.user_id);
    try {
      return (await pushOutbox({ user, api, session, userId: who.me.user_id, now: Date.now }, signal)) === null;
    } finally {
      user.close();
    }
  }

  async function once(began: number, turn: 'take' | 'wait'): Promise<Done> {
    const { queue, api, session } = await open();
    const on = await sendersOn(queue);
    const may = on.has('sw');
    let handing = may && on.has('fetch') && canHandOver(scope.registration) ? HANDING_MS : 0;
    const nap = createNap();
    const signal = AbortSignal.timeout(Math.max(0, began + EVENT_MS - Date.now()));
    const deps = { queue, api, session, now: Date.now, random: Math.random, sleep: nap.sleep, signal };
    // Whatever is with the edits, scans go out: a page shows what waits.
    const edited = await pushEdits(deps).catch(() => false);
    const end = await send({
      ...deps,
      deadline: began + SEND_MS,
      wake: true,
      by: 'sw',
      turn,
      // A page sends faster and shows how far it is; what the browser has in hand is not sent twice.
      async direct(upload) {
        for (; handing > 0 && !(await isWaitedFor()); handing -= LISTEN_MS) await nap.sleep(LISTEN_MS, signal);
        if (await isWaitedFor()) return 'stop';
        return !may || (await inTheirHands()).has(upload) ? 'next' : 'go';
      },
    });
    if (end === 'more' || end === 'elsewhere') return 'more';
    await takeBackUnbegun(scope.registration, queue);
    const kept = await keepResults({ queue, api, session }, signal);
    return end === 'waiting' || !kept || !edited ? 'waiting' : 'all';
  }

  /** Stores list, detail, log and results of what was sent from here, unless a page does. True when all is stored. */
  async function keepResults({ queue, api, session }: Tools, signal: AbortSignal): Promise<boolean> {
    if (await pageIsOpen()) return true;
    const who = await session.identity();
    if (!who?.signed_in) return true;
    const mine = (await queue.getAll('uploads')).filter(
      (upload) => upload.step.at === 'sent' && upload.owner.user_id === who.me.user_id,
    );
    if (mine.length === 0) return true;
    const user = await openUser(who.me.user_id);
    try {
      const batches: string[] = [];
      for (const upload of mine) {
        const batch = upload.server?.batch_id;
        if (batch && !(await user.get('cursors', batch))?.whole_for) batches.push(batch);
      }
      if (batches.length === 0) return true;
      const pull = { user, api, session, now: Date.now };
      if ((await pullList(pull)).kind !== 'ok') return false;
      let all = true;
      for (const batch of batches) {
        const end = await follow({ ...pull, random: Math.random, sleep: createNap().sleep, signal }, batch);
        if (end === 'gone') continue;
        if (end !== 'ended' || !(await keepWhole(pull, batch))) all = false;
      }
      // Once more: the list now says how they ended.
      await pullList(pull);
      return all;
    } finally {
      user.close();
    }
  }

  /** Something that may be sent later in this very event, if the line or the server comes back. */
  async function mayPassSoon(): Promise<boolean> {
    const { queue } = await open();
    return (await queue.getAll('uploads')).some(
      ({ step }) => step.at === 'queued' || (step.at === 'waiting' && PASSING.has(step.why)),
    );
  }

  /** `began`: when the event did, ms since 1970; its time is all there is. One run at a time; whoever comes while it runs gets one more run after it. */
  function run(began: number, turn: 'take' | 'wait'): Promise<Done> {
    if (running !== null) {
      again = true;
      return running;
    }
    running = (async () => {
      let done = await once(began, turn);
      while (again) {
        again = false;
        done = await once(began, turn);
      }
      return done;
    })().finally(() => {
      running = null;
    });
    return running;
  }

  async function register(): Promise<boolean> {
    const sync = (scope.registration as ServiceWorkerRegistration & { sync?: SyncManager }).sync;
    if (!sync) return false;
    // Without a window open the browser refuses, and its own retry is what is left.
    return sync.register('drain').then(
      () => true,
      () => false,
    );
  }

  return {
    async onSync(): Promise<void> {
      const began = Date.now();
      let done = await run(began, 'wait');
      // Switched off it pushes edits and looks at what others have sent, and need not come back for bytes.
      if (!(await sendersOn((await open()).queue)).has('sw')) return;
      // The browser gives three events an upload and a few minutes each: a server that restarts is waited for inside.
      while (done === 'waiting' && Date.now() - began < SEND_MS && (await mayPassSoon())) {
        await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS * (0.5 + Math.random())));
        done = await run(began, 'wait');
      }
      if (done === 'all') return;
      if (done === 'more' && (await pageIsOpen()) && (await register())) return;
      throw new Error('not all is sent: the browser is asked to try again later');
    },
    /** A page asks, or goes away: for browsers without Background Sync. What is left is asked for again by the next page. */
    async onMessage(): Promise<void> {
      await run(Date.now(), 'wait');
    },
    /** The browser has done with what was handed over to it, well or badly: the server says what arrived, and the rest is sent. */
    async onHandedBack(): Promise<void> {
      await run(Date.now(), 'wait');
    },
    onStart(): void {
      // No event waits for this one: it may be cut off, and says so to nobody.
      run(Date.now(), 'take').catch(() => {});
    },
    whenNotSending: (then: () => Promise<void>): Promise<void> => navigator.locks.request(SENDER_LOCK, then),
  };
}
