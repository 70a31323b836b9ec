// The page's worker for uploads: it copies a picked file into the queue, and it is the page's sender. Hashing 50 MB at a
// time must not make the page stutter, and a page in the background must not slow the sending.
import { expose } from 'comlink';
import { createApi } from '../api.ts';
import { onChange, openQueue } from '../db.ts';
import { createSession, webLock } from '../session.ts';
import { createLink } from '../sync/link.ts';
import { createNap } from '../sync/nap.ts';
import type { DrainEnd } from '../uploads/drain.ts';
import { probeKeeping } from '../uploads/queue.ts';
import { hasRoom } from '../uploads/room.ts';
import { send } from '../uploads/sender.ts';
import { type Staged, stage } from '../uploads/stage.ts';
import { xhrSend } from '../uploads/xhr.ts';

/** Freed bytes are told by the one who frees them; an announcement may be missed. */
const FREED_MS = 5_000;

/** A stored chunk keeps its room as long as a Blob of it is remembered. Those that were read back here are forgotten when V8
 *  sweeps, and it does so when large buffers come and go: bytes that nobody writes to cost nothing. */
function sweep(): void {
  for (let i = 0; i < 8; i++) new ArrayBuffer(64 * 2 ** 20);
}

const freed = (): Promise<void> =>
  new Promise((resolve) => {
    sweep();
    const end = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(end, FREED_MS);
    const stop = onChange((stores) => {
      if (stores.includes('bytes')) end();
    });
  });

/** Network Information is not in TypeScript's WebWorker library, and not in every browser. */
const downlinkMbps = (navigator as WorkerNavigator & { connection?: { downlink?: number } }).connection?.downlink;

const uploads = {
  async stage(id: string, files: File[]): Promise<Staged> {
    const queue = await openQueue();
    try {
      return await stage(queue, id, files, { keeping: await probeKeeping(queue), hasRoom, freed });
    } finally {
      queue.close();
    }
  },

  hasRoom,

  /** Sends as the page's sender, behind whoever sends now. `origin`: the page's, which a worker made from a Blob has not.
   *  `theirs`: uploads that the browser has in hand, of which only what arrived is looked at. */
  async send(origin: string, wake: boolean, theirs: readonly string[]): Promise<DrainEnd | 'elsewhere'> {
    const queue = await openQueue();
    try {
      const api = createApi({ heard: createLink(queue).heard, origin, send: xhrSend });
      const session = createSession({ queue, api, exclusively: webLock, now: () => performance.now() });
      return await send({
        queue,
        api,
        session,
        now: Date.now,
        random: Math.random,
        sleep: createNap().sleep,
        // Whoever wants it to end ends this worker.
        signal: new AbortController().signal,
        deadline: Infinity,
        wake,
        by: 'page',
        turn: 'wait',
        direct: async (upload) => (theirs.includes(upload) ? 'next' : 'go'),
        ...(downlinkMbps === undefined ? {} : { downlinkMbps }),
      });
    } finally {
      queue.close();
    }
  },
};
export type UploadsWorker = typeof uploads;
expose(uploads);
