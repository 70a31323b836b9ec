// Fields and values of a page in words.
import { askedAbout } from '../../../shared/review.ts';
import { questionOf } from '../../../shared/scoring/marks.ts';
import { sheetWords } from './words.ts';

export function fieldName(label: string): string {
  const t = sheetWords();
  const about = askedAbout(label);
  if (about !== null) return t.askedField({ field: fieldName(about) });
  const question = questionOf(label);
  if (question !== null) return t.question({ n: question });
  const NAMES: Record<string, string> = {
    roll: t.roll,
    variant: t.variant,
    task: t.task,
    group: t.group,
    void: t.voided,
  };
  return NAMES[label] ?? label;
}

/** @param value as a reading or a decision writes it; null: nobody’s word, what the machine read counts */
export function valueName(label: string, value: string | null): string {
  const t = sheetWords();
  if (value === null) return t.asRead;
  if (label === 'void' || askedAbout(label) !== null) return value === 'true' ? t.yes : t.no;
  // A group is named by a page of it, counted from 0.
  if (label === 'group') return t.page({ n: Number(value) + 1 });
  if (value === '' || /^_+$/.test(value)) return t.blank;
  return value.includes('|') ? t.several({ options: value.replaceAll('|', ' + ') }) : value;
}
