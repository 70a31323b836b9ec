// A page as the feed tells it, read: what the machine saw, what people decided, and what it comes to under a key. The same
// on a device as on the server, so that a correction shows its score at once and the server's answer is no surprise.
import type { Role } from './protocol/auth.ts';
import type { Correction } from './protocol/correction.ts';
import type { KeyContent } from './protocol/key.ts';
import type { Correct, SheetLine } from './protocol/sync.ts';
import {
  type AsRead,
  applyCorrections,
  type Final,
  type ResultColumns,
  type Ruling,
  resultOf,
  type Waiting,
  waitingFields,
} from './review.ts';
import { unpackValues } from './scoring/marks.ts';
import { unpackNotes } from './scoring/notes.ts';
import { isUnlisted, listFor, scorer } from './scoring/score.ts';

export const pageOf = (line: SheetLine): number => line[0];
export const correctionsOf = (line: SheetLine): Correction[] => line[25];
/** What a decision about the page is made upon. */
export const revOf = (line: SheetLine): number => line[25].at(-1)?.rev ?? 0;

/** What the engine read of a page; null when it is no sheet, or was not read. */
export function readOf(line: SheetLine): AsRead | null {
  if (line[3] !== 'sheet') return null;
  const notes = unpackNotes(line[13]);
  const doubts = notes.filter(({ flags }) => flags.includes('doubtful'));
  return {
    marks: {
      roll: line[9],
      variant: line[10],
      values: unpackValues(line[12], line[11]),
      doubtful: doubts.length,
      doubtful_unlisted: new Set(['variant', ...doubts.map(({ label }) => label)]).size,
    },
    notes,
  };
}

/** A decision that the server has not taken yet, as it will stand in the history if nobody else says anything. */
export function pendingCorrections(
  line: SheetLine,
  items: readonly (Correct['items'][number] & Pick<Correction, 'reason'>)[],
  by: { user_id: string; username: string; role: Role; client_id: string },
): Correction[] {
  return items.map(({ field, value, base_rev, reason }, i) => ({
    ...by,
    correction_id: `pending ${i}`,
    field,
    value,
    previous: null,
    reason,
    base_rev,
    rev: revOf(line) + 1 + i,
    at: '',
  }));
}

export interface SheetView {
  final: Final;
  /** null while what it needs is not on this device: the server's then stands in the line */
  result: ResultColumns | null;
}

/** What a device knows of a task: its newest published key, and the sheet it is printed on. */
export interface KnownTask {
  key: KeyContent | null;
  template_id: string;
}

/** What a page is scored by, with the decisions that are on their way. */
function scoredBy(line: SheetLine, pending: readonly Correction[], taskOf: (task_id: string) => KnownTask | undefined) {
  // The page's task on the server holds every decision but those that are on their way.
  const moved = pending.findLast(({ field }) => field === 'task');
  const task_id = moved ? (moved.value ?? null) : line[5];
  const task = task_id === null ? undefined : taskOf(task_id);
  const template_id = line[8]?.replace(/@\d+$/, '') ?? null;
  const other_template = task !== undefined && template_id !== null && template_id !== task.template_id;
  return { key: (!other_template && task?.key) || null, known_task: task !== undefined, other_template };
}

/**
 * The fields of a page that wait for a person: of a sheet as many as it has doubtful ones by its result.
 * @param ruled people's decisions, `pending` among them
 * @param taskOf null while keys are not on this device: then by the server's word, which stands in the line
 */
export function waitingOn(
  line: SheetLine,
  ruled: ReadonlyMap<string, Ruling>,
  pending: readonly Correction[],
  taskOf: ((task_id: string) => KnownTask | undefined) | null,
): Map<string, Waiting> {
  if (line[3] !== 'sheet') return waitingFields([], ruled);
  const unscored = taskOf ? listFor(scoredBy(line, pending, taskOf).key, line[10]).unscored : line[23];
  return waitingFields(unpackNotes(line[13]), ruled, isUnlisted(unscored));
}

/**
 * @param taskOf undefined when there is no such task; null while keys are not on this device
 */
export function viewSheet(
  line: SheetLine,
  pending: readonly Correction[],
  taskOf: ((task_id: string) => KnownTask | undefined) | null,
): SheetView | null {
  const read = readOf(line);
  if (!read) return null;
  const final = applyCorrections(read, [...correctionsOf(line), ...pending]);
  if (!taskOf) return { final, result: null };
  const { key, known_task, other_template } = scoredBy(line, pending, taskOf);
  const scored = scorer(key).score(final.marks);
  const result = resultOf(scored, { held: line[24] === 1, known_task, other_template }, final.void);
  return { final, result };
}
