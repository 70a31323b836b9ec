// An answer key as a grid, item × booklet: what stands in a cell, and what the key becomes when somebody types in one.
// Pure; the notation is the one of the paste parser.
import type { KeyContent, KeyItem } from '../../../shared/protocol/key.ts';
import { acceptedOf } from '../../../shared/scoring/paste.ts';

export const EMPTY_KEY: KeyContent = { answers: { '': [] }, marks: { correct: 1, wrong: 0, blank: 0 } };
/** The wire takes no more of either. */
export const MOST_QUESTIONS = 1000;
const LONGEST_ANSWER = 64;

export const bookletsOf = (content: KeyContent): string[] => Object.keys(content.answers);
export const questionCount = (content: KeyContent): number =>
  Math.max(0, ...Object.values(content.answers).map((answers) => answers.length));

const isCell = (variant: string, question: number) => (item: KeyItem) =>
  item.variant === variant && item.question === question;

/** As people write it: `B`, `B / D` (either), `A+C` (together), `void`, `bonus`, '' for none. */
export function shown(content: KeyContent, variant: string, question: number): string {
  const kind = content.items?.find(isCell(variant, question))?.kind;
  if (kind) return kind;
  const accepted = content.answers[variant]?.[question - 1] ?? '';
  return accepted
    .split(' ')
    .map((together) => together.replaceAll('|', '+'))
    .join(' / ');
}

/** Rows of grids with blanks (`1_3`) are no word of the paste parser. */
const GRID_ANSWER = /^[0-9A-Z._-]*_[0-9A-Z._-]*$/;

/** The key with another answer in one cell; null when the text cannot be read. The answer of a void item is kept. */
export function setCell(content: KeyContent, variant: string, question: number, text: string): KeyContent | null {
  const typed = text.trim();
  const kind = /^(void|bonus)$/i.exec(typed)?.[1]?.toLowerCase() as 'void' | 'bonus' | undefined;
  const answers = [...(content.answers[variant] ?? [])];
  const others = (content.items ?? []).filter((item) => !isCell(variant, question)(item));
  const { kind: _, ...before } = content.items?.find(isCell(variant, question)) ?? { variant, question };
  if (!kind) {
    const upper = typed.toUpperCase();
    const accepted = GRID_ANSWER.test(upper) ? upper : acceptedOf(typed);
    if (accepted === null || accepted.length > LONGEST_ANSWER) return null;
    answers[question - 1] = accepted;
  }
  while (answers.length < question) answers.push('');
  for (let i = 0; i < answers.length; i++) answers[i] ??= '';
  const item: KeyItem = kind ? { ...before, kind } : before;
  const items = Object.keys(item).length > 2 ? [...others, item] : others;
  return withItems({ ...content, answers: { ...content.answers, [variant]: answers } }, items);
}

function withItems({ items: _, ...content }: KeyContent, items: KeyItem[]): KeyContent {
  return items.length > 0 ? { ...content, items } : content;
}

/** Every booklet gets as many questions: answers beyond are cut off, new ones are empty. */
export function resize(content: KeyContent, questions: number): KeyContent {
  const answers = Object.fromEntries(
    Object.entries(content.answers).map(([variant, list]) => [
      variant,
      Array.from({ length: questions }, (_, i) => list[i] ?? ''),
    ]),
  );
  return withItems(
    { ...content, answers },
    (content.items ?? []).filter(({ question }) => question <= questions),
  );
}

/** The next letter that no booklet has; a key without booklets becomes booklet A and an empty B. */
export function addBooklet(content: KeyContent): KeyContent {
  const named = renameBooklet(content, '', 'A');
  const free = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].find((letter) => !Object.hasOwn(named.answers, letter));
  if (free === undefined) return named;
  const empty = Array.from({ length: questionCount(named) }, () => '');
  return { ...named, answers: { ...named.answers, [free]: empty } };
}

function renameBooklet(content: KeyContent, from: string, to: string): KeyContent {
  if (!Object.hasOwn(content.answers, from)) return content;
  const answers = Object.fromEntries(
    Object.entries(content.answers).map(([variant, list]) => [variant === from ? to : variant, list]),
  );
  const items = (content.items ?? []).map((item) => (item.variant === from ? { ...item, variant: to } : item));
  return withItems({ ...content, answers }, items);
}

/** Takes the last booklet away; what is left alone holds for every booklet. */
export function removeBooklet(content: KeyContent): KeyContent {
  const names = bookletsOf(content);
  const last = names.at(-1);
  if (names.length < 2 || last === undefined) return content;
  const { [last]: _, ...answers } = content.answers;
  const left = withItems(
    { ...content, answers },
    (content.items ?? []).filter(({ variant }) => variant !== last),
  );
  return names.length === 2 ? renameBooklet(left, names[0] ?? '', '') : left;
}

/** Questions in blocks that stand beside each other, as on the sheet: first and last of each. */
export function blocksOf(questions: number, size: number): { from: number; to: number }[] {
  return Array.from({ length: Math.ceil(questions / size) }, (_, i) => ({
    from: i * size + 1,
    to: Math.min(questions, (i + 1) * size),
  }));
}
