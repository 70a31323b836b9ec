// Marks × key → score: pure and cheap, so that a changed key re-scores every sheet without an image being read again.
import type { AnswerRow } from '../protocol/batch.ts';
import type { KeyContent } from '../protocol/key.ts';
import type { FieldReading, SheetReading } from '../protocol/reading.ts';

export interface SheetScore {
  /** as read, '_' a blank and '?' a doubly marked column; null when there is none or it is blank */
  roll: string | null;
  /** null when there is none, or not exactly one is marked */
  variant: string | null;
  /** points; null when the sheet is not scored */
  score: number | null;
  max_score: number | null;
  correct: number | null;
  /** one mark, not the accepted one */
  wrong: number | null;
  blank: number;
  /** several marks that are not the accepted answer: they take the points of a wrong one */
  multiple: number;
  /** fields a person must look at: doubtful ones, roll and variant among them, and a variant without which no score is */
  doubtful: number;
  /** why there is no score */
  unscored: null | 'no-key' | 'variant-unread' | 'variant-unknown';
  answers: AnswerRow[];
}

/**
 * Scores a sheet by the key of its booklet variant. A question without an accepted answer (`''`, or beyond the key's
 * end) is outside the score: no points, no maximum. With several variants in the key and none read, or one read that
 * the key lacks, the sheet is not scored at all. A key whose only variant is `''` holds for every booklet.
 */
export const scoreSheet = (reading: SheetReading, key: KeyContent | null): SheetScore => {
  const find = (label: string): FieldReading | undefined => reading.fields.find((field) => field.label === label);
  const rollField = find('roll');
  const variantField = find('variant');
  const roll = rollField && !/^_*$/.test(rollField.value) ? rollField.value : null;
  const variant = variantField && variantField.value !== '' && !several(variantField) ? variantField.value : null;
  const { accepted, unscored } = keyFor(key, variant);

  const counts = { correct: 0, wrong: 0, blank: 0, multiple: 0 };
  let [score, most] = [0, 0];
  const answers: AnswerRow[] = [];
  for (const field of reading.fields) {
    const question = questionOf(field.label);
    if (question === null) continue;
    const expected = accepted?.[question - 1] ?? '';
    const row: AnswerRow = {
      question,
      value: field.value,
      confidence: field.confidence,
      flags: field.flags,
      accepted: expected === '' ? null : expected,
      correct: null,
      points: null,
    };
    answers.push(row);
    if (field.value === '') counts.blank++;
    else if (several(field) && !same(field.value, expected)) counts.multiple++;
    if (!key || expected === '') continue;
    row.correct = same(field.value, expected);
    const { marks } = key;
    row.points = field.value === '' ? marks.blank : row.correct ? marks.correct : marks.wrong;
    score += row.points;
    most += marks.correct;
    if (row.correct) counts.correct++;
    else if (field.value !== '' && !several(field)) counts.wrong++;
  }
  const doubtful = reading.fields.filter((field) => field.flags.includes('doubtful')).length;
  // an unread variant costs the whole score: it is counted even where the engine is sure that it was left blank
  const unseen = unscored !== null && unscored !== 'no-key' && !variantField?.flags.includes('doubtful') ? 1 : 0;
  const scored = unscored === null;
  return {
    roll,
    variant,
    score: scored ? exact(score) : null,
    max_score: scored ? exact(most) : null,
    correct: scored ? counts.correct : null,
    wrong: scored ? counts.wrong : null,
    blank: counts.blank,
    multiple: counts.multiple,
    doubtful: doubtful + unseen,
    unscored,
    answers,
  };
};

const keyFor = (
  key: KeyContent | null,
  variant: string | null,
): { accepted: readonly string[] | null; unscored: SheetScore['unscored'] } => {
  if (!key) return { accepted: null, unscored: 'no-key' };
  const names = Object.keys(key.answers);
  if (names.length === 1 && (names[0] === '' || variant === null)) {
    return { accepted: key.answers[names[0]!]!, unscored: null };
  }
  if (variant === null) return { accepted: null, unscored: 'variant-unread' };
  if (!Object.hasOwn(key.answers, variant)) return { accepted: null, unscored: 'variant-unknown' };
  return { accepted: key.answers[variant]!, unscored: null };
};

const questionOf = (label: string): number | null => {
  const found = /^q(\d+)$/.exec(label);
  return found ? Number(found[1]) : null;
};

const several = ({ value }: { value: string }): boolean => value.includes('|') || value.includes('?');

/** 'C|A' accepts what was read as 'A|C'. */
const same = (value: string, expected: string): boolean =>
  value === expected || (value.includes('|') && value === expected.split('|').sort().join('|'));

/** Sums of tenths and quarters without the last bits of binary fractions. */
const exact = (points: number): number => Math.round(points * 1e6) / 1e6;
