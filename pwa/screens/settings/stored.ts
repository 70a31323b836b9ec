// What this device holds, by kind; what of it may go because the server has it too; and a report for whoever helps.
import { type QueueDb, type UserDb, write } from '../../db.ts';
import { BUDGET, forgetPictures, picturesHere } from '../../media/store.ts';
import { letGo, scopeOf } from '../../sync/feed.ts';
import { language } from '../../ui/language.ts';

export interface StoredHere {
  /** bytes; null where the browser does not say */
  estimate: { usage: number; quota: number } | null;
  unsent: { uploads: number; bytes: number };
  arrived: number;
  batches: number;
  sheets: number;
  /** bytes; `pinned` ones are of batches that are kept offline */
  pictures: { bytes: number; pinned: number; budget: number };
  /** batches that are kept offline */
  offline: { batch: string; name: string; bytes: number }[];
}

async function room(): Promise<StoredHere['estimate']> {
  const said = await navigator.storage?.estimate?.();
  return said?.quota === undefined ? null : { usage: said.usage ?? 0, quota: said.quota };
}

async function offlineHere(user: UserDb): Promise<StoredHere['offline']> {
  const pinned = (await user.getAll('kept')).filter((one) => one.pinned);
  return Promise.all(
    pinned.map(async ({ batch }) => ({
      batch,
      name: (await user.get('batches', batch))?.name ?? batch,
      bytes: (await user.getAllFromIndex('pictures', 'batch', batch)).reduce((sum, { size }) => sum + size, 0),
    })),
  );
}

export async function storedHere(queue: QueueDb, user: UserDb): Promise<StoredHere> {
  const uploads = await queue.getAll('uploads');
  const open = new Set(uploads.filter(({ step }) => step.at !== 'sent').map(({ id }) => id));
  const pictures = await picturesHere(user);
  const chunks = (await queue.getAll('chunks')).filter(({ upload, state }) => open.has(upload) && state === 'staged');
  return {
    estimate: await room(),
    unsent: { uploads: open.size, bytes: chunks.reduce((sum, { size }) => sum + size, 0) },
    arrived: uploads.length - open.size,
    batches: await user.count('details'),
    sheets: await user.count('sheets'),
    pictures: { bytes: pictures.bytes, pinned: pictures.pinned_bytes, budget: BUDGET },
    offline: await offlineHere(user),
  };
}

const KEPT = ['details', 'groups', 'sheets', 'events', 'snapshots', 'cursors', 'wanted'] as const;

/** [U3] Takes away only what the server has as well. @returns bytes that the browser says are free now */
export async function purge(queue: QueueDb, user: UserDb): Promise<number> {
  const before = await room();
  for (const { batch } of await user.getAll('kept')) await letGo(user, scopeOf(batch));
  await forgetPictures(user, null);
  await write(user, [...KEPT], async (tx) => {
    for (const store of KEPT) await tx.objectStore(store).clear();
  });
  await write(queue, ['uploads', 'chunks'], async (tx) => {
    for (const upload of await tx.objectStore('uploads').getAll()) {
      if (upload.step.at !== 'sent') continue;
      await tx.objectStore('uploads').delete(upload.id);
      await tx.objectStore('chunks').delete(IDBKeyRange.bound([upload.id, 0], [upload.id, Number.MAX_SAFE_INTEGER]));
    }
  });
  const after = await room();
  return Math.max(0, (before?.usage ?? 0) - (after?.usage ?? 0));
}

/** States and sizes; no names of people, files or candidates. */
export async function diagnose(queue: QueueDb, user: UserDb): Promise<object> {
  const link = await queue.get('device', 'link');
  const uploads = await queue.getAll('uploads');
  return {
    at: new Date().toISOString(),
    agent: navigator.userAgent,
    language: language.get(),
    stored: { ...(await storedHere(queue, user)), offline: await user.count('keeping') },
    link: link?.key === 'link' ? { state: link.state, since: link.since, last_ok: link.last_ok } : null,
    uploads: uploads.map(({ id, size, created_at, step, server }) => ({
      id,
      size,
      created_at,
      step,
      upload_id: server?.upload_id ?? null,
    })),
    outbox: (await user.getAll('outbox')).map(({ n, made_at, state }) => ({ n, made_at, state })),
    schema: { queue: queue.version, user: user.version },
  };
}
