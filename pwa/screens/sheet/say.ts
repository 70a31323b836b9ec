// Fields and values of a page's history in words.
import { askedAbout } from '../../../shared/review.ts';
import { fieldWord, valueWord } from '../review/say.ts';
import { sheetWords } from './words.ts';

export function fieldName(label: string): string {
  const about = askedAbout(label);
  return about === null ? fieldWord(label) : sheetWords().askedField({ field: fieldWord(about) });
}

/** @param value as a reading or a decision writes it; null: nobody’s word, what the machine read counts */
export const valueName = (label: string, value: string | null): string =>
  // A group is named by a page of it, counted from 0.
  label === 'group' && value !== null ? sheetWords().page({ n: Number(value) + 1 }) : valueWord(value);
