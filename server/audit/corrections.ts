// A correction and its entry in the audit log, appended together. The entry holds the hash of the row, so that a row that
// is changed afterwards shows.
import type { CorrectionsTable, Database, Tx } from '../adapters/database.ts';
import { audit, contentHash } from '../audit.ts';

export function correctionHash(row: CorrectionsTable): string {
  const { correction_id, batch_id, sheet_id, field, value, previous, reason, user_id, role, client_id } = row;
  const { base_rev, rev, created_at } = row;
  return contentHash(
    JSON.stringify([
      correction_id,
      batch_id,
      sheet_id,
      field,
      value,
      previous,
      reason,
      user_id,
      role,
      client_id,
      base_rev,
      rev,
      created_at,
    ]),
  );
}

/** Appends a correction that is not there yet; false when it is. */
export async function appendCorrection(
  db: Database,
  tx: Tx,
  row: CorrectionsTable,
  device: string | null,
): Promise<boolean> {
  if ((await db.insertNew(tx, 'corrections', [row])) === 0) return false;
  const { batch_id, sheet_id, field, value, previous, reason } = row;
  await audit(db, tx, {
    user_id: row.user_id,
    device,
    action: 'correction.append',
    subject: `correction:${row.correction_id}`,
    before: { batch_id, sheet_id, field, value: previous },
    after: { value, reason, content_sha256: correctionHash(row) },
  });
  return true;
}
