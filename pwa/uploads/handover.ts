// Handing what is left of an upload to the browser itself (Background Fetch, Chromium only): it goes on with no page, past
// the limits of a service worker, and after the browser was killed. The browser copies what it is given, so it is given
// all at once and only what there is room for twice. What it sent is learned from the server, never from its answers. It is
// never taken back: Chromium 156 dies (SIGSEGV) when a Background Fetch is aborted while a body is on its way. Where it gets
// nowhere, whoever goes on sends with a higher epoch.
import { CHUNK_PATH, partForm } from '../api.ts';
import type { ServerSide, Upload } from '../db.ts';
import { type AskDeps, dueUploads, openOnServer } from './drain.ts';
import { sendingOrder } from './plan.ts';
import { chunkBytes, chunksFor, totalChunks } from './queue.ts';

/** Background Fetch is not in TypeScript's libraries. https://wicg.github.io/background-fetch/ */
interface BackgroundFetchManager {
  fetch(id: string, requests: Request[], options: { title: string }): Promise<unknown>;
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

/** The uploads that the browser has in hand. */
export async function handedOver(registration: ServiceWorkerRegistration): Promise<ReadonlySet<string>> {
  const ids = (await managerOf(registration)?.getIds()) ?? [];
  return new Set(ids.map((id) => id.split(' ')[0] ?? ''));
}

export const canHandOver = (registration: ServiceWorkerRegistration): boolean => managerOf(registration) !== null;
