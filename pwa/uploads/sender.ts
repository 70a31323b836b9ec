// One sender on the whole device: the Web Lock `sender` decides who, the lease row tells the screens what is in hand.
import { type QueueDb, write } from '../db.ts';
import { type DrainDeps, type DrainEnd, drain } from './drain.ts';

export const SENDER_LOCK = 'sender';
/** A lease without a beat for this long belongs to somebody who was killed. */
export const LEASE_STALE_MS = 20_000;
const BEAT_MS = 5_000;

const beat = (queue: QueueDb, upload: string): Promise<void> =>
  write(queue, ['device'], async (tx) => {
    await tx.objectStore('device').put({ key: 'sender', upload, beat: Date.now() });
  });

/** Drains the queue unless somebody else does: then that one will come to what was queued now. */
export async function send(deps: Omit<DrainDeps, 'onUpload'>): Promise<DrainEnd | 'elsewhere'> {
  return navigator.locks.request(SENDER_LOCK, { ifAvailable: true }, async (lock) => {
    if (!lock) return 'elsewhere';
    let inHand: string | null = null;
    const timer = setInterval(() => {
      // A beat that cannot be written will be missed by the reader, which is the point of it.
      if (inHand !== null) beat(deps.queue, inHand).catch(() => {});
    }, BEAT_MS);
    try {
      return await drain({
        ...deps,
        onUpload(id) {
          inHand = id;
          beat(deps.queue, id).catch(() => {});
        },
      });
    } finally {
      clearInterval(timer);
      await write(deps.queue, ['device'], (tx) => tx.objectStore('device').delete('sender'));
    }
  });
}
