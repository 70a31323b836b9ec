// Uploads that a person removed from the queue after the server had heard of them: it is told, once it can be reached and
// their owner is signed in, so that no batch waits for bytes that will never come.
import type { Api } from '../api.ts';
import { type QueueDb, write } from '../db.ts';
import type { Session } from '../session.ts';

/** Words of the server after which there is nothing left to cancel. */
const OVER = new Set([404, 409, 410]);

export async function tellCancelled({
  queue,
  api,
  session,
}: {
  queue: QueueDb;
  api: Api;
  session: Session;
}): Promise<void> {
  const row = await queue.get('device', 'cancelled');
  if (row?.key !== 'cancelled' || row.uploads.length === 0) return;
  const who = await session.access();
  if (who.kind !== 'token') return;
  for (const { upload_id, user_id } of row.uploads) {
    if (user_id !== who.user_id) continue;
    const answer = await session.ask((token) => api.cancelUpload(token, upload_id));
    if (answer.kind === 'unreachable' || (answer.kind === 'refused' && !OVER.has(answer.status))) return;
    await write(queue, ['device'], async (tx) => {
      const now = await tx.objectStore('device').get('cancelled');
      if (now?.key !== 'cancelled') return;
      const uploads = now.uploads.filter((one) => one.upload_id !== upload_id);
      await tx.objectStore('device').put({ key: 'cancelled', uploads });
    });
  }
}
