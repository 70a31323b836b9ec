// Walks the audit log from its first row to its last: every row must fit its hash and the row before it, none may be
// missing, and every head that was ever signed must still be true.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { AuditHead } from '../../shared/protocol/audit.ts';
import type { AuditTable, Database } from '../adapters/database.ts';
import { auditHash } from '../audit.ts';
import { iso } from '../progress/log.ts';
import type { Fault } from './fault.ts';
import { headFiles, isSigned, newestHead, publicKeyOf } from './heads.ts';

export interface ChainReport {
  rows: number;
  heads: number;
  /** the newest head whose signature is right */
  newest: AuditHead | null;
  /** rows after it; while Sheaf runs they are signed within a second */
  unsigned: number;
  publicKey: string;
  faults: Fault[];
}

const ROWS_AT_ONCE = 1000;

async function* auditRows(db: Database): AsyncGenerator<AuditTable> {
  for (let after = 0; ; ) {
    const rows = await db.sql
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(ROWS_AT_ONCE)
      .execute();
    yield* rows;
    const last = rows.at(-1);
    if (!last) return;
    after = last.seq;
  }
}

const parseHead = (line: string): AuditHead | null => {
  try {
    return v.parse(AuditHead, JSON.parse(line));
  } catch {
    return null;
  }
};

/** The lines of the file of heads; null when there is none. */
async function headLines(file: string): Promise<string[] | null> {
  const lines: string[] = [];
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) lines.push(line);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return lines;
}

function publicKeyFrom(pem: string): KeyObject | null {
  try {
    return createPublicKey(pem);
  } catch {
    return null;
  }
}

export async function checkChain(db: Database, dataDir: string): Promise<ChainReport> {
  const files = headFiles(dataDir);
  const faults: Fault[] = [];
  // Heads before rows: what is signed while this runs is not expected of the rows that were read before it.
  const kept = await newestHead(db);
  const lines = await headLines(files.heads);
  const inDatabase = await publicKeyOf(db);
  const onDisk = await readFile(files.publicKey, 'utf8').catch(() => '');
  if (inDatabase === '' || onDisk !== inDatabase)
    faults.push({ place: 'audit key', what: `the database and ${files.publicKey} have different public keys` });
  const key = publicKeyFrom(onDisk || inDatabase);

  const heads: AuditHead[] = [];
  for (const [i, line] of (lines ?? []).entries()) {
    const head = parseHead(line);
    // A last line without its end is a process that was killed in it: that head was told to nobody.
    if (!head && i === (lines?.length ?? 0) - 1) continue;
    if (!head || !key || !isSigned(head, key))
      faults.push({ place: `line ${i + 1} of ${files.heads}`, what: 'this is no head that the server has signed' });
    else heads.push(head);
  }
  if (kept && !heads.some((head) => head.seq === kept.seq && head.hash === kept.hash))
    faults.push({
      place: files.heads,
      what: `the head of audit row ${kept.seq}, signed ${kept.at}, is missing: lines were taken out of it, or all of it`,
    });
  if (kept && key && !isSigned(kept, key))
    faults.push({ place: 'the head in the database', what: `its signature for audit row ${kept.seq} is wrong` });

  const signed = new Map<number, AuditHead[]>();
  for (const head of heads) signed.set(head.seq, [...(signed.get(head.seq) ?? []), head]);
  let [rows, previous, hash] = [0, 0, ''];
  const gap = (from: number, to: number): void => {
    const which = from === to ? `audit row ${from}` : `audit rows ${from} to ${to}`;
    faults.push({ place: which, what: from === to ? 'it is missing' : 'they are missing' });
  };
  for await (const row of auditRows(db)) {
    const place = `audit row ${row.seq} (${row.action} ${row.subject}, ${iso(row.at)})`;
    if (row.seq !== previous + 1) gap(previous + 1, row.seq - 1);
    else if (row.previous_hash !== hash)
      faults.push({ place, what: `it does not follow from row ${previous}: one of the two was replaced` });
    if (auditHash(row) !== row.hash) faults.push({ place, what: 'it was changed: its content does not fit its hash' });
    for (const head of signed.get(row.seq) ?? []) {
      if (head.hash === row.hash) continue;
      faults.push({ place, what: `it is not the row that was signed ${head.at}` });
      break;
    }
    rows += 1;
    previous = row.seq;
    hash = row.hash;
  }
  const last = heads.reduce<AuditHead | null>(
    (newest, head) => (newest && newest.seq > head.seq ? newest : head),
    null,
  );
  if (last && last.seq > previous) {
    gap(previous + 1, last.seq);
    faults.push({ place: 'the end of the audit log', what: `row ${last.seq} was there and signed ${last.at}` });
  } else {
    const given = await db.sql.selectFrom('sequences').select('seq').where('scope', '=', 'audit').executeTakeFirst();
    // Rows that were appended meanwhile have their numbers too.
    const { n } = await db.sql
      .selectFrom('audit')
      .select((eb) => eb.fn.max('seq').as('n'))
      .executeTakeFirstOrThrow();
    if (given && given.seq > Math.max(previous, Number(n ?? 0))) gap(Math.max(previous, Number(n ?? 0)) + 1, given.seq);
  }
  if (rows > 0 && heads.length === 0)
    faults.push({ place: files.heads, what: 'there is no signed head, so rows at the end may be missing' });
  return {
    rows,
    heads: heads.length,
    newest: last,
    unsigned: last ? Math.max(0, previous - last.seq) : rows,
    publicKey: inDatabase,
    faults,
  };
}
