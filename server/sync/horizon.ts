// How far back the feed can be resumed from: its epoch, which is another one after the database was put back to an earlier
// state, and the floor below which it has forgotten what is gone. Whoever asks from beyond either is told to begin anew [T1].
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import * as v from 'valibot';
import { AuditHead } from '../../shared/protocol/audit.ts';
import type { Database, Tx } from '../adapters/database.ts';
import { headFiles } from '../audit/heads.ts';
import { OFFICE } from '../changes.ts';

export interface Horizon {
  epoch: string;
  /** the smallest number of the office from which all that is gone since is still known */
  floor: number;
}

/** In `settings`. */
const EPOCH = 'feed_epoch';
const FLOOR = 'feed_floor';
/** JSON: which number the office had reached, and when; about one a day. */
const MARKS = 'feed_marks';

const DAY_MS = 86_400_000;
/** A device that was away for longer pulls everything again. */
const KEPT_DAYS = 90;

const newEpoch = () => ({ name: EPOCH, value: randomBytes(4).toString('hex') });

export async function horizonOf(db: Database): Promise<Horizon> {
  const read = async () => {
    const rows = await db.sql.selectFrom('settings').selectAll().where('name', 'in', [EPOCH, FLOOR]).execute();
    const kept = new Map(rows.map(({ name, value }) => [name, value]));
    return { epoch: kept.get(EPOCH) ?? '', floor: Number(kept.get(FLOOR) ?? 0) };
  };
  const kept = await read();
  if (kept.epoch !== '') return kept;
  await db.write((tx) => db.insertNew(tx, 'settings', [newEpoch()]));
  return read();
}

/** Takes a new epoch when the audit log that was signed last is not in the database: it is an older one, and its numbers will be
 *  given again. Before the first signature of this start. @returns whether it did */
export async function beginAnewIfRestored(db: Database, dataDir: string): Promise<boolean> {
  const head = await lastSigned(headFiles(dataDir).heads);
  if (!head) return false;
  const row = await db.sql.selectFrom('audit').select('hash').where('seq', '=', head.seq).executeTakeFirst();
  if (row?.hash === head.hash) return false;
  await db.write((tx) => db.upsert(tx, 'settings', [newEpoch()]));
  return true;
}

/** A line has some 300 bytes; the last one may be cut off. */
const TAIL = 4096;

async function lastSigned(file: string): Promise<AuditHead | null> {
  const opened = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (!opened) return null;
  try {
    const { size } = await opened.stat();
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(TAIL), 0, TAIL, Math.max(0, size - TAIL));
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    // What follows the last line break was never finished.
    const last = lines.at(-2);
    return last ? v.parse(AuditHead, JSON.parse(last)) : null;
  } finally {
    await opened.close();
  }
}

/** Forgets of the office what has been gone for ninety days; to be called every now and then. */
export async function forgetTombstones(db: Database, now = Date.now()): Promise<void> {
  await db.write(async (tx) => {
    const kept = await tx
      .selectFrom('settings')
      .select('value')
      .where('name', '=', MARKS)
      .forUpdate()
      .executeTakeFirst();
    const marks = kept ? (JSON.parse(kept.value) as [at: number, seq: number][]) : [];
    const old = marks.findLast(([at]) => at <= now - KEPT_DAYS * DAY_MS);
    const left = marks.filter(([at]) => at > (old?.[0] ?? 0));
    if ((left.at(-1)?.[0] ?? 0) <= now - DAY_MS) left.push([now, await reached(tx)]);
    await db.upsert(tx, 'settings', [{ name: MARKS, value: JSON.stringify(left) }]);
    if (!old) return;
    const [, floor] = old;
    await db.upsert(tx, 'settings', [{ name: FLOOR, value: String(floor) }]);
    await tx
      .deleteFrom('changes')
      .where('scope', '=', OFFICE)
      .where('entity_type', '=', 'batch')
      .where('seq', '<=', floor)
      .where('entity_id', 'not in', tx.selectFrom('batches').select('batch_id'))
      .execute();
  });
}

async function reached(tx: Tx): Promise<number> {
  const row = await tx.selectFrom('sequences').select('seq').where('scope', '=', OFFICE).executeTakeFirst();
  return row?.seq ?? 0;
}
