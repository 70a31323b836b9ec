// What a process does about uploads when it starts: seal what was whole, and make rows and files agree again.

import { chunkCount } from '../../shared/protocol/upload.ts';
import type { UploadsTable } from '../adapters/database.ts';
import { RequestRefused } from '../problem.ts';
import { verifiedCount } from './ledger.ts';
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
  const rows = await db.sql.selectFrom('uploads').select('upload_id').where('state', '!=', 'deleted').execute();
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
  const whole = (await verifiedCount(db.sql, upload.upload_id)) === chunkCount(upload.size, upload.chunk_size);
  if (whole) await seal(deps, upload);
}
