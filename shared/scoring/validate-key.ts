// Says exactly what is wrong with an answer key, against the sheet it is for where that is known.
import type { KeyContent, KeyProblem } from '../protocol/key.ts';
import { numberOf } from './score.ts';

/** What a sheet asks, as far as a key must agree with it. */
export interface SheetShape {
  questions: Map<number, { kind: 'choice' | 'grid'; options: readonly string[]; columns: number }>;
  /** letters of its booklet field, null when it has none */
  variants: readonly string[] | null;
}

type Level = KeyProblem['level'];
type Code = KeyProblem['code'];

/** 'A–E' for letters in a row, else all of them. */
const span = (options: readonly string[]): string => {
  const inRow = options.every(
    (option, i) => option.length === 1 && option.charCodeAt(0) - options[0]!.charCodeAt(0) === i,
  );
  return inRow && options.length > 2 ? `${options[0]}–${options.at(-1)}` : options.join(', ');
};

/** '3, 6–60' */
const ranges = (numbers: readonly number[]): string => {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? from : `${from}–${to}`)).join(', ');
};

/** @returns errors first, then warnings; none when all is well */
export function validateKey(content: KeyContent, sheet: SheetShape | null): KeyProblem[] {
  const problems: KeyProblem[] = [];
  const add = (level: Level, code: Code, variant: string | null, question: number | null, message: string): void => {
    const where = variant ? `Booklet ${variant}: ` : '';
    problems.push({ level, code, variant, question, message: where + message });
  };
  const names = Object.keys(content.answers);
  const last = sheet ? Math.max(0, ...sheet.questions.keys()) : null;
  const lengths = names.map((name) => content.answers[name]!.length);
  if (lengths.every((length) => length === 0)) add('error', 'empty', null, null, 'The key has no answers.');
  if (names.length > 1 && names.includes('')) {
    add(
      'error',
      'variant-unknown',
      '',
      null,
      'Answers without a booklet stand beside those of booklets. Name their booklet.',
    );
  }
  for (const name of names) {
    if (name !== '' && sheet?.variants && !sheet.variants.includes(name)) {
      add('error', 'variant-unknown', name, null, `the sheet has booklets ${span(sheet.variants)} only.`);
    }
  }
  if (sheet?.variants && names.length > 1) {
    for (const name of sheet.variants.filter((variant) => !names.includes(variant))) {
      add(
        'warning',
        'variant-missing',
        name,
        null,
        'the sheet has it, the key does not. Its sheets will not be scored.',
      );
    }
  }

  for (const name of names) {
    const answers = content.answers[name]!;
    const items = new Map((content.items ?? []).filter((i) => i.variant === name).map((i) => [i.question, i]));
    const upTo = Math.max(answers.length, last ?? 0, ...lengths);
    const unanswered: number[] = [];
    for (let question = 1; question <= upTo; question++) {
      const accepted = answers[question - 1] ?? '';
      const asked = sheet?.questions.get(question);
      const item = items.get(question);
      if (sheet && !asked) {
        if (accepted !== '')
          add(
            'error',
            'question-beyond-sheet',
            name,
            question,
            `question ${question} of ${last}: the sheet has no such question.`,
          );
        continue;
      }
      if (accepted === '') {
        if (item?.kind) continue;
        if (!answers.slice(question).some((text) => text !== '')) unanswered.push(question);
        else
          add(
            'error',
            'question-missing',
            name,
            question,
            `question ${question} has no answer, and questions after it have. Give it one, or make it void.`,
          );
        continue;
      }
      for (const alternative of accepted.split(' ')) {
        if (item?.tolerance !== undefined) {
          if (numberOf(alternative) === null)
            add('error', 'number-unreadable', name, question, `question ${question}: '${alternative}' is no number.`);
          continue;
        }
        if (!asked) continue;
        if (asked.kind === 'grid') {
          const strange = [...alternative].find((letter) => letter !== '_' && !asked.options.includes(letter));
          if (strange !== undefined)
            add(
              'error',
              'option-unknown',
              name,
              question,
              `question ${question}: '${strange}' is none of ${span(asked.options)}.`,
            );
          else if (alternative.length !== asked.columns)
            add(
              'error',
              'option-unknown',
              name,
              question,
              `question ${question}: '${alternative}' has ${alternative.length} characters and the grid ${asked.columns} columns. Write _ for a blank one, or give it a tolerance.`,
            );
          continue;
        }
        const marks = alternative.split('|');
        for (const option of marks) {
          if (!asked.options.includes(option))
            add(
              'error',
              'option-unknown',
              name,
              question,
              `question ${question}: option ${option || '(none)'} of ${span(asked.options)}.`,
            );
        }
        if (new Set(marks).size < marks.length)
          add(
            'error',
            'question-duplicate',
            name,
            question,
            `question ${question}: ${alternative} names an option twice.`,
          );
      }
      const alternatives = accepted.split(' ');
      if (new Set(alternatives).size < alternatives.length)
        add('warning', 'question-duplicate', name, question, `question ${question}: ${accepted} says the same twice.`);
    }
    // one line, however many: a key that ends early is one thing to look at
    const [first] = unanswered;
    if (first !== undefined)
      add(
        'warning',
        'question-missing',
        name,
        first,
        unanswered.length === 1
          ? `question ${first} has no answer and will not count.`
          : `questions ${ranges(unanswered)} have no answer and will not count.`,
      );
  }

  const { sections = [], items = [] } = content;
  const longest = Math.max(0, ...lengths);
  for (const [i, { name, from, to }] of sections.entries()) {
    if (from > to)
      add('error', 'section-range', null, from, `Section ${name} ends at ${to}, before it begins at ${from}.`);
    else if (to > longest)
      add('error', 'section-range', null, to, `Section ${name} goes to question ${to}, the key to ${longest}.`);
    for (const other of sections.slice(i + 1)) {
      if (from <= other.to && other.from <= to)
        add(
          'error',
          'section-overlap',
          null,
          Math.max(from, other.from),
          `Sections ${name} and ${other.name} both have question ${Math.max(from, other.from)}.`,
        );
    }
  }
  const met = new Set<string>();
  for (const { variant, question } of items) {
    if (!Object.hasOwn(content.answers, variant) || question > content.answers[variant]!.length)
      add(
        'error',
        'item-unknown',
        variant,
        question,
        `there are rules for question ${question}, which the key does not have.`,
      );
    const which = `${variant} ${question}`;
    if (met.has(which)) add('error', 'item-duplicate', variant, question, `question ${question} has rules twice.`);
    met.add(which);
  }
  for (const [where, marks] of [
    ['The key', content.marks],
    ...sections.map((section) => [`Section ${section.name}`, section.marks ?? {}] as const),
    ...items.map((item) => [`Question ${item.question}`, item.marks ?? {}] as const),
  ] as const) {
    if (marks.correct !== undefined && marks.correct <= 0)
      add('warning', 'marks-odd', null, null, `${where} gives ${marks.correct} points for a right answer.`);
    if (marks.wrong !== undefined && marks.wrong > 0)
      add('warning', 'marks-odd', null, null, `${where} gives ${marks.wrong} points for a wrong answer.`);
  }
  return [...problems.filter(({ level }) => level === 'error'), ...problems.filter(({ level }) => level === 'warning')];
}
