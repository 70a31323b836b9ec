// The page's part in sending: its own sender in a worker while it is here, a word to the service worker that stands behind
// it, and what is left handed to the browser when it goes away.
import { type Remote, wrap } from 'comlink';
import type { Api } from './api.ts';
import { onChange, type QueueDb, type Sender } from './db.ts';
import type { Session } from './session.ts';
import { createNap } from './sync/nap.ts';
import { tellCancelled } from './uploads/cancelled.ts';
import { type AskDeps, dueUploads } from './uploads/drain.ts';
import { canHandOver, handedOver, handOver, type Load, prepare, renew, watchHandOvers } from './uploads/handover.ts';
import { sendersOn } from './uploads/sender.ts';
import type { UploadsWorker } from './workers/uploads.ts';
// Part of the page's own file: a tab that lives on after an update must not miss it.
import UploadsWorkerFile from './workers/uploads.ts?worker&inline';

/** A worker that costs memory only while it is used. */
export interface IdleWorker {
  ask<T>(question: (worker: Remote<UploadsWorker>) => Promise<T>): Promise<T>;
  /** Ends it at once: what it was asked rejects, its locks are free. */
  end(): void;
}

const IDLE_MS = 10_000;

export function createIdleWorker(): IdleWorker {
  let alive: {
    worker: Worker;
    remote: Remote<UploadsWorker>;
    broken: Promise<never>;
    fail: (why: Error) => void;
  } | null = null;
  let asked = 0;
  let idle: ReturnType<typeof setTimeout> | undefined;

  function start() {
    const worker = new UploadsWorkerFile();
    let fail: (why: Error) => void = () => {};
    const broken = new Promise<never>((_, reject) => {
      fail = reject;
    });
    // Told to whoever is asking; nobody may be.
    broken.catch(() => {});
    worker.onerror = (event) => end(new Error(`the upload worker failed: ${event.message}`));
    return { worker, remote: wrap<UploadsWorker>(worker), broken, fail };
  }
  function end(why: Error = new DOMException('ended', 'AbortError')): void {
    clearTimeout(idle);
    alive?.worker.terminate();
    alive?.fail(why);
    alive = null;
  }

  return {
    async ask(question) {
      clearTimeout(idle);
      alive ??= start();
      asked += 1;
      try {
        return await Promise.race([question(alive.remote), alive.broken]);
      } finally {
        asked -= 1;
        if (asked === 0) idle = setTimeout(end, IDLE_MS);
      }
    },
    end,
  };
}

/** Background Sync is not in TypeScript's DOM library. */
interface SyncManager {
  register(tag: string): Promise<void>;
}
const syncOf = (registration: ServiceWorkerRegistration): SyncManager | undefined =>
  (registration as ServiceWorkerRegistration & { sync?: SyncManager }).sync;

/** How often the queue is looked at for what has become due by itself. */
const LOOK_MS = 30_000;
/** Several changes in a row are one reason. */
const GATHER_MS = 300;
/** What would be handed over is read anew at most this often. */
const PREPARE_MS = 5_000;
/** A tablet whose screen is off stops its pages soon; a tab in the background of a desktop goes on sending. */
const HIDDEN_MS = 10_000;

export interface Sending {
  /** A person, the network or a session has changed something: what waits is tried again now. */
  wake(): void;
  /** A file is being copied: the service worker stands behind this page before all of it is here. */
  expect(): void;
  /** Has the service worker run once the browser finds a network, with or without a page. */
  standBehind(): Promise<void>;
}

export interface SendingDeps {
  queue: QueueDb;
  api: Api;
  session: Session;
}

export function startSending({ queue, api, session }: SendingDeps): Sending {
  const ask: AskDeps = {
    queue,
    api,
    session,
    now: Date.now,
    random: Math.random,
    sleep: createNap().sleep,
    signal: new AbortController().signal,
  };
  const worker = createIdleWorker();
  let running = false;
  /** somebody wanted to send while it ran */
  let again: { wake: boolean } | null = null;
  let loads: readonly Load[] = [];
  let preparing = false;
  let preparedAt = 0;
  let behindAt = 0;
  /** the browser was given what was left, because this page could not be seen any more */
  let away = false;
  let registered: ServiceWorkerRegistration | null = null;
  /** what it sends twice as slowly need not be sent twice */
  let inTheirHands = async (): Promise<ReadonlySet<string>> => new Set();

  // Whether another tab would go on if this one were closed.
  navigator.locks.request('page', { mode: 'shared' }, () => new Promise(() => {})).catch(() => {});
  const isAlone = async (): Promise<boolean> =>
    ((await navigator.locks.query()).held ?? []).filter(({ name }) => name === 'page').length < 2;

  async function sendHere(wake: boolean): Promise<void> {
    if (running) {
      again = { wake: wake || (again?.wake ?? false) };
      return;
    }
    running = true;
    try {
      const theirs = [...(await inTheirHands())];
      await worker.ask((sender) => sender.send(location.origin, wake, theirs));
    } catch (error) {
      // Ended by us, or broken: the service worker stands behind, and the next look begins anew.
      if (!(error instanceof Error && error.name === 'AbortError')) reportError(error);
    } finally {
      running = false;
    }
    if (!again || away) return;
    const next = again;
    again = null;
    if ((await dueUploads(queue, Date.now(), next.wake)).length > 0) await sendHere(next.wake);
  }

  /** Reads what would be handed over, so that it can be done in the moment in which the page goes. */
  async function getReady(): Promise<void> {
    if (preparing) return;
    preparing = true;
    preparedAt = Date.now();
    try {
      const ready = (await isAlone())
        ? await prepare(ask, (bytes) => worker.ask((device) => device.hasRoom(bytes)))
        : [];
      const theirs = registered ? await handedOver(registered) : new Set<string>();
      loads = ready.filter(({ upload }) => !theirs.has(upload.id));
    } finally {
      preparing = false;
    }
  }

  async function standBehind(): Promise<void> {
    // Refused where a person forbade background work.
    if (registered)
      await syncOf(registered)
        ?.register('drain')
        .catch(() => {});
  }

  /** `timed`: nothing has happened but the time. */
  async function look(wake: boolean, timed = false): Promise<void> {
    if (away) return;
    if (wake || timed) await tellCancelled({ queue, api, session });
    const due = await dueUploads(queue, Date.now(), wake);
    if (due.length === 0) {
      loads = [];
      return;
    }
    const on = await sendersOn(queue);
    const registration = registered;
    const theirs = await inTheirHands();
    // Of what the browser has in hand there is only to be looked how far it is, now and then.
    const mine = due.some(({ id }) => !theirs.has(id));
    if (on.has('page') && (mine || wake || timed)) sendHere(wake).catch(reportError);
    if (!registration) return;
    if (on.has('sw') && (wake || Date.now() - behindAt >= LOOK_MS)) {
      behindAt = Date.now();
      // It stands behind this page, and goes on when this page is gone.
      await standBehind();
    }
    if (on.has('sw') && !on.has('page')) registration.active?.postMessage({ type: 'drain' });
    if (!on.has('fetch') || !canHandOver(registration)) return;
    if (Date.now() - preparedAt > PREPARE_MS) await getReady();
    else {
      const before = loads;
      const renewed = await renew(queue, before);
      if (loads === before) loads = renewed;
    }
    if (!on.has('page') && !on.has('sw')) await giveAway(registration, on);
  }

  async function giveAway(registration: ServiceWorkerRegistration, on: ReadonlySet<Sender>): Promise<void> {
    const mine = loads;
    loads = [];
    if (mine.length === 0) return;
    if (on.has('page')) {
      away = true;
      worker.end();
    }
    await handOver(registration, mine);
  }

  const errand = (run: () => Promise<void>) => (): void => {
    // The database was closed under us: the next one finds it open, or the page is loaded anew.
    run().catch(() => {});
  };

  // ---- reasons -------------------------------------------------------------------------------------------------------

  let gathering = false;
  const soon = (): void => {
    if (gathering) return;
    gathering = true;
    setTimeout(
      errand(async () => {
        gathering = false;
        await look(false);
      }),
      GATHER_MS,
    );
  };
  let before = '';
  onChange((stores) => {
    if (stores.includes('uploads') || stores.includes('bytes')) soon();
    if (!stores.includes('device')) return;
    errand(async () => {
      // A network that is back, and a person who signed in, are reasons to try again now.
      const link = await queue.get('device', 'link');
      const who = await session.identity();
      const now = JSON.stringify([
        link?.key === 'link' && link.state,
        who?.me.user_id,
        who?.signed_in,
        who?.me.must_change_password,
      ]);
      if (now !== before) await look(true);
      before = now;
    })();
  });
  setInterval(
    errand(() => look(false, true)),
    LOOK_MS,
  );

  // ---- coming and going ----------------------------------------------------------------------------------------------

  let hiding: ReturnType<typeof setTimeout> | undefined;
  const wake = errand(() => look(true));
  const comeBack = (): void => {
    clearTimeout(hiding);
    away = false;
    wake();
  };
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') return comeBack();
    if (matchMedia('(pointer: coarse)').matches)
      hiding = setTimeout(
        errand(async () => {
          const on = await sendersOn(queue);
          if (!registered || !on.has('fetch') || !canHandOver(registered)) return;
          await getReady();
          await giveAway(registered, on);
        }),
        HIDDEN_MS,
      );
  });
  addEventListener('pageshow', comeBack);
  navigator.serviceWorker?.ready
    .then((registration) => {
      registered = registration;
      inTheirHands = watchHandOvers(registration, async () => queue, Date.now);
      wake();
    })
    .catch(() => {});
  addEventListener('pagehide', () => {
    if (!registered) return;
    // Nothing can be waited for here. Where it comes too late the service worker goes on by itself, as far as it may.
    const mine = loads;
    loads = [];
    if (mine.length > 0) handOver(registered, mine).catch(() => {});
    if (running || mine.length > 0) registered.active?.postMessage({ type: 'drain' });
  });
  keepAwake(queue);
  const expect = errand(async () => {
    if ((await sendersOn(queue)).has('sw')) await standBehind();
  });
  return { wake, expect, standBehind };
}

/** A screen that goes dark takes the page with it: kept on while this device's pages send, and can be seen. */
function keepAwake(queue: QueueDb): void {
  if (!('wakeLock' in navigator)) return;
  let held: WakeLockSentinel | null = null;
  let asking = false;
  const look = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    try {
      const row = await queue.get('device', 'sender');
      const sending = row?.key === 'sender' && row.by === 'page' && row.upload !== null;
      const wanted = sending && document.visibilityState === 'visible';
      if (wanted && (!held || held.released)) held = await navigator.wakeLock.request('screen');
      if (!wanted && held) {
        await held.release();
        held = null;
      }
    } finally {
      asking = false;
    }
  };
  // Refused when the battery is low: then the screen may go dark.
  const errand = (): void => void look().catch(() => {});
  onChange((stores) => {
    if (stores.includes('device')) errand();
  });
  document.addEventListener('visibilitychange', errand);
}
