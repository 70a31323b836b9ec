// What is done about uploads apart from requests: at the start rows and files are made to agree again; what is whole is
// sealed then, and whenever its own time was missed; once an hour what nobody sends any more is given up.

import { chunkCount, chunkLength } from '../../shared/protocol/upload.ts';
import type { UploadsTable } from '../adapters/database.ts';
import { forgetPages } from '../batches/bin.ts';
import { RequestRefused } from '../problem.ts';
import { EXPIRY_DAYS, unverify, verifiedCount } from './ledger.ts';
import { type SealDeps, seal } from './seal.ts';

export async function recoverUploads(deps: SealDeps, report: (error: unknown) => void): Promise<void> {
  const { db, blobs } = deps;
  const open = await db.sql.selectFrom('uploads').selectAll().where('state', '=', 'open').execute();
  for (const upload of open) {
    try {
      await recoverOne(deps, upload);
    } catch (error) {
      // A file that cannot be read as an archive is a rejected upload, and its log says so.
      if (!(error instanceof RequestRefused)) report(error);
    }
  }
  const rows = await db.sql
    .selectFrom('uploads')
    .select('upload_id')
    .where('state', 'not in', ['deleted', 'expired'])
    .execute();
  const known = new Set(rows.map((row) => row.upload_id));
  const listed = await blobs.list();
  for (const id of listed) {
    // Another process may be opening one this very moment: its row comes right after its file.
    if (!known.has(id) && (await blobs.age(id)) > ORPHAN_MS) await blobs.remove(id);
  }
}
/** A file without a row is what a purge or a broken one-request upload left. */
const ORPHAN_MS = 3_600_000;

async function recoverOne(deps: SealDeps, upload: UploadsTable): Promise<void> {
  const { db, blobs } = deps;
  if ((await blobs.size(upload.upload_id)) !== upload.size) {
    // The file is gone or short: what the ledger says it holds is not there, so the sender is asked for it again.
    await blobs.create(upload.upload_id, upload.size);
    await db.write((tx) => tx.deleteFrom('chunks').where('upload_id', '=', upload.upload_id).execute());
    return;
  }
  await recheckNewest(deps, upload);
  await sealWhole(deps, upload);
}

async function sealWhole(deps: SealDeps, upload: UploadsTable): Promise<void> {
  const verified = await verifiedCount(deps.db.sql, upload.upload_id);
  if (verified === chunkCount(upload.size, upload.chunk_size)) await seal(deps, upload);
}

/** Whoever brought the last chunk seals at once; after this they are taken to have failed. */
const OVERDUE_MS = 30_000;

/** Seals what is whole and is not sealed although nothing moves any more: the database was away when its time had come. */
export async function sealOverdue(
  deps: SealDeps,
  report: (error: unknown) => void,
  now: number = Date.now(),
): Promise<void> {
  const still = await deps.db.sql
    .selectFrom('uploads')
    .selectAll()
    .where('state', '=', 'open')
    .where('last_byte_at', '<', now - OVERDUE_MS)
    .execute();
  for (const upload of still)
    await sealWhole(deps, upload).catch((error: unknown) => {
      if (!(error instanceof RequestRefused)) report(error);
    });
}

/** A disk that says "synced" before it is may lose what came last in a power cut. */
const DOUBTED_MS = 60_000;

/** Hashes the chunks again that were verified last; one that is not what the ledger says is asked for again. */
async function recheckNewest({ db, blobs }: SealDeps, upload: UploadsTable): Promise<void> {
  const verified = db.sql
    .selectFrom('chunks')
    .where('upload_id', '=', upload.upload_id)
    .where('state', '=', 'verified');
  const newest = await verified.select((eb) => eb.fn.max('verified_at').as('at')).executeTakeFirst();
  if (!newest?.at) return;
  const chunks = await verified
    .select(['chunk_index', 'sha256'])
    .where('verified_at', '>=', Number(newest.at) - DOUBTED_MS)
    .execute();
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    for (const { chunk_index, sha256 } of chunks) {
      const start = chunk_index * upload.chunk_size;
      const end = start + chunkLength(upload.size, upload.chunk_size, chunk_index);
      if ((await file.sha256(start, end)) === sha256) continue;
      await db.write((tx) => unverify(tx, upload.upload_id, chunk_index));
    }
  } finally {
    await file.close();
  }
}

/** Gives up uploads on which nothing has moved for {@link EXPIRY_DAYS}: their bytes and what was read of them go, a row
 *  stays that tells their sender to begin again. */
export async function expireUploads(
  { db, blobs }: Pick<SealDeps, 'db' | 'blobs'>,
  now: number = Date.now(),
): Promise<number> {
  const before = now - EXPIRY_DAYS * 86_400_000;
  const stale = await db.sql
    .selectFrom('uploads')
    .select(['upload_id', 'batch_id'])
    .where('state', '=', 'open')
    .where((eb) => eb(eb.fn.coalesce('last_byte_at', 'created_at'), '<', before))
    .execute();
  let expired = 0;
  for (const { upload_id, batch_id } of stale) {
    const given = await db.write(async (tx) => {
      // A sender may have come back since: what moves, or is sealed, stays.
      const done = await tx
        .updateTable('uploads')
        .set({ state: 'expired', sealing_at: null })
        .where('upload_id', '=', upload_id)
        .where('state', '=', 'open')
        .where((eb) => eb(eb.fn.coalesce('last_byte_at', 'created_at'), '<', before))
        .executeTakeFirst();
      if (done.numUpdatedRows !== 1n) return false;
      await tx.deleteFrom('chunks').where('upload_id', '=', upload_id).execute();
      await forgetPages(tx, batch_id);
      const message = `Nothing has arrived for ${EXPIRY_DAYS} days; waiting for its sender to begin again`;
      await tx.updateTable('batches').set({ status: 'cancelled', message }).where('batch_id', '=', batch_id).execute();
      // Before the commit: whoever opens it again right after makes a new file.
      await blobs.remove(upload_id);
      return true;
    });
    if (given) expired++;
  }
  return expired;
}
