// What scoring needs of a sheet, and nothing else: a few hundred letters instead of the whole reading. It is kept beside
// the reading, so that a changed key scores a batch again without a reading being parsed or an image being opened.
import type { FieldReading, SheetReading } from '../protocol/reading.ts';

export interface Marks {
  /** as read, '_' a blank and '?' a doubly marked column; null when there is none or it is blank */
  roll: string | null;
  /** null when there is none, or not exactly one is marked */
  variant: string | null;
  /** by question from the first on: '' blank, 'B', 'A|C'; null where the sheet has no such question */
  values: readonly (string | null)[];
  /** fields that wait for a person, roll and variant among them */
  doubtful: number;
  /** the same where the key has no answers for the variant: without them there is no score, so the variant waits too */
  doubtful_unlisted: number;
}

/** Several marks where one is meant, or a column of a number with several. */
export const several = (value: string): boolean => value.includes('|') || value.includes('?');

/** `q7` → 7, anything else → null. Without a pattern, since a big batch asks millions of times. */
export const questionOf = (label: string): number | null => {
  if (label.charCodeAt(0) !== 113 || label.length < 2) return null;
  let question = 0;
  for (let i = 1; i < label.length; i++) {
    const digit = label.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return null;
    question = question * 10 + digit;
  }
  return question;
};

export function marksOf(reading: Pick<SheetReading, 'fields'>): Marks {
  const find = (label: string): FieldReading | undefined => reading.fields.find((field) => field.label === label);
  const roll = find('roll')?.value ?? '';
  const variant = find('variant');
  const values: (string | null)[] = [];
  for (const { label, value } of reading.fields) {
    const question = questionOf(label);
    if (question === null) continue;
    while (values.length < question) values.push(null);
    // a number of which no column is marked is left blank like any other answer
    values[question - 1] = /^_+$/.test(value) ? '' : value;
  }
  const doubtful = reading.fields.filter((field) => field.flags.includes('doubtful')).length;
  return {
    roll: /^_*$/.test(roll) ? null : roll,
    variant: variant && variant.value !== '' && !several(variant.value) ? variant.value : null,
    values,
    doubtful,
    doubtful_unlisted: variant?.flags.includes('doubtful') ? doubtful : doubtful + 1,
  };
}

/** A question that is not on the sheet; no value of a field is a bar alone. */
const ABSENT = '|';

/** Values as one line of text. No option holds a space, so that one may stand between two. */
export const packValues = (values: Marks['values']): string => values.map((value) => value ?? ABSENT).join(' ');
/** The line of a sheet without questions is empty, and so is that of one blank question: `count` tells them apart. */
export const unpackValues = (text: string, count: number): (string | null)[] =>
  count === 0 ? [] : text.split(' ').map((value) => (value === ABSENT ? null : value));
