// The queue as stored: every upload with its chunks, and who sends.
import { type Chunk, type QueueDb, SENDERS, type Sender, type Upload } from '../../db.ts';
import { allUploads, chunksFor } from '../../uploads/queue.ts';
import { sendersOn } from '../../uploads/sender.ts';
import type { Lease } from './state.ts';

export interface StoredQueue {
  uploads: { upload: Upload; chunks: Chunk[] }[];
  lease: Lease;
  /** senders that were switched off on this device */
  off: Sender[];
}

export async function readQueue(queue: QueueDb): Promise<StoredQueue> {
  const row = await queue.get('device', 'sender');
  const link = await queue.get('device', 'link');
  const uploads = await Promise.all(
    (await allUploads(queue)).map(async (upload) => ({ upload, chunks: await chunksFor(queue, upload.id) })),
  );
  // Whoever holds the lease without a line only tries: that is waiting, not sending.
  const offline = link?.key === 'link' && link.state === 'offline';
  uploads.sort((a, b) => b.upload.created_at.localeCompare(a.upload.created_at));
  const on = await sendersOn(queue);
  return {
    uploads,
    lease: row?.key === 'sender' && !offline ? row : null,
    off: SENDERS.filter((sender) => !on.has(sender)),
  };
}
