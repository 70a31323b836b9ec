// Opening an upload: once for each (user, client_upload_id), however often and from however many tabs it is asked for.
import { createHmac, randomUUID } from 'node:crypto';
import type { Database, Tx, UploadsTable } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { User } from '../auth/sessions.ts';
import type { Config } from '../config.ts';
import { refuse } from '../problem.ts';
import type { Blobs } from './blobs.ts';
import { checkNewUpload, DISK_FLOOR, insertUpload, type NewUpload } from './ledger.ts';

export interface OpenDeps {
  db: Database;
  blobs: Blobs;
  secret: Uint8Array;
  quota: Config['quota'];
}

/** An upload's own token, worked out from its id, so that a lost answer can be given again; only its hash is stored. */
export const uploadToken = (secret: Uint8Array, uploadId: string): string =>
  createHmac('sha256', secret).update(`upload:${uploadId}`).digest('base64url');

async function findOpened(db: Database, user: User, upload: NewUpload): Promise<UploadsTable | undefined> {
  const found = await db.sql
    .selectFrom('uploads')
    .selectAll()
    .where('owner', '=', user.user_id)
    .where('client_upload_id', '=', upload.client_upload_id)
    .executeTakeFirst();
  if (!found) return undefined;
  if (found.state === 'deleted') {
    refuse('UPLOAD_GONE', `Upload ${found.upload_id} was deleted. Queue the file again under a new client_upload_id.`);
  }
  const differs = (['size', 'chunk_size', 'upload_type'] as const).filter((field) => found[field] !== upload[field]);
  if (differs.length > 0) {
    refuse(
      'UPLOAD_MISMATCH',
      `client_upload_id ${upload.client_upload_id} was opened for ${found.name} with another ${differs.join(' and ')}. Use a new client_upload_id for another file.`,
    );
  }
  return found;
}

/** Bytes promised to uploads that have not all arrived. */
async function reserved(tx: Tx): Promise<number> {
  const promised = await tx
    .selectFrom('uploads')
    .select((eb) => eb.fn.sum<number>('size').as('n'))
    .where('state', '=', 'open')
    .executeTakeFirst();
  const landed = await tx
    .selectFrom('chunks')
    .innerJoin('uploads', 'uploads.upload_id', 'chunks.upload_id')
    .select((eb) => eb.fn.sum<number>('landed').as('n'))
    .where('uploads.state', '=', 'open')
    .executeTakeFirst();
  return Number(promised?.n ?? 0) - Number(landed?.n ?? 0);
}

/** Refuses what would go over a quota: the bytes of all uploads that are kept, this one with them. */
async function checkQuota(tx: Tx, quota: OpenDeps['quota'], user: User, upload: NewUpload): Promise<void> {
  const kept = tx
    .selectFrom('uploads')
    .innerJoin('batches', 'batches.batch_id', 'uploads.batch_id')
    .select((eb) => eb.fn.sum<number>('uploads.size').as('n'))
    .where('state', 'in', ['open', 'sealed', 'rejected']);
  const check = async (who: string, limit: number | null, query: typeof kept): Promise<void> => {
    if (limit === null) return;
    const used = Number((await query.executeTakeFirst())?.n ?? 0);
    if (used + upload.size <= limit) return;
    refuse(
      'QUOTA_EXCEEDED',
      `${upload.name} has ${upload.size} bytes, and ${who} may keep ${Math.max(0, limit - used)} more. Keep it queued; an admin can purge old batches or raise the quota.`,
      { retryAfter: 300 },
    );
  };
  await check(user.username, quota.user, kept.where('owner', '=', user.user_id));
  const centre = user.centres[0];
  if (centre) await check(`centre ${centre}`, quota.centre, kept.where('batches.centre_id', '=', centre));
}

/** Refuses what there is no room for. Those who open at the same time are asked one after the other, up to their commit,
 *  so that the last room is not promised twice. */
async function checkRoom({ db, blobs, quota }: OpenDeps, tx: Tx, user: User, upload: NewUpload): Promise<void> {
  await db.nextSeq(tx, 'uploads_opened');
  await checkQuota(tx, quota, user, upload);
  const room = (await blobs.free()) - (await reserved(tx)) - DISK_FLOOR;
  if (room >= upload.size) return;
  refuse(
    'DISK_FULL',
    `${upload.name} has ${upload.size} bytes, and the server has room for ${Math.max(0, room)}. Keep it queued; an admin has to make room.`,
    { retryAfter: 300 },
  );
}

/** Brings an expired upload back, empty: its sender still has the bytes. */
async function revive(deps: OpenDeps, user: User, upload: UploadsTable, asked: NewUpload): Promise<void> {
  await deps.db.write(async (tx) => {
    const { state } = await tx
      .selectFrom('uploads')
      .select('state')
      .where('upload_id', '=', upload.upload_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    // Another request was first, and bytes may lie in the file already.
    if (state !== 'expired') return;
    await checkRoom(deps, tx, user, asked);
    // Made before the row says that it is there.
    await deps.blobs.create(upload.upload_id, upload.size);
    await tx
      .updateTable('uploads')
      .set({ state: 'open', last_byte_at: Date.now() })
      .where('upload_id', '=', upload.upload_id)
      .where('state', '=', 'expired')
      .execute();
    await tx
      .updateTable('batches')
      .set({ status: 'uploading', message: 'Waiting for the first byte' })
      .where('batch_id', '=', upload.batch_id)
      .where('status', '=', 'cancelled')
      .execute();
  });
}

/** Opens the upload, or finds it as it was opened before. */
export async function openUpload(
  deps: OpenDeps,
  user: User,
  upload: NewUpload,
): Promise<{ upload: UploadsTable; created: boolean }> {
  const { db, blobs, secret } = deps;
  checkNewUpload(upload);
  const known = await findOpened(db, user, upload);
  if (known && known.state !== 'expired') return { upload: known, created: false };
  if (known) {
    await revive(deps, user, known, upload);
    return { upload: { ...known, state: 'open' }, created: false };
  }
  const upload_id = randomUUID();
  const batch_id = randomUUID();
  await blobs.create(upload_id, upload.size);
  try {
    await db.write(async (tx) => {
      await checkRoom(deps, tx, user, upload);
      await insertUpload(db, tx, user, upload, { upload_id, batch_id, token: uploadToken(secret, upload_id) });
      await audit(db, tx, {
        ...by(user),
        action: 'upload.open',
        subject: `batch:${batch_id}`,
        after: {
          name: upload.name,
          size: upload.size,
          ...(upload.grouping?.length ? { grouping: upload.grouping } : {}),
        },
      });
    });
  } catch (error) {
    await blobs.remove(upload_id);
    // Two requests at once: the other one's row was first, by the unique key on (owner, client_upload_id).
    const other = await findOpened(db, user, upload);
    if (other) return { upload: other, created: false };
    throw error;
  }
  const row = await db.sql
    .selectFrom('uploads')
    .selectAll()
    .where('upload_id', '=', upload_id)
    .executeTakeFirstOrThrow();
  return { upload: row, created: true };
}
