// A tablet without a browser: the app's own queue, session and sender over IndexedDB in memory, that can be killed at any
// of its reads, writes and requests, and started again with what it had stored.
import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { randomUUID } from 'node:crypto';
import { createApi } from '../../pwa/api.ts';
import { closeChannel, openQueue, type QueueDb, type Step } from '../../pwa/db.ts';
import { createSession, type Session } from '../../pwa/session.ts';
import { type DrainEnd, drain } from '../../pwa/uploads/drain.ts';
import { enqueue, getUpload } from '../../pwa/uploads/queue.ts';
import { stage } from '../../pwa/uploads/stage.ts';
import type { UploadType } from '../../shared/protocol/upload.ts';

export interface Source {
  id: string;
  name: string;
  upload_type: UploadType;
  task_id: string | null;
  chunk_size: number;
  bytes: Buffer;
}

export interface TabletDeps {
  /** `path` as the app asks for it; cookies are the tablet's own business */
  fetch: (path: string, init: RequestInit, cookie: string | null) => Promise<Response>;
  /** what the tablet takes for the time, ms since 1970 */
  now: () => number;
  /** ms, never jumps */
  elapsed: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  random: () => number;
}

export interface Tablet {
  queue: QueueDb;
  signIn(username: string, password: string): Promise<boolean>;
  /** Copies the file to the device, or what of it is missing there. */
  keep(source: Source): Promise<void>;
  stepOf(id: string): Promise<Step | undefined>;
  /** indexes of the chunks whose bytes are on the device */
  stored(id: string): Promise<Set<number>>;
  /** One run of the sender, `ms` long at most. */
  send(ms: number): Promise<DrainEnd | 'killed'>;
  /** Kills it at the read, write or request that is so many away. */
  killAt(operations: number): void;
  close(): void;
}

/** How long one run of the sender lasts, as in a sync event. */
export const RUN_MS = 150_000;

class Killed extends Error {
  override readonly name = 'Killed';
}
const never = <T>(): Promise<T> => new Promise(() => undefined);

/** One life of the app: from its start until it is killed. */
interface Life {
  alive: boolean;
  killed: Promise<void>;
  kill(): void;
}
function newLife(): Life {
  let ended = (): void => undefined;
  const killed = new Promise<void>((resolve) => {
    ended = resolve;
  });
  return {
    alive: true,
    killed,
    kill() {
      this.alive = false;
      ended();
    },
  };
}

/** A tablet that has nothing stored yet. */
export async function createTablet(deps: TabletDeps): Promise<Tablet> {
  globalThis.indexedDB = new IDBFactory();
  const queue = await openQueue();
  let cookie: string | null = null;
  let left = Number.POSITIVE_INFINITY;
  let life = newLife();

  const operation = (mine: Life): void => {
    if (mine.alive && left-- <= 0) {
      left = Number.POSITIVE_INFINITY;
      mine.kill();
    }
  };
  /** The queue as one life sees it: after its end nothing can be read or written through it. */
  const mortal = (mine: Life): QueueDb =>
    new Proxy(queue, {
      get(db, key) {
        const value: unknown = Reflect.get(db, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          operation(mine);
          if (!mine.alive) throw new Killed();
          return Reflect.apply(value, db, args);
        };
      },
    });
  const fetchAs =
    (mine: Life): typeof fetch =>
    async (input, init = {}) => {
      operation(mine);
      if (!mine.alive) return never();
      const path = String(input);
      const answer = await deps.fetch(path, init, path.startsWith('/api/auth') ? cookie : null);
      const set = answer.headers.getSetCookie()[0];
      if (set !== undefined) cookie = set.split(';')[0] ?? null;
      operation(mine);
      return mine.alive ? answer : never();
    };
  const open = (mine: Life) => {
    const api = createApi({ fetch: fetchAs(mine) });
    const session: Session = createSession({
      queue: mortal(mine),
      api,
      exclusively: (_, work) => work(),
      now: deps.elapsed,
    });
    return { api, session };
  };
  const started = (): Life => {
    if (!life.alive) life = newLife();
    return life;
  };

  return {
    queue,
    async signIn(username, password) {
      const answer = await open(newLife()).session.signIn(username, password);
      return answer.kind === 'ok';
    },
    async keep({ bytes, ...source }) {
      const files = [{ name: source.name, size: bytes.length }];
      await enqueue(queue, {
        ...source,
        owner: await owner(queue),
        files,
        size: bytes.length,
        created_at: new Date(deps.now()).toISOString(),
      });
      const staged = await stage(queue, source.id, [new File([new Uint8Array(bytes)], source.name)]);
      if (staged.kind !== 'staged') throw new Error(`${source.name} was not copied: ${staged.kind}`);
    },
    stepOf: async (id) => (await getUpload(queue, id))?.step,
    async stored(id) {
      const keys = await queue.getAllKeys('bytes', IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]));
      return new Set(keys.map(([, index]) => index));
    },
    async send(ms) {
      const mine = started();
      const work = drain({
        queue: mortal(mine),
        ...open(mine),
        now: deps.now,
        random: deps.random,
        sleep: deps.sleep,
        signal: new AbortController().signal,
        deadline: deps.now() + ms,
        wake: true,
      });
      work.catch(() => undefined); // looked at below
      const ended = await Promise.race([
        mine.killed.then(() => 'killed' as const),
        work.catch((error: unknown) => error),
      ]);
      if (ended instanceof Killed || !mine.alive) return 'killed';
      if (typeof ended !== 'string') throw ended;
      return ended as DrainEnd;
    },
    killAt(operations) {
      left = operations;
    },
    close() {
      life.kill();
      queue.close();
      closeChannel();
    },
  };
}

async function owner(queue: QueueDb): Promise<{ user_id: string; username: string }> {
  const row = await queue.get('device', 'identity');
  if (row?.key !== 'identity') throw new Error('nobody has signed in on this tablet');
  return { user_id: row.me.user_id, username: row.me.username };
}

export const newId = (): string => randomUUID();
