// What came of a run, counted: the four numbers that must be nought, and how much was done to bring them about.
import type { FaultKind } from './plan.ts';

export interface Outcome {
  faults: number;
  /** those that struck while an upload was between its first byte and its seal */
  faults_on_active_uploads: number;
  by_kind: Partial<Record<FaultKind, number>>;
  uploads: number;
  /** chunks that are neither on the device nor verified, sheets that are missing */
  lost: number;
  /** batches, chunks or sheets that are there more than once */
  duplicated: number;
  /** bytes or readings that are not those of the file */
  corrupted: number;
  /** uploads that did not arrive, batches that did not end */
  stuck: number;
  /** a line each: what was found, and where */
  complaints: string[];
}
export type Harm = 'lost' | 'duplicated' | 'corrupted' | 'stuck';

export const nothing = (): Outcome => ({
  faults: 0,
  faults_on_active_uploads: 0,
  by_kind: {},
  uploads: 0,
  lost: 0,
  duplicated: 0,
  corrupted: 0,
  stuck: 0,
  complaints: [],
});

export const isHarmed = (outcome: Outcome): boolean =>
  outcome.lost + outcome.duplicated + outcome.corrupted + outcome.stuck > 0;

/** Notes harm once, however often it is looked at. */
export function complain(outcome: Outcome, harm: Harm, what: string): void {
  const line = `${harm}: ${what}`;
  if (outcome.complaints.includes(line)) return;
  outcome.complaints.push(line);
  outcome[harm] += 1;
}

export function struck(outcome: Outcome, kind: FaultKind, onActiveUpload: boolean): void {
  outcome.faults += 1;
  if (onActiveUpload) outcome.faults_on_active_uploads += 1;
  outcome.by_kind[kind] = (outcome.by_kind[kind] ?? 0) + 1;
}

export function add(sum: Outcome, more: Outcome): void {
  for (const key of [
    'faults',
    'faults_on_active_uploads',
    'uploads',
    'lost',
    'duplicated',
    'corrupted',
    'stuck',
  ] as const)
    sum[key] += more[key];
  for (const [kind, count] of Object.entries(more.by_kind) as [FaultKind, number][])
    sum.by_kind[kind] = (sum.by_kind[kind] ?? 0) + count;
  sum.complaints.push(...more.complaints);
}
