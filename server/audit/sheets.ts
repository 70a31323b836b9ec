// Works results out again from what they were made of: the page's bytes against their hash, the reading against the page,
// answers and score against the reading and the version of the key that the result names.
import { createHash, randomInt } from 'node:crypto';
import { ENGINE_VERSION, readPage } from '../../shared/omr/read-page.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { ENDED } from '../../shared/protocol/stage.ts';
import { applyCorrections, resultOf } from '../../shared/review.ts';
import { marksOf, packValues } from '../../shared/scoring/marks.ts';
import { notesOf, packNotes, riskOf } from '../../shared/scoring/notes.ts';
import { scorer, scoreSheet } from '../../shared/scoring/score.ts';
import type { Template } from '../../shared/template/template.ts';
import type { Database, PagesTable, ReadingsTable } from '../adapters/database.ts';
import { correctionsOfSheets } from '../corrections/read.ts';
import { suspicionsOf } from '../keys/score-batch.ts';
import type { Decoded } from '../pipeline/steps.ts';
import type { Blobs } from '../uploads/blobs.ts';
import { readEntry } from '../uploads/zip.ts';
import type { Fault } from './fault.ts';
import { loadedPages, pagesHash } from './pages.ts';

export interface SheetDeps {
  db: Database;
  blobs: Blobs;
  decode: (bytes: Buffer, page?: number) => Promise<Decoded>;
  templates: readonly Template[];
}

export interface SheetReport {
  /** finished batches whose page hashes were held against the audit log */
  batches: number;
  /** pages that have been read, in all */
  pages: number;
  checked: number;
  /** read again by this very engine */
  reread: number;
  scored: number;
  answers: number;
  faults: Fault[];
}

/** `n` of the ids, each with the same chance; all of them when there are no more. */
function sample(ids: number[], n: number): number[] {
  for (let i = 0; i < Math.min(n, ids.length); i++) {
    const k = randomInt(i, ids.length);
    [ids[i], ids[k]] = [ids[k]!, ids[i]!];
  }
  return ids.slice(0, n).sort((a, b) => a - b);
}

/** @param most how many pages are looked at; Infinity: all */
export async function checkSheets(deps: SheetDeps, most: number): Promise<SheetReport> {
  const { db } = deps;
  const all = await db.sql
    .selectFrom('readings')
    .innerJoin('pages', 'pages.sheet_id', 'readings.sheet_id')
    .innerJoin('batches', 'batches.batch_id', 'pages.batch_id')
    .select('readings.sheet_id')
    .where('status', 'in', ENDED)
    .execute();
  const ids = sample(
    all.map((row) => row.sheet_id),
    Math.min(most, all.length),
  );
  const report: SheetReport = {
    batches: 0,
    pages: all.length,
    checked: 0,
    reread: 0,
    scored: 0,
    answers: 0,
    faults: [],
  };
  await checkBatches(db, report);
  const keys = new Map<string, KeyContent | null>();
  for (const sheet_id of ids) await checkSheet(deps, sheet_id, keys, report);
  return report;
}

/** Every finished batch still has the pages it was loaded with. */
async function checkBatches(db: Database, report: SheetReport): Promise<void> {
  const finished = await db.sql
    .selectFrom('batches')
    .select(['batch_id', 'name'])
    .where('status', 'in', ['completed', 'completed_with_errors'])
    .execute();
  const told = await loadedPages(db);
  for (const { batch_id, name } of finished) {
    report.batches += 1;
    const is = await pagesHash(db.sql, batch_id);
    const was = told.get(batch_id);
    if (is === was) continue;
    const what =
      was === undefined
        ? 'the audit log has no entry of its load'
        : 'its pages, or their stored hashes, are not those it was loaded with';
    report.faults.push({ place: `batch ${batch_id} (${name})`, what });
  }
}

async function checkSheet(
  deps: SheetDeps,
  sheet_id: number,
  keys: Map<string, KeyContent | null>,
  report: SheetReport,
): Promise<void> {
  const { db } = deps;
  const page = await db.sql.selectFrom('pages').selectAll().where('sheet_id', '=', sheet_id).executeTakeFirst();
  const stored = await db.sql.selectFrom('readings').selectAll().where('sheet_id', '=', sheet_id).executeTakeFirst();
  if (!page || !stored) return; // purged while this runs
  const place = `page ${page.page_index + 1} (${page.name}, sheet ${sheet_id}) of batch ${page.batch_id}`;
  const fault = (what: string): void => void report.faults.push({ place, what });
  report.checked += 1;
  const reading = JSON.parse(stored.content) as Reading;
  const wrong = await checkPage(deps, page, stored, reading, report);
  if (wrong !== null) fault(wrong);
  if (reading.kind !== 'sheet') return;

  const result = await db.sql.selectFrom('results').selectAll().where('sheet_id', '=', sheet_id).executeTakeFirst();
  if (!result) return fault('it has been read, and has no result');
  let key: KeyContent | null = null;
  if (result.key_id !== null) {
    const name = `${result.key_id}, version ${result.key_version}`;
    if (!keys.has(name)) keys.set(name, await publishedKey(db, result.key_id, result.key_version ?? 0));
    key = keys.get(name) ?? null;
    if (key === null) return fault(`its result names answer key ${name}, which is not there or was never published`);
  }
  const marks = marksOf(reading);
  const corrections = (await correctionsOfSheets(db.sql, [sheet_id])).get(sheet_id) ?? [];
  const final = applyCorrections({ marks, notes: notesOf(reading) }, corrections);
  const held = (await suspicionsOf(db.sql, page.batch_id))(page);
  const expected = resultOf(scorer(key).score(final.marks), { held, known_task: true }, final.void);
  for (const column of COUNTED) {
    if (result[column] !== expected[column])
      fault(`its ${column} is ${result[column]} in the results, and ${expected[column]} when it is scored again`);
  }
  // Why a sheet has no key, its task or the task's key, may have changed since.
  const unscored = ['no-task', 'other-template'].includes(result.unscored ?? '') ? 'no-key' : result.unscored;
  if (unscored !== expected.unscored)
    fault(
      `it is ${result.unscored ?? 'scored'} by the results, and ${expected.unscored ?? 'scored'} when scored again`,
    );
  report.scored += 1;

  const kept = await db.sql.selectFrom('marks').selectAll().where('sheet_id', '=', sheet_id).executeTakeFirst();
  if (!kept) fault('the marks it is scored by are missing');
  else if (
    kept.choices !== packValues(marks.values) ||
    kept.questions !== marks.values.length ||
    kept.roll !== marks.roll ||
    kept.variant !== marks.variant ||
    kept.doubtful !== marks.doubtful ||
    kept.variant_doubtful !== Number(marks.doubtful_unlisted === marks.doubtful) ||
    kept.notes !== packNotes(notesOf(reading)) ||
    kept.risk !== riskOf(reading)
  )
    fault('the marks it is scored by are not those of its reading');

  const answers = await db.sql
    .selectFrom('answers')
    .select(['question', 'value', 'confidence', 'flags'])
    .where('sheet_id', '=', sheet_id)
    .execute();
  const found = new Map(answers.map((answer) => [answer.question, answer]));
  for (const { question, value, confidence, flags } of scoreSheet(reading, key).answers) {
    const answer = found.get(question);
    found.delete(question);
    report.answers += 1;
    if (!answer) fault(`its answer to question ${question} is missing`);
    else if (answer.value !== value)
      fault(`its answer to question ${question} is '${answer.value}', and the reading says '${value}'`);
    else if (answer.confidence !== confidence || answer.flags !== flags.join(' '))
      fault(`confidence or flags of its answer to question ${question} are not those of the reading`);
  }
  for (const question of found.keys()) fault(`it has an answer to question ${question}, which the reading has not`);
}

const COUNTED = ['roll', 'variant', 'score', 'max_score', 'correct', 'wrong', 'blank', 'multiple', 'doubtful'] as const;
async function publishedKey(db: Database, key_id: string, version: number): Promise<KeyContent | null> {
  const row = await db.sql
    .selectFrom('answer_keys')
    .select('content')
    .where('key_id', '=', key_id)
    .where('version', '=', version)
    .where('state', '=', 'published')
    .executeTakeFirst();
  return row ? (JSON.parse(row.content) as KeyContent) : null;
}

/** What is wrong with a page's bytes, or with what was read of them; null when nothing is. */
async function checkPage(
  { db, blobs, decode, templates }: SheetDeps,
  page: PagesTable,
  stored: ReadingsTable,
  reading: Reading,
  report: SheetReport,
): Promise<string | null> {
  const upload = await db.sql
    .selectFrom('uploads')
    .select('upload_id')
    .where('batch_id', '=', page.batch_id)
    .executeTakeFirst();
  if (!upload) return 'the upload it came in is missing';
  const file = await blobs.open(upload.upload_id, 'read').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (!file) return `the file of upload ${upload.upload_id} is missing`;
  let bytes: Buffer;
  try {
    const entry = await readEntry(file, { ...page, offset: page.file_offset, compressedSize: page.compressed_size });
    if (!entry.ok) return `its bytes were changed: ${entry.reason}`;
    bytes = entry.bytes;
  } finally {
    await file.close();
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== stored.image_sha256)
    return `its bytes were changed: their SHA-256 is ${sha256}, and it was read as ${stored.image_sha256}`;
  const template = reading.kind === 'sheet' ? reading : null;
  const known =
    template === null ||
    templates.some(({ id, version }) => id === template.template_id && version === template.template_version);
  // A reading by another engine or template stands as it is: it can be reproduced with that one.
  if (stored.engine_version !== ENGINE_VERSION || !known) return null;
  const decoded = await decode(bytes, page.part ?? undefined);
  if (!decoded.ok) return `it cannot be decoded any more: ${decoded.reason}`;
  report.reread += 1;
  const again = readPage(decoded.image, templates);
  return JSON.stringify(again) === JSON.stringify(reading) ? null : difference(reading, again);
}

function difference(stored: Reading, again: Reading): string {
  const what = 'what is stored as its reading is not what the page shows';
  if (stored.kind !== again.kind) return `${what}: ${stored.kind} is stored, ${again.kind} is read`;
  if (stored.kind !== 'sheet' || again.kind !== 'sheet') return what;
  const field = again.fields.find((one, i) => JSON.stringify(one) !== JSON.stringify(stored.fields[i]));
  if (!field) return what;
  const was = stored.fields.find(({ label }) => label === field.label);
  return `${what}: ${field.label} is stored as '${was?.value ?? ''}', and read as '${field.value}'`;
}
