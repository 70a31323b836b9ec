// What waits for a reviewer, in an order that helps. Pure: from the pages of kept batches, with people's decisions over
// them, to a list of single fields to look at.
import type { Me } from '../../../shared/protocol/auth.ts';
import type { Correction } from '../../../shared/protocol/correction.ts';
import type { FieldFlag } from '../../../shared/protocol/reading.ts';
import { questionAbout, type Ruling, type Waiting, weightOf } from '../../../shared/review.ts';
import { questionOf, unpackValues } from '../../../shared/scoring/marks.ts';
import { unpackNotes } from '../../../shared/scoring/notes.ts';
import { pageOf, revOf } from '../../../shared/sheet-line.ts';
import type { DecidedPage } from '../../sync/decisions.ts';

/** What kind of doubt it is; the worst of what the engine said of the field. */
export const KINDS = [
  'multiple',
  'erased',
  'faint',
  'scribble',
  'tick',
  'outside',
  'unsure',
  'roll',
  'variant',
] as const;
export type Kind = (typeof KINDS)[number];

/** One field of one page that somebody has to look at. */
export interface Doubt {
  /** the same as long as it is the same question to a person */
  key: string;
  page: DecidedPage;
  field: string;
  why: Waiting | 'second';
  kind: Kind;
  /** as the machine read it */
  read: string;
  /** 0 to 1; null: the engine did not remark on it */
  confidence: number | null;
  ruling: Ruling | null;
  /** what a supervisor was asked, and by whom */
  asked: Correction | null;
}

const MARKS: readonly FieldFlag[] = ['multiple', 'erased', 'faint', 'scribble', 'tick', 'outside'];
function kindOf(field: string, flags: readonly FieldFlag[]): Kind {
  if (field === 'roll' || field === 'variant') return field;
  return (MARKS.find((mark) => flags.includes(mark)) as Kind | undefined) ?? 'unsure';
}

/** What stands in a field of a sheet as it was read. */
export function readIn({ line }: Pick<DecidedPage, 'line'>, field: string): string {
  if (field === 'roll') return line[9] ?? '';
  if (field === 'variant') return line[10] ?? '';
  const question = questionOf(field);
  return question === null ? '' : (unpackValues(line[12], line[11])[question - 1] ?? '');
}

function doubt(page: DecidedPage, field: string, why: Doubt['why'], notes: ReturnType<typeof unpackNotes>): Doubt {
  const note = notes.find(({ label }) => label === field);
  return {
    key: `${page.sheet_id} ${field} ${why}`,
    page,
    field,
    why,
    kind: kindOf(field, note?.flags ?? []),
    read: readIn(page, field),
    confidence: note?.confidence ?? null,
    ruling: page.ruled.get(field) ?? null,
    asked: questionAbout(page.ruled, field),
  };
}

type Who = Pick<Me, 'user_id' | 'role'>;

export interface Waits {
  mine: Doubt[];
  /** asked of a supervisor, whom this person is not */
  elsewhere: number;
}

/** What this person can decide, in the order of the file. */
export function waits(pages: readonly DecidedPage[], me: Who): Waits {
  const found: Waits = { mine: [], elsewhere: 0 };
  for (const page of pages) {
    if (page.waiting.size === 0) continue;
    const notes = unpackNotes(page.line[13]);
    for (const [field, why] of page.waiting) {
      if (why === 'asked' && weightOf(me.role) < 2) found.elsewhere++;
      else found.mine.push(doubt(page, field, why, notes));
    }
  }
  return found;
}

const decisions = ({ standing, against, agreeing, overruled }: Ruling): Correction[] => [
  standing,
  ...against,
  ...agreeing,
  ...overruled,
];

/** What one other person has decided, for a second reading by somebody who is not shown the first. */
export function secondReadings(pages: readonly DecidedPage[], me: Who): Doubt[] {
  return pages.flatMap((page) => {
    if (page.ruled.size === 0 || page.line[3] !== 'sheet' || page.ruled.get('void')?.value === 'true') return [];
    const notes = unpackNotes(page.line[13]);
    return [...page.ruled.values()]
      .filter(({ field, value }) => value !== null && /^(q\d+|roll|variant)$/.test(field))
      .filter((ruling) => decisions(ruling).length === 1 && ruling.standing.user_id !== me.user_id)
      .filter(({ field }) => questionAbout(page.ruled, field) === null)
      .map(({ field }) => doubt(page, field, 'second', notes));
  });
}

/** What a decision is made upon: whoever reads a second time has not seen the first decision of that field. */
export function baseOf({ why, page, ruling }: Doubt): number {
  const seen = revOf(page.line);
  if (why !== 'second' || !ruling) return seen;
  return Math.min(seen, ...decisions(ruling).map(({ rev }) => rev - 1));
}

export const ORDERS = ['worst', 'page', 'kind'] as const;
export type Order = (typeof ORDERS)[number];

const URGENCY: Readonly<Record<Doubt['why'], number>> = { conflict: 0, asked: 1, doubt: 2, second: 2 };
/** Down the sheet: whose it is, which booklet, the questions. */
const placeOf = (field: string): number => questionOf(field) ?? (field === 'roll' ? -1 : 0);
const byPage = (a: Doubt, b: Doubt): number =>
  a.page.batch.localeCompare(b.page.batch) ||
  pageOf(a.page.line) - pageOf(b.page.line) ||
  placeOf(a.field) - placeOf(b.field);

/** Worst first: what people disagree about, what was asked, then the least sure. By kind: like beside like. However the
 *  doubts come, each order is the same: one that is undone stands where it stood. */
export function inOrder(doubts: readonly Doubt[], order: Order): Doubt[] {
  const by: Record<Order, (a: Doubt, b: Doubt) => number> = {
    worst: (a, b) => URGENCY[a.why] - URGENCY[b.why] || (a.confidence ?? 0) - (b.confidence ?? 0) || byPage(a, b),
    page: byPage,
    kind: (a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.read.localeCompare(b.read) || byPage(a, b),
  };
  return [...doubts].sort(by[order]);
}

export interface Alike {
  name: string;
  read: string;
  kind: Kind;
  doubts: Doubt[];
}

/** Doubts that were read alike for the same reason, the most numerous first: whoever sees many at once sees the odd one. */
export function alike(doubts: readonly Doubt[]): Alike[] {
  const groups = new Map<string, Alike>();
  for (const one of inOrder(doubts, 'page')) {
    // What the engine was sure of waits for another reason than its looks.
    if (one.why !== 'doubt' || one.kind === 'roll' || one.confidence === null) continue;
    const name = `${one.kind} ${one.read}`;
    const group = groups.get(name);
    if (group) group.doubts.push(one);
    else groups.set(name, { name, read: one.read, kind: one.kind, doubts: [one] });
  }
  return [...groups.values()].sort((a, b) => b.doubts.length - a.doubts.length || (a.name < b.name ? -1 : 1));
}
