// The queue as stored: every upload with its chunks, and who sends.
import { type Chunk, type QueueDb, SENDERS, type Sender, type Upload } from '../../db.ts';
import { chunksOf } from '../../uploads/queue.ts';
import { sendersIn } from '../../uploads/sender.ts';
import type { Lease } from './state.ts';

export interface StoredQueue {
  uploads: { upload: Upload; chunks: Chunk[] }[];
  lease: Lease;
  /** senders that were switched off on this device */
  off: Sender[];
}

export async function readQueue(queue: QueueDb): Promise<StoredQueue> {
  const tx = queue.transaction(['uploads', 'chunks', 'device']);
  const row = await tx.objectStore('device').get('sender');
  const link = await tx.objectStore('device').get('link');
  const senders = await tx.objectStore('device').get('senders');
  const all = await tx.objectStore('uploads').getAll();
  const uploads: StoredQueue['uploads'] = [];
  for (const upload of all)
    uploads.push({ upload, chunks: await tx.objectStore('chunks').getAll(chunksOf(upload.id)) });
  // Whoever holds the lease without a line only tries: that is waiting, not sending.
  const offline = link?.key === 'link' && link.state === 'offline';
  uploads.sort((a, b) => b.upload.created_at.localeCompare(a.upload.created_at));
  const on = sendersIn(senders);
  return {
    uploads,
    lease: row?.key === 'sender' && !offline ? row : null,
    off: SENDERS.filter((sender) => !on.has(sender)),
  };
}
