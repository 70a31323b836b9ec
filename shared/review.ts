// What corrections come to. The machine's reading and people's decisions are two layers: a final value is the standing
// decision where there is one and the reading everywhere else, field by field, so that fixing one field changes no other
// [S4], and reading the page again changes no decision [S3]. Pure: server, tablet and tests run this very code.
//
// A decision knows those that its maker had seen (`base_rev`) and those of its own device, and replaces them. What it had
// not seen stands beside it. Of those that stand the highest role's counts; where people of the same role say different
// things, the first that the server took counts until somebody settles it, and the field is in conflict. The device's
// clock has no say: the order is the server's. A second reader who was not shown the first's decision does not know it, so
// that their agreeing and their disagreeing come out by the same rule.
import type { Unscored } from './protocol/batch.ts';
import type { Correction } from './protocol/correction.ts';
import { type Marks, questionOf } from './scoring/marks.ts';
import type { FieldNote } from './scoring/notes.ts';
import type { MarkedScore } from './scoring/score.ts';

/** A page as the machine left it. */
export interface AsRead {
  marks: Marks;
  notes: readonly FieldNote[];
}

export type DecidedBy = 'machine' | 'reviewer' | 'supervisor';
type Decision = Pick<Correction, 'field' | 'value' | 'role' | 'client_id' | 'base_rev' | 'rev' | 'username'>;

/** What became of one field that somebody has decided. */
export interface Ruling<C extends Decision = Correction> {
  field: string;
  /** null: as the machine read it */
  value: string | null;
  by: DecidedBy;
  /** the decision that counts; null only for a field on which nobody has said anything */
  standing: C;
  /** decisions of the same weight that say something else, not seen by each other: a person has to settle them */
  against: readonly C[];
  /** decisions that stand as far as their makers know, and count less than the one that counts */
  overruled: readonly C[];
  /** other people's, not seen by each other, that say the same: it was read twice */
  agreeing: readonly C[];
}

/** Who outweighs whom: supervisor over reviewer over machine. */
export const weightOf = (role: Correction['role']): 0 | 1 | 2 =>
  role === 'admin' || role === 'supervisor' ? 2 : role === 'reviewer' ? 1 : 0;

const knows = (later: Decision, earlier: Decision): boolean =>
  earlier.rev <= later.base_rev || earlier.client_id === later.client_id;

/** Rules on one field. @param decisions of this field alone, in any order; their `rev` is the order */
function rule<C extends Decision>(field: string, decisions: readonly C[]): Ruling<C> | null {
  let standing: C[] = [];
  for (const next of [...decisions].sort((a, b) => a.rev - b.rev))
    standing = [...standing.filter((old) => !(knows(next, old) && weightOf(next.role) >= weightOf(old.role))), next];
  const weight = Math.max(...standing.map(({ role }) => weightOf(role)));
  const [counts, ...others] = standing.filter(({ role }) => weightOf(role) === weight);
  if (!counts) return null;
  return {
    field,
    value: counts.value,
    by: counts.value === null ? 'machine' : weight === 2 ? 'supervisor' : 'reviewer',
    standing: counts,
    against: others.filter(({ value }) => value !== counts.value),
    overruled: standing.filter(({ role, value }) => weightOf(role) < weight && value !== counts.value),
    agreeing: standing.filter(({ username, value }) => username !== counts.username && value === counts.value),
  };
}

/** Every field that somebody has decided, by its name. */
export function rulings<C extends Decision>(corrections: readonly C[]): Map<string, Ruling<C>> {
  const byField = new Map<string, C[]>();
  for (const one of corrections) {
    const own = byField.get(one.field);
    if (own) own.push(one);
    else byField.set(one.field, [one]);
  }
  const ruled = new Map<string, Ruling<C>>();
  for (const [field, own] of byField) {
    const ruling = rule(field, own);
    if (ruling) ruled.set(field, ruling);
  }
  return ruled;
}

export interface Final<C extends Decision = Correction> {
  /** what is scored; `doubtful` counts what still waits for a person */
  marks: Marks;
  void: boolean;
  /** a page of the group it was put into; null: where it lies in the file */
  group: number | null;
  /** null: its group's */
  task_id: string | null;
  rulings: ReadonlyMap<string, Ruling<C>>;
}

/** The decision of a field, when it is one and not the machine's word. */
export const decided = <C extends Decision>(ruled: ReadonlyMap<string, Ruling<C>>, field: string): string | null =>
  ruled.get(field)?.value ?? null;

const ASKED = 'ask:';
/** The field in which somebody asks a supervisor to decide `field`: its value is `true`. */
export const askFor = (field: string): string => `${ASKED}${field}`;
/** What is asked about; null for any other field. */
export const askedAbout = (field: string): string | null =>
  field.startsWith(ASKED) ? field.slice(ASKED.length) : null;

/** The open question to a supervisor about a field: none has decided it since it was asked. */
export function questionAbout<C extends Decision>(ruled: ReadonlyMap<string, Ruling<C>>, field: string): C | null {
  const asked = ruled.get(askFor(field));
  if (asked?.value !== 'true') return null;
  const answer = ruled.get(field)?.standing;
  return answer && weightOf(answer.role) === 2 && answer.rev > asked.standing.rev ? null : asked.standing;
}

/** Why a field waits for a person. */
export type Waiting = 'conflict' | 'asked' | 'doubt';

/**
 * The fields of a page that wait for a person, and why: what people disagree about, what a supervisor was asked, and what
 * the engine doubts and nobody has decided. A sheet is doubtful by as many as these are: the queue, the counts and the
 * results all follow from here.
 * @param unlisted the key has no answers for the variant as it was read: it waits until somebody has decided it
 */
export function waitingFields<C extends Decision>(
  notes: readonly FieldNote[],
  ruled: ReadonlyMap<string, Ruling<C>>,
  unlisted = false,
): Map<string, Waiting> {
  const waiting = new Map<string, Waiting>();
  const isVoid = decided(ruled, 'void') === 'true';
  // Nobody has to look at a field of a sheet that does not count; a conflict is looked at all the same.
  const doubt = (field: string): void => {
    if (!isVoid && decided(ruled, field) === null) waiting.set(field, 'doubt');
  };
  if (unlisted) doubt('variant');
  for (const { label, flags } of notes) if (flags.includes('doubtful')) doubt(label);
  for (const [field, { against }] of ruled) {
    const about = askedAbout(field);
    if (about !== null && !isVoid && questionAbout(ruled, about)) waiting.set(about, 'asked');
    if (about === null && against.length > 0) waiting.set(field, 'conflict');
  }
  return waiting;
}

/** Puts what people decided over what the machine read. */
export function applyCorrections<C extends Decision>({ marks, notes }: AsRead, corrections: readonly C[]): Final<C> {
  const ruled = rulings(corrections);
  const text = (field: string, read: string | null): string | null => {
    const value = decided(ruled, field);
    return value === null ? read : value === '' ? null : value;
  };
  const values = [...marks.values];
  for (const [field, { value }] of ruled) {
    const question = questionOf(field);
    // A question that the sheet has not: a decision of another template's time.
    if (question === null || value === null || values[question - 1] == null) continue;
    values[question - 1] = value;
  }
  const isVoid = decided(ruled, 'void') === 'true';
  const group = decided(ruled, 'group');
  return {
    marks: {
      roll: text('roll', marks.roll),
      variant: text('variant', marks.variant),
      values,
      doubtful: waitingFields(notes, ruled).size,
      doubtful_unlisted: waitingFields(notes, ruled, true).size,
    },
    void: isVoid,
    group: group === null || !/^\d{1,6}$/.test(group) ? null : Number(group),
    task_id: decided(ruled, 'task') || null,
    rulings: ruled,
  };
}

/** A scored sheet as its row of record has it. */
export type ResultColumns = Omit<MarkedScore, 'unscored'> & { unscored: Unscored | null };

/**
 * What a sheet's score comes to.
 * @param held by the wrong-key detector, until a supervisor has looked
 * @param known_task false while the sheet's task does not exist yet, or it has none
 * @param other_template the page says that it is another sheet than its task's
 */
export function resultOf(
  scored: MarkedScore,
  { held, known_task, other_template = false }: { held: boolean; known_task: boolean; other_template?: boolean },
  isVoid = false,
): ResultColumns {
  const nothing = { score: null, max_score: null, correct: null, wrong: null };
  if (isVoid) return { ...scored, ...nothing, unscored: 'void' };
  if (scored.unscored === 'no-key')
    return { ...scored, unscored: other_template ? 'other-template' : known_task ? 'no-key' : 'no-task' };
  if (scored.unscored !== null || !held) return scored;
  return { ...scored, ...nothing, unscored: 'suspect-key' };
}

/** What is wrong with deciding `value` for `field`, in words; null when nothing is. `questions`: of the sheet; null: unread */
export function wrongWith(field: string, value: string | null, questions: number | null): string | null {
  const about = askedAbout(field);
  if (about !== null) {
    if (value !== null && value !== 'true') return 'a question to a supervisor is true, or taken back';
    return wrongWith(about, value === null ? null : '', questions);
  }
  if (value === null) return null;
  switch (field) {
    case 'void':
      return value === 'true' || value === 'false' ? null : 'void is true or false';
    case 'task':
      return /^\d{8}$/.test(value) ? null : 'a task has 8 digits';
    case 'opens':
      return /^(\d{8}|join|set-aside)$/.test(value) ? null : 'a group opens with a task of 8 digits, join or set-aside';
    case 'group':
      return /^\d{1,6}$/.test(value) ? null : 'a group is named by the index of one of its pages';
  }
  if (questions === null) return 'the page was not read as a sheet: void it, or scan it again';
  const question = questionOf(field);
  if (question !== null && question > questions) return `the sheet has ${questions} questions`;
  if (question === null && value.includes('|')) return `${field} has one value`;
  return null;
}
