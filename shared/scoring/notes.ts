// What a person may have to look at on a sheet, and how much is left to chance on the rest: kept beside the marks, a few
// letters a sheet, so that a list of doubts asks no reading.
import { FIELD_FLAGS, type FieldFlag, type SheetReading } from '../protocol/reading.ts';

/** What the engine said of a field that it did not read without a second thought. */
export interface FieldNote {
  label: string;
  /** 0 to 1, in hundredths */
  confidence: number;
  flags: readonly FieldFlag[];
}

/** Fields with any flag but `blank`, in the sheet's order. */
export const notesOf = ({ fields }: Pick<SheetReading, 'fields'>): FieldNote[] =>
  fields
    .filter(({ flags }) => flags.some((flag) => flag !== 'blank'))
    .map(({ label, confidence, flags }) => ({ label, confidence: Math.round(confidence * 100) / 100, flags }));

/** Wrong values to be expected among the fields that nobody is asked about: the sum of what confidence leaves open. */
export const riskOf = ({ fields }: Pick<SheetReading, 'fields'>): number => {
  const sure = fields.filter(({ flags }) => !flags.includes('doubtful'));
  return Math.round(sure.reduce((sum, { confidence }) => sum + 1 - confidence, 0) * 1e4) / 1e4;
};

/** `q17:63:dm q18:91:f`: label, hundredths, one letter a flag. */
const LETTERS: Readonly<Record<FieldFlag, string>> = {
  blank: 'b',
  multiple: 'm',
  faint: 'f',
  erased: 'e',
  outside: 'o',
  tick: 't',
  scribble: 's',
  doubtful: 'd',
};

export const packNotes = (notes: readonly FieldNote[]): string =>
  notes
    .map(
      ({ label, confidence, flags }) =>
        `${label}:${Math.round(confidence * 100)}:${flags.map((flag) => LETTERS[flag]).join('')}`,
    )
    .join(' ');

/** Parts that are none are left out. */
export const unpackNotes = (text: string): FieldNote[] =>
  text.split(' ').flatMap((part) => {
    const [, label, hundredths, letters] = /^(\w+):(\d+):([a-z]*)$/.exec(part) ?? [];
    if (label === undefined || letters === undefined) return [];
    return [
      {
        label,
        confidence: Number(hundredths) / 100,
        flags: FIELD_FLAGS.filter((flag) => letters.includes(LETTERS[flag])),
      },
    ];
  });
