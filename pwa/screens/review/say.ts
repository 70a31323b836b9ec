// Fields, values and keys in words.
import { questionOf } from '../../../shared/scoring/marks.ts';
import type { Kind } from './queue.ts';
import { reviewWords } from './words.ts';

export function fieldWord(field: string): string {
  const t = reviewWords();
  const question = questionOf(field);
  if (question !== null) return t.question({ n: question });
  switch (field) {
    case 'roll':
      return t.roll;
    case 'variant':
      return t.variant;
    case 'task':
      return t.task;
    case 'group':
      return t.group;
    case 'void':
      return t.voided;
    default:
      return t.begins;
  }
}

/** `A|C` is two marks; nothing is said with a word. */
export function valueWord(value: string | null): string {
  const t = reviewWords();
  if (value === null) return t.asRead;
  if (value === '' || /^_+$/.test(value)) return t.blank;
  if (value === 'true') return t.yes;
  return value === 'false' ? t.no : value.replaceAll('|', ' + ');
}

export const kindWord = (kind: Kind): string => reviewWords()[kind];

/** What is pressed, and what it does: here and in the help. */
export const reviewKeys = (): [string, string][] => {
  const t = reviewWords();
  return [
    ['A…E', t.keyOption],
    ['1…9', t.keyNth],
    ['Shift A', t.keyAdd],
    ['Space', t.accept],
    ['-', t.blank],
    ['U', t.ask],
    ['S', t.skip],
    ['Z', t.keyUndo],
    ['← →', `${t.previous}, ${t.next}`],
  ];
};
