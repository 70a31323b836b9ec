// A batch's corrections as the shared rules want them.
import type { Role } from '../../shared/protocol/auth.ts';
import type { Correction } from '../../shared/protocol/correction.ts';
import type { Database, Tx } from '../adapters/database.ts';
import { iso } from '../progress/log.ts';

type Reader = Database['sql'] | Tx;

const select = (db: Reader) =>
  db
    .selectFrom('corrections')
    .leftJoin('users', 'users.user_id', 'corrections.user_id')
    .selectAll('corrections')
    .select('username')
    .orderBy('sheet_id')
    .orderBy('rev');
type Row = Awaited<ReturnType<ReturnType<typeof select>['execute']>>[number];

function bySheet(rows: readonly Row[]): Map<number, Correction[]> {
  const found = new Map<number, Correction[]>();
  for (const row of rows) {
    const { batch_id: _, sheet_id, created_at, role, username, ...rest } = row;
    const own = found.get(sheet_id) ?? [];
    own.push({ ...rest, role: role as Role, username: username ?? row.user_id, at: iso(created_at) });
    found.set(sheet_id, own);
  }
  return found;
}

/** By sheet id, oldest first; sheets without any are absent. @param only these sheets; undefined: all of the batch */
export async function correctionsOf(
  db: Reader,
  batch_id: string,
  only?: readonly number[],
): Promise<Map<number, Correction[]>> {
  if (only) return correctionsOfSheets(db, only);
  return bySheet(await select(db).where('batch_id', '=', batch_id).execute());
}

/** The same for sheets of any batches. */
export async function correctionsOfSheets(db: Reader, sheets: readonly number[]): Promise<Map<number, Correction[]>> {
  if (sheets.length === 0) return new Map();
  return bySheet(
    await select(db)
      .where('sheet_id', 'in', [...sheets])
      .execute(),
  );
}
