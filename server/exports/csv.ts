// Results as CSV: wide, one row a sheet, or long, one row an answer. RFC 4180, comma, CRLF, UTF-8, rows in page order.
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Correction } from '../../shared/protocol/correction.ts';
import { NOT_ADMINISTERED, OMITTED, VOID } from '../../shared/protocol/export.ts';
import { rulings } from '../../shared/review.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { finalAnswers } from '../corrections/answers.ts';
import { correctionsOfSheets } from '../corrections/read.ts';
import { createJudge } from '../keys/judge.ts';

const SHEETS_AT_ONCE = 200;

export type ExportFormat = 'wide' | 'long';

/** Free text that a spreadsheet would run as a formula gets an apostrophe; our own numbers and ids never do. */
const guarded = (text: string): string => (/^[=+\-@\t\r＝＋－＠]/.test(text) ? `'${text}` : text);
const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const row = (cells: readonly (string | number | null)[]): string =>
  `${cells.map((cell) => (cell === null ? '' : typeof cell === 'number' ? String(cell) : quoted(cell))).join(',')}\r\n`;

const SHEET_HEAD = [
  'sheet_id',
  'page_index',
  'file',
  'task_id',
  'roll',
  'variant',
  'status',
  'score',
  'max_score',
  'correct',
  'wrong',
  'blank',
  'multiple',
  'doubtful',
  'unscored',
  'corrected',
  'corrected_by',
  'key_id',
  'key_version',
  'engine_version',
  'image_sha256',
];
const ANSWER_HEAD = [
  'sheet_id',
  'page_index',
  'task_id',
  'roll',
  'variant',
  'question',
  'value',
  'status',
  'confidence',
  'flags',
  'accepted',
  'correct',
  'points',
  'outcome',
  'read',
  'source',
  'decided_by',
  'decided_at',
];

const answerStatus = (value: string): string =>
  value === '' ? 'omitted' : value.includes('|') ? 'multiple' : 'marked';

/** Writes the whole export into `out` and ends it; a reader that goes away ends the work. */
export async function writeExport(
  db: Database,
  batch: BatchesTable,
  format: ExportFormat,
  out: Writable,
  signal: AbortSignal,
): Promise<void> {
  const write = async (text: string): Promise<void> => {
    if (text && !out.write(text)) await once(out, 'drain', { signal });
  };
  const judge = createJudge(db);
  const questions = await mostQuestions(db, batch);
  const numbers = Array.from({ length: questions }, (_, i) => i + 1);
  const width = String(questions).length;
  await write(
    row(format === 'long' ? ANSWER_HEAD : [...SHEET_HEAD, ...numbers.map((n) => `Q${String(n).padStart(width, '0')}`)]),
  );
  for (let after = -1; !signal.aborted; ) {
    const sheets = await db.sql
      .selectFrom('pages')
      .leftJoin('results', 'results.sheet_id', 'pages.sheet_id')
      .leftJoin('readings', 'readings.sheet_id', 'pages.sheet_id')
      .select([
        'pages.sheet_id',
        'page_index',
        'pages.name',
        'pages.task_id',
        'pages.state',
        'roll',
        'variant',
        'score',
        'max_score',
        'correct',
        'wrong',
        'blank',
        'multiple',
        'doubtful',
        'unscored',
        'key_id',
        'key_version',
        'engine_version',
        'image_sha256',
      ])
      .where('pages.batch_id', '=', batch.batch_id)
      .where((eb) => eb.or([eb('kind', 'is', null), eb('kind', 'in', ['sheet', 'damaged-sheet'])]))
      .where('page_index', '>', after)
      .orderBy('page_index')
      .limit(SHEETS_AT_ONCE)
      .execute();
    const last = sheets.at(-1);
    if (!last) break;
    after = last.page_index;
    const answers = await db.sql
      .selectFrom('answers')
      .selectAll()
      .where(
        'sheet_id',
        'in',
        sheets.map((sheet) => sheet.sheet_id),
      )
      .orderBy('sheet_id')
      .orderBy('question')
      .execute();
    const bySheet = new Map<number, typeof answers>();
    for (const a of answers) {
      const own = bySheet.get(a.sheet_id);
      if (own) own.push(a);
      else bySheet.set(a.sheet_id, [a]);
    }
    const corrections = await correctionsOfSheets(
      db.sql,
      sheets.map(({ sheet_id }) => sheet_id),
    );
    let text = '';
    for (const s of sheets) {
      const said = corrections.get(s.sheet_id) ?? [];
      const own = finalAnswers(bySheet.get(s.sheet_id) ?? [], said);
      const judged = new Map((await judge(s, own)).map((one) => [one.question, one]));
      if (format === 'wide') {
        const status = s.state === 'failed' ? 'failed' : 'read';
        const value = new Map(
          own.map((a) => [
            a.question,
            judged.get(a.question)?.outcome === 'void' ? VOID : a.value === '' ? OMITTED : a.value,
          ]),
        );
        text += row([
          s.sheet_id,
          s.page_index,
          guarded(s.name),
          s.task_id,
          s.roll,
          s.variant,
          status,
          s.score,
          s.max_score,
          s.correct,
          s.wrong,
          s.blank,
          s.multiple,
          s.doubtful,
          s.unscored,
          ...whose(said),
          s.key_id && guarded(s.key_id),
          s.key_version,
          s.engine_version,
          s.image_sha256,
          ...numbers.map((n) => value.get(n) ?? NOT_ADMINISTERED),
        ]);
      } else {
        for (const a of own) {
          const { accepted = null, correct = null, points = null, outcome = 'outside' } = judged.get(a.question) ?? {};
          text += row([
            s.sheet_id,
            s.page_index,
            s.task_id,
            s.roll,
            s.variant,
            a.question,
            a.value === '' ? OMITTED : a.value,
            answerStatus(a.value),
            Math.round(a.confidence * 1e6) / 1e6,
            a.flags.join(' '),
            accepted,
            correct === null ? null : Number(correct),
            points,
            outcome,
            a.read === '' ? OMITTED : a.read,
            a.source,
            a.decided_by && guarded(a.decided_by),
            a.decided_at,
          ]);
        }
      }
    }
    await write(text);
  }
  out.end();
}

/** How many fields of a sheet people have decided, and who they are. */
function whose(corrections: readonly Correction[]): [number, string] {
  const standing = [...rulings(corrections).values()].filter(({ value }) => value !== null);
  const names = [...new Set(standing.map(({ standing }) => standing.username))].sort();
  return [standing.length, guarded(names.join(' '))];
}

async function mostQuestions(db: Database, batch: BatchesTable): Promise<number> {
  const row = await db.sql
    .selectFrom('answers')
    .innerJoin('pages', 'pages.sheet_id', 'answers.sheet_id')
    .select((eb) => eb.fn.max('question').as('most'))
    .where('batch_id', '=', batch.batch_id)
    .executeTakeFirst();
  return Number(row?.most ?? 0);
}
