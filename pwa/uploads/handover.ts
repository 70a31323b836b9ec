// Handing what is left of an upload to the browser itself (Background Fetch, Chromium only): it goes on with no page, past
// the limits of a service worker, and after the browser was killed. The browser copies what it is given, so it is given
// all at once and only what there is room for twice. What it sent is learned from the server, never from its answers. It is
// never taken back while a body may be on its way: Chromium 156 dies (SIGSEGV) of that. Where it gets nowhere, whoever goes
// on sends with a higher epoch.
import { CHUNK_PATH, partForm } from '../api.ts';
import type { QueueDb, ServerSide, Upload } from '../db.ts';
import { type AskDeps, dueUploads, openOnServer } from './drain.ts';
import { sendingOrder } from './plan.ts';
import { chunkBytes, chunksFor, getUpload, totalChunks } from './queue.ts';

/** Background Fetch is not in TypeScript's libraries. https://wicg.github.io/background-fetch/ */
interface BackgroundFetchRegistration {
  /** bytes of the requests that are on their way or have arrived; falls when one is begun again */
  readonly uploaded: number;
  abort(): Promise<boolean>;
}
interface BackgroundFetchManager {
  fetch(id: string, requests: Request[], options: { title: string }): Promise<unknown>;
  get(id: string): Promise<BackgroundFetchRegistration | undefined>;
  getIds(): Promise<string[]>;
}
const managerOf = (registration: ServiceWorkerRegistration): BackgroundFetchManager | null =>
  (registration as ServiceWorkerRegistration & { backgroundFetch?: BackgroundFetchManager }).backgroundFetch ?? null;

/** All that is needed to hand an upload over, read beforehand: while a page goes away nothing can be waited for. */
export interface Load {
  upload: Upload;
  server: ServerSide;
  /** `body`: what the server has not of the chunk, from `offset` on. A Blob is a reference: the bytes stay on the disk. */
  parts: { index: number; sha256: string; offset: number; body: Blob }[];
}

/** What could be handed over now, oldest upload first. `hasRoom`: whether the browser could copy so many bytes. */
export async function prepare(deps: AskDeps, hasRoom: (bytes: number) => Promise<boolean>): Promise<Load[]> {
  const loads: Load[] = [];
  let bytes = 0;
  for (const upload of await dueUploads(deps.queue, deps.now(), true)) {
    if (upload.step.at === 'passing') continue;
    let { server } = upload;
    if (!server) {
      const opened = await openOnServer(deps, upload);
      if (opened.kind !== 'ok') continue;
      server = opened.server;
    }
    const staged = new Map(
      (await chunksFor(deps.queue, upload.id)).filter(({ state }) => state === 'staged').map((c) => [c.index, c]),
    );
    const load: Load = { upload, server, parts: [] };
    for (const index of sendingOrder(upload.size, upload.chunk_size, [])) {
      const chunk = staged.get(index);
      const stored = chunk && (await chunkBytes(deps.queue, upload.id, index));
      if (!chunk || !stored) continue;
      const body = stored.slice(chunk.landed < chunk.size ? chunk.landed : 0);
      bytes += body.size;
      if (!(await hasRoom(bytes))) return load.parts.length > 0 ? [...loads, load] : loads;
      load.parts.push({ index, sha256: chunk.sha256, offset: stored.size - body.size, body });
    }
    if (load.parts.length > 0) loads.push(load);
  }
  return loads;
}

/** Hands over at once, without waiting for anything before the browser has heard of it. Answers how many it took. */
export async function handOver(registration: ServiceWorkerRegistration, loads: readonly Load[]): Promise<number> {
  const manager = managerOf(registration);
  if (!manager) return 0;
  const taken = await Promise.allSettled(
    loads.map(({ upload, server, parts }) => {
      // Between the epoch of whoever sends now and that of whoever looks next (drain.ts).
      const epoch = server.epoch + 1;
      const requests = parts.map(
        ({ index, sha256, offset, body }) =>
          new Request(CHUNK_PATH, {
            method: 'POST',
            headers: { authorization: `Bearer ${server.upload_token}` },
            body: partForm({
              upload_id: server.upload_id,
              chunk_index: index,
              total_chunks: totalChunks(upload),
              offset,
              sha256,
              epoch,
              body,
            }),
          }),
      );
      return manager.fetch(`${upload.id} ${epoch}`, requests, { title: `Sending ${upload.name}` });
    }),
  );
  return taken.filter(({ status }) => status === 'fulfilled').length;
}

/** Of what was prepared some time ago: under the epoch that holds now. A hand-over with one that is past is refused. */
export async function renew(queue: QueueDb, loads: readonly Load[]): Promise<Load[]> {
  const renewed = loads.map(async (load) => ({
    ...load,
    server: (await getUpload(queue, load.upload.id))?.server ?? load.server,
  }));
  return Promise.all(renewed);
}

// ---- what the browser has in hand ----------------------------------------------------------------------------------

/** What it is registered under: the upload, and the epoch it is sent with. */
const parted = (id: string): { upload: string; epoch: number } => {
  const [upload = '', epoch] = id.split(' ');
  return { upload, epoch: Number(epoch) };
};

/** The uploads that the browser has in hand, whether it gets on with them or not. */
export async function handedOver(registration: ServiceWorkerRegistration): Promise<ReadonlySet<string>> {
  const ids = (await managerOf(registration)?.getIds()) ?? [];
  return new Set(ids.map((id) => parted(id).upload));
}

/**
 * The browser begins some seconds after it was asked, and moves bytes from then on as long as the line carries any. Asked by
 * a page that is gone already, it may keep what it was given paused until a person finds it and says "resume".
 */
export const STALLED_MS = 30_000;

/**
 * Looks on at what the browser has in hand: ask again and again.
 * @returns asks which uploads it gets on with: not those that have stood still for `STALLED_MS` although the server could be
 * reached all the while, and not those that somebody has sent since with a higher epoch
 */
export function watchHandOvers(
  registration: ServiceWorkerRegistration,
  queue: () => Promise<QueueDb>,
  now: () => number,
): () => Promise<ReadonlySet<string>> {
  const seen = new Map<string, { uploaded: number; since: number }>();
  return async () => {
    const manager = managerOf(registration);
    const ids = (await manager?.getIds()) ?? [];
    for (const id of seen.keys()) if (!ids.includes(id)) seen.delete(id);
    const gettingOn = new Set<string>();
    for (const id of ids) {
      const uploaded = (await manager?.get(id))?.uploaded;
      if (uploaded === undefined) continue;
      const before = seen.get(id);
      const since = before?.uploaded === uploaded ? before.since : now();
      seen.set(id, { uploaded, since });
      const { upload, epoch } = parted(id);
      const store = await queue();
      const link = await store.get('device', 'link');
      const carries = link?.key === 'link' && link.state === 'online';
      const stalled = carries && now() - Math.max(since, link.since) >= STALLED_MS;
      const past = epoch < ((await getUpload(store, upload))?.server?.epoch ?? 0);
      if (!stalled && !past) gettingOn.add(upload);
    }
    return gettingOn;
  };
}

/** Takes back what the browser never began and what has been sent without it: its copies take room on the device. */
export async function takeBackUnbegun(registration: ServiceWorkerRegistration, queue: QueueDb): Promise<void> {
  const manager = managerOf(registration);
  for (const id of (await manager?.getIds()) ?? []) {
    const upload = await getUpload(queue, parted(id).upload);
    if (upload && upload.step.at !== 'sent') continue;
    const held = await manager?.get(id);
    if (held?.uploaded === 0) await held.abort();
  }
}

export const canHandOver = (registration: ServiceWorkerRegistration): boolean => managerOf(registration) !== null;
