// Proves that nothing was changed behind Sheaf's back: walks the audit log, holds the tables against it, and works a
// sample of the results out again from their pages. May run beside a Sheaf that runs; changes nothing.
import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeGray } from '../adapters/decode.ts';
import { openDatabase } from '../adapters/open-database.ts';
import { checkChain } from '../audit/chain.ts';
import type { Fault } from '../audit/fault.ts';
import { checkRecords } from '../audit/records.ts';
import { checkSheets } from '../audit/sheets.ts';
import { ConfigError, loadConfig } from '../config.ts';
import { Refusal } from '../refusal.ts';
import { templatesOf } from '../templates.ts';
import { openBlobs } from '../uploads/blobs.ts';

const USAGE = `Usage: npm run -s verify -- [--all | --sample 200] [--json]
  --all      looks at every page, not at a sample
  --sample   how many pages to look at (200)
  --json     one object instead of lines
Exit code: 0 nothing is wrong, 1 a fault was found, 2 it could not look.`;
const SAMPLE = 200;
/** Faults printed; the count of all of them is always told. */
const MOST_PRINTED = 100;

interface Options {
  most: number;
  json: boolean;
}

function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({
      args,
      options: { all: { type: 'boolean' }, sample: { type: 'string' }, json: { type: 'boolean' } },
    });
    if (values.sample !== undefined && !/^\d{1,9}$/.test(values.sample)) throw new Error('--sample takes a number');
    const most = values.all ? Number.POSITIVE_INFINITY : Number(values.sample ?? SAMPLE);
    return { most, json: values.json ?? false };
  } catch (error) {
    throw new Refusal(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

/** SHA-256 of the key as text, short enough to read out. */
const fingerprint = (pem: string): string => createHash('sha256').update(pem).digest('hex').slice(0, 32);

/** @returns the exit code: 1 on any fault */
async function verify({ most, json }: Options, env: NodeJS.ProcessEnv): Promise<number> {
  const config = loadConfig(env);
  if (config.database.kind === 'sqlite' && !existsSync(config.database.file))
    throw new Refusal(`There is no Sheaf in ${config.dataDir}: name its data folder with SHEAF_DATA=folder.`);
  const db = await openDatabase(config.database);
  try {
    const chain = await checkChain(db, config.dataDir);
    const records = await checkRecords(db);
    const blobs = await openBlobs(config.blobDir);
    const templates = await templatesOf(db)();
    const sheets = await checkSheets({ db, blobs, decode: decodeGray, templates }, most);
    const faults: Fault[] = [...chain.faults, ...records.faults, ...sheets.faults];
    if (json) {
      process.stdout.write(`${JSON.stringify({ chain, records, sheets, faults }, null, 2)}\n`);
      return faults.length === 0 ? 0 : 1;
    }
    const say = (line: string): void => void process.stdout.write(`${line}\n`);
    const { newest } = chain;
    say(
      `Audit log  ${chain.rows} rows follow from one another, ${chain.heads} signed heads looked at, ` +
        (newest ? `the newest of row ${newest.seq}, ${newest.at}` : 'none'),
    );
    if (chain.unsigned > 0) say(`           ${chain.unsigned} rows after it are not signed yet`);
    say(
      `Records    ${records.users} users, ${records.templates} templates, ${records.keys} versions of answer keys, ` +
        `${records.tasks} tasks, ${records.corrections} corrections held against the audit log`,
    );
    say(
      `Sheets     ${sheets.batches} finished batches have the pages they were loaded with; ${sheets.checked} of ${sheets.pages} pages hashed again, ${sheets.reread} read again, ` +
        `${sheets.scored} scored again, ${sheets.answers} answers compared`,
    );
    for (const { place, what } of faults.slice(0, MOST_PRINTED)) say(`FAULT      ${place}: ${what}`);
    if (faults.length > MOST_PRINTED) say(`           and ${faults.length - MOST_PRINTED} more`);
    if (newest)
      say(`To keep    row ${newest.seq} ${newest.hash}, public key ${fingerprint(chain.publicKey)} (shown by --json)`);
    say(faults.length === 0 ? 'Nothing is wrong.' : `${faults.length} faults.`);
    return faults.length === 0 ? 0 : 1;
  } finally {
    await db.close();
  }
}

/** @returns the exit code: 2 when it could not look */
export async function main(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  try {
    return await verify(readOptions(args), env);
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

const startedAs = process.argv[1];
if (startedAs !== undefined && realpathSync(startedAs) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
