// The head of the audit log under the server's signature. Rows chain to one another; whoever can write to the database
// could still cut the newest ones off. So the head (number and hash of the newest row) is signed every second and also
// written to a file in the data folder that only grows: every line of it must stay true of the database.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { AuditHead } from '../../shared/protocol/audit.ts';
import type { Database } from '../adapters/database.ts';

/** In `settings`: the public key (PEM), and the newest head (JSON). */
export const PUBLIC_KEY = 'audit_public_key';
export const NEWEST_HEAD = 'audit_head';

const SIGN_EVERY_MS = 1000;

export interface HeadFiles {
  /** PKCS #8, PEM; readable by its owner alone */
  privateKey: string;
  /** SPKI, PEM */
  publicKey: string;
  /** one AuditHead a line */
  heads: string;
}

export function headFiles(dataDir: string): HeadFiles {
  const at = (name: string): string => path.join(dataDir, 'audit', name);
  return { privateKey: at('private-key.pem'), publicKey: at('public-key.pem'), heads: at('heads.jsonl') };
}

const signedText = ({ seq, hash, at }: Omit<AuditHead, 'signature'>): Buffer =>
  Buffer.from(`sheaf-audit-head\n${seq}\n${hash}\n${at}`);

export const isSigned = (head: AuditHead, publicKey: KeyObject): boolean =>
  verify(null, signedText(head), publicKey, Buffer.from(head.signature, 'base64'));

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The signing key, made at the first start. Of several processes that start at once, one makes it. */
async function privateKey(files: HeadFiles): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(files.privateKey, 'utf8'));
  } catch (error) {
    if (!isMissing(error)) throw new Error(`The audit key ${files.privateKey} cannot be read`, { cause: error });
  }
  await mkdir(path.dirname(files.privateKey), { recursive: true, mode: 0o700 });
  const { privateKey: made } = generateKeyPairSync('ed25519');
  const part = `${files.privateKey}.${process.pid}`;
  await writeFile(part, made.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flush: true });
  try {
    // A link fails where a rename would replace what another process has just made.
    await link(part, files.privateKey);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(part, { force: true });
  }
  return createPrivateKey(await readFile(files.privateKey, 'utf8'));
}

export interface HeadSigner {
  /** SPKI, PEM */
  publicKey: string;
  /** Signs the newest row, when it has not been signed yet. */
  sign(): Promise<void>;
  /** Signs what is new and ends. */
  stop(): Promise<void>;
}

export async function signHeads(db: Database, dataDir: string, report: (error: unknown) => void): Promise<HeadSigner> {
  const files = headFiles(dataDir);
  const key = await privateKey(files);
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  await writeFile(files.publicKey, publicKey);
  await db.write(async (tx) => {
    await db.insertNew(tx, 'settings', [{ name: PUBLIC_KEY, value: publicKey }]);
  });

  const known = await publicKeyOf(db);
  if (known !== publicKey) {
    report(
      new Error(
        `The audit log is not signed: ${files.privateKey} is not the key that the database knows. Bring back the folder audit/ that belongs to it; every API process needs the same one.`,
      ),
    );
    return { publicKey: known, sign: async () => undefined, stop: async () => undefined };
  }
  let signed = await newestHead(db);
  async function signNewest(): Promise<void> {
    const newest = await db.sql
      .selectFrom('audit')
      .select(['seq', 'hash'])
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!newest || (signed && signed.seq === newest.seq && signed.hash === newest.hash)) return;
    const unsigned = { ...newest, at: new Date().toISOString() };
    const head: AuditHead = { ...unsigned, signature: sign(null, signedText(unsigned), key).toString('base64') };
    // The file first: a head that only the database knew could be cut off with the rows it stands for.
    const file = await open(files.heads, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    try {
      await file.write(`${JSON.stringify(head)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    await db.write((tx) => db.upsert(tx, 'settings', [{ name: NEWEST_HEAD, value: JSON.stringify(head) }]));
    signed = head;
  }

  let running: Promise<void> = Promise.resolve();
  const next = (): Promise<void> => {
    running = running.then(signNewest).catch(report);
    return running;
  };
  await next();
  const timer = setInterval(() => void next(), SIGN_EVERY_MS);
  timer.unref();
  return {
    publicKey,
    sign: next,
    async stop() {
      clearInterval(timer);
      await next();
    },
  };
}

/** The newest head as the database keeps it; null before the first. */
export async function newestHead(db: Database): Promise<AuditHead | null> {
  const row = await db.sql.selectFrom('settings').select('value').where('name', '=', NEWEST_HEAD).executeTakeFirst();
  return row ? v.parse(AuditHead, JSON.parse(row.value)) : null;
}

/** The public key as the database keeps it. */
export async function publicKeyOf(db: Database): Promise<string> {
  const row = await db.sql.selectFrom('settings').select('value').where('name', '=', PUBLIC_KEY).executeTakeFirst();
  return row?.value ?? '';
}
