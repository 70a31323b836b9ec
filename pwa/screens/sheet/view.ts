// What the screen of one page shows: each field as it was read, decided and judged, and the page's history. From what is
// kept on this device alone.
import type { Me } from '../../../shared/protocol/auth.ts';
import type { Outcome } from '../../../shared/protocol/batch.ts';
import type { Correction } from '../../../shared/protocol/correction.ts';
import type { FieldFlag, SheetReading } from '../../../shared/protocol/reading.ts';
import type { SheetLine } from '../../../shared/protocol/sync.ts';
import { type DecidedBy, type Ruling, rulings, type Waiting } from '../../../shared/review.ts';
import { questionOf, unpackValues } from '../../../shared/scoring/marks.ts';
import { unpackNotes } from '../../../shared/scoring/notes.ts';
import { type Judged, scorer } from '../../../shared/scoring/score.ts';
import { correctionsOf, pageOf, type SheetView, viewSheet } from '../../../shared/sheet-line.ts';
import { layOut } from '../../../shared/template/geometry.ts';
import type { Template } from '../../../shared/template/template.ts';
import type { Edit, UserDb } from '../../db.ts';
import { DECIDED_STORES, type DecidedPage, readDecided, readTasksKnown, type TaskOf } from '../../sync/decisions.ts';
import { readTemplates, templateOf } from '../review/templates.ts';

export interface FieldView {
  label: string;
  question: number | null;
  type: 'choice' | 'grid';
  /** as the machine read it, '' when it saw nothing */
  read: string;
  /** 0 to 1; null: the engine did not remark on it, and what it measured is not here */
  confidence: number | null;
  flags: readonly FieldFlag[];
  final: string;
  by: DecidedBy;
  ruling: Ruling | null;
  waits: Waiting | null;
  /** what the key makes of it; null without a score */
  judged: Judged | null;
}

export interface Entry {
  correction: Correction;
  /** null: nothing was read there and nobody had decided */
  before: string | null;
  /** not taken by the server yet */
  pending: boolean;
}

export interface PageView {
  page: DecidedPage;
  /** null: it was not read as a sheet */
  sheet: SheetView | null;
  /** the score that counts now: worked out here where the key is known, the server's otherwise */
  score: { score: number | null; max_score: number | null; unscored: SheetLine[23]; here: boolean };
  template: Template | null;
  judged: readonly Judged[];
  /** indexes of the pages beside it that are there */
  previous: number | null;
  next: number | null;
  /** the server's words about decisions that it did not take */
  refused: Edit[];
  /** newest first */
  history: Entry[];
  true_at: number;
}

const textIn = (line: SheetLine, field: string): string | null => {
  if (field === 'roll') return line[9] ?? '';
  if (field === 'variant') return line[10] ?? '';
  const question = questionOf(field);
  return question === null ? null : (unpackValues(line[12], line[11])[question - 1] ?? null);
};

/** What stood in the field for whoever came next. */
export function historyOf(line: SheetLine, pending: readonly Correction[]): Entry[] {
  const taken = correctionsOf(line);
  return [...taken, ...pending]
    .map((correction, i, all) => ({
      correction,
      before:
        rulings(all.slice(0, i).filter(({ field }) => field === correction.field)).get(correction.field)?.value ??
        textIn(line, correction.field),
      pending: i >= taken.length,
    }))
    .reverse();
}

/** Fields that the sheet has, by its template or, where that is not known, by its line. */
function fieldsOn(line: SheetLine, template: Template | null): { label: string; type: 'choice' | 'grid' }[] {
  if (template) return layOut(template).fields;
  const questions = unpackValues(line[12], line[11]).flatMap((value, i) => (value === null ? [] : [`q${i + 1}`]));
  return [
    { label: 'roll', type: 'grid' },
    { label: 'variant', type: 'choice' },
    ...questions.map((label) => ({ label, type: 'choice' as const })),
  ];
}

/** @param measured what the engine measured, when it is here: then every field has its confidence */
export function fieldViews({ page, template, judged }: PageView, measured: SheetReading | null): FieldView[] {
  const { line, ruled } = page;
  if (line[3] !== 'sheet') return [];
  const notes = new Map(unpackNotes(line[13]).map((note) => [note.label, note]));
  const seen = new Map(measured?.fields.map((field) => [field.label, field]));
  const verdicts = new Map(judged.map((one) => [one.question, one]));
  return fieldsOn(line, template).map(({ label, type }): FieldView => {
    const question = questionOf(label);
    const read = seen.get(label)?.value ?? textIn(line, label) ?? '';
    const ruling = ruled.get(label) ?? null;
    return {
      label,
      question,
      type,
      read,
      confidence: seen.get(label)?.confidence ?? notes.get(label)?.confidence ?? null,
      flags: seen.get(label)?.flags ?? notes.get(label)?.flags ?? [],
      final: ruling?.value ?? read,
      by: ruling?.by ?? 'machine',
      ruling,
      waits: page.waiting.get(label) ?? null,
      judged: (question === null ? null : verdicts.get(question)) ?? null,
    };
  });
}

/** Options that a key accepts for a question: any alternative, all marks of it. */
export const keyed = ({ judged }: Pick<FieldView, 'judged'>): string[] =>
  (judged?.accepted ?? '').split(/[ |]/).filter((option) => option !== '');

export const OUTCOME_RIGHT: readonly Outcome[] = ['correct', 'partial', 'bonus'];

function judgedBy(sheet: SheetView | null, line: SheetLine, taskOf: TaskOf): readonly Judged[] {
  if (!sheet?.result || sheet.result.unscored !== null) return [];
  const moved = sheet.final.task_id ?? line[5];
  return scorer((moved === null ? undefined : taskOf(moved))?.key ?? null).judge(sheet.final.marks);
}

/**
 * Reads one page of a kept batch. @returns null until the batch is on this device; `gone` when it has no such page
 * @param scores whether answer keys come to this device: without them nothing can be judged here
 */
export async function readPageView(
  user: UserDb,
  me: Pick<Me, 'user_id' | 'username' | 'role'>,
  batch: string,
  index: number,
  scores: boolean,
): Promise<PageView | 'gone' | null> {
  const tx = user.transaction(DECIDED_STORES);
  const taskOf = scores ? await readTasksKnown(tx) : null;
  const kept = await readDecided(tx, me, batch, taskOf, index);
  if (!kept) return null;
  const at = kept.pages.findIndex(({ line }) => pageOf(line) === index);
  const page = kept.pages[at];
  if (!page) return 'gone';
  const { line, pending, sheet_id } = page;
  const sheet = viewSheet(line, pending, taskOf);
  const result = sheet?.result;
  const edits = (await tx.objectStore('outbox').getAll()).filter(
    ({ change, state }) =>
      change.kind === 'correct' && state.at === 'refused' && change.items.some((item) => item.sheet_id === sheet_id),
  );
  return {
    page,
    sheet,
    score: result
      ? { score: result.score, max_score: result.max_score, unscored: result.unscored, here: true }
      : { score: line[16], max_score: line[17], unscored: line[23], here: false },
    template: templateOf(await readTemplates(user), line[8]),
    judged: taskOf ? judgedBy(sheet, line, taskOf) : [],
    previous: kept.pages[at - 1] ? pageOf(kept.pages[at - 1]!.line) : null,
    next: kept.pages[at + 1] ? pageOf(kept.pages[at + 1]!.line) : null,
    refused: edits,
    history: historyOf(line, pending),
    true_at: kept.true_at,
  };
}
