// Answer keys as people have them: typed in a mail, copied from a document or a spreadsheet, or as the CSV that Sheaf
// writes. Reading says line by line what it could not understand, and guesses nothing.
import type { KeyContent, KeyItem, KeyProblem } from '../protocol/key.ts';

export interface Pasted {
  /** null when nothing could be read */
  content: KeyContent | null;
  problems: KeyProblem[];
}

const MARKS: KeyContent['marks'] = { correct: 1, wrong: 0, blank: 0 };
const OR = /\s*(?:\/|,|\bor\b)\s*/i;
const AND = /\s*(?:\||\+|&|\band\b)\s*/i;

/** 'B', 'b or d', 'B/D', 'A and C', 'A+C' in the key's own notation. Null when it is none of these. */
export function acceptedOf(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === '-') return '';
  const alternatives = trimmed.split(OR).map((alternative) => {
    const marks = alternative.split(AND).map((mark) => mark.trim());
    return marks.every((mark) => /^(?:[A-Za-z]|[-+]?\d+(?:[.]\d+)?)$/.test(mark))
      ? marks
          .map((mark) => mark.toUpperCase())
          .sort()
          .join('|')
      : null;
  });
  return alternatives.includes(null) ? null : alternatives.join(' ');
}

/** Reads loose text. Forms, which may be mixed:
 *  - `1. B`, `1) B`, `1: b or d`, `1 - A and C`, several to a line too
 *  - `BCADE BCADE` or `B C A D E`: the next questions, in order
 *  - `Booklet A`, `Variant B:`, `Set C`, `A:` on a line of its own, or before its answers, begins a booklet
 *  - columns: a head of booklets (`Q A B C D`, tabs, commas or spaces between), then a line a question
 *  - the CSV of `keyCsv` */
export function parseKeyText(text: string): Pasted {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  const first = lines.findIndex((line) => line.trim() !== '');
  if (first < 0) return { content: null, problems: [trouble(null, null, 'empty', 'There is nothing to read.')] };
  if (/^"?variant"?,"?question"?,"?answer"?/i.test(lines[first]!.trim())) return parseKeyCsv(text);
  const columns = headOf(lines[first]!);
  return columns ? readColumns(lines, first, columns) : readLoose(lines);
}

const trouble = (
  variant: string | null,
  question: number | null,
  code: KeyProblem['code'],
  message: string,
): KeyProblem => ({ level: 'error', code, variant, question, message });

/** Collects answers by booklet and question, and what is wrong with them. */
function collector() {
  const answers = new Map<string, Map<number, string>>();
  const problems: KeyProblem[] = [];
  return {
    problems,
    put(variant: string, question: number, accepted: string, line: number): void {
      const own = answers.get(variant) ?? new Map<number, string>();
      answers.set(variant, own);
      const booklet = variant ? `booklet ${variant}, ` : '';
      if (question < 1 || question > 1000) {
        problems.push(
          trouble(
            variant,
            question,
            'question-beyond-sheet',
            `Line ${line}: ${booklet}question ${question} cannot be.`,
          ),
        );
      } else if (own.has(question)) {
        problems.push(
          trouble(
            variant,
            question,
            'question-duplicate',
            `Line ${line}: ${booklet}question ${question} is there twice.`,
          ),
        );
      } else own.set(question, accepted);
    },
    content(): KeyContent['answers'] | null {
      const lists = [...answers].filter(([, own]) => own.size > 0);
      if (lists.length === 0) return null;
      return Object.fromEntries(
        lists.map(([variant, own]) => {
          const last = Math.max(...own.keys());
          const list = Array.from({ length: last }, (_, i) => own.get(i + 1) ?? '');
          for (let question = 1; question <= last; question++) {
            if (!own.has(question)) {
              const booklet = variant ? `Booklet ${variant}: question` : 'Question';
              problems.push(
                trouble(variant, question, 'question-missing', `${booklet} ${question} is missing, ${last} is there.`),
              );
            }
          }
          return [variant, list];
        }),
      );
    },
  };
}

/** The booklets that a line heads columns of; null when it is no such line. */
function headOf(line: string): string[] | null {
  const cells = line.trim().split(/[\t;,]|\s+/);
  if (!/^(q|no|nr|item|question|#)\.?$/i.test(cells[0] ?? '')) return null;
  const names = cells.slice(1).filter((cell) => !/^(booklet|variant|set|code|version|key|answer)$/i.test(cell));
  if (cells.length === 2 && names.length === 0) return [''];
  return names.length > 0 && names.every((name) => /^[A-Za-z0-9]{1,8}$/.test(name))
    ? names.map((name) => name.toUpperCase())
    : null;
}

function readColumns(lines: readonly string[], head: number, columns: readonly string[]): Pasted {
  const into = collector();
  lines.slice(head + 1).forEach((line, i) => {
    const at = head + i + 2;
    if (line.trim() === '') return;
    const cells = /[\t;]/.test(line)
      ? line.split(/[\t;]/)
      : line.includes(',')
        ? line.split(',')
        : line.trim().split(/\s+/);
    const question = /^\s*[Qq]?(\d{1,4})[.):]?\s*$/.exec(cells[0] ?? '')?.[1];
    const found = cells.slice(1).map(acceptedOf);
    if (question === undefined || found.length > columns.length || found.includes(null)) {
      into.problems.push(
        trouble(null, null, 'line-unreadable', `Line ${at} cannot be read: ${line.trim().slice(0, 60)}`),
      );
      return;
    }
    columns.forEach((variant, c) => {
      const accepted = found[c];
      if (accepted === undefined)
        into.problems.push(
          trouble(
            variant,
            Number(question),
            'question-missing',
            `Line ${at}: booklet ${variant} has no answer to question ${question}.`,
          ),
        );
      else into.put(variant, Number(question), accepted ?? '', at);
    });
  });
  return finish(into);
}

const ONE = '(?:[A-Za-z]|-)(?![A-Za-z])';
const JOIN = String.raw`\s*(?:\/|,(?!\s*\d)|\||\+|&|\bor\b|\band\b)\s*`;
const NUMBERED = new RegExp(
  String.raw`^[\s,;]*[Qq]?(\d{1,4})\s*(?:[.):=]|\s-\s|\s|(?=[A-Za-z]\b))\s*(${ONE}(?:${JOIN}${ONE})*)`,
  'i',
);
const BOOKLET =
  /^\s*(?:(?:booklet|variant|set|code|version|series|paper)\s+([A-Za-z0-9]{1,8})\s*[:.-]?|([A-Za-z]):)\s*/i;

function readLoose(lines: readonly string[]): Pasted {
  const into = collector();
  let variant = '';
  let next = 1;
  lines.forEach((line, i) => {
    let rest = line;
    const booklet = BOOKLET.exec(rest);
    if (booklet) {
      variant = (booklet[1] ?? booklet[2] ?? '').toUpperCase();
      next = 1;
      rest = rest.slice(booklet[0].length);
    }
    while (rest.trim() !== '') {
      const numbered = NUMBERED.exec(rest);
      const accepted = numbered ? acceptedOf(numbered[2]!) : null;
      if (numbered && accepted !== null) {
        into.put(variant, Number(numbered[1]), accepted, i + 1);
        next = Number(numbered[1]) + 1;
        rest = rest.slice(numbered[0].length);
        continue;
      }
      // A run of letters is a run of questions, where the line is nothing else and no word: capitals, letters apart, or
      // small ones up to e.
      if (/^[A-Za-z\s,;-]+$/.test(rest) && (!/[a-z]{2}/.test(rest) || /^[a-e\s,;-]+$/.test(rest))) {
        for (const letter of rest.replace(/[\s,;]/g, '')) {
          into.put(variant, next++, letter === '-' ? '' : letter.toUpperCase(), i + 1);
        }
      } else {
        into.problems.push(
          trouble(
            variant,
            null,
            'line-unreadable',
            `Line ${i + 1} cannot be read from here: ${rest.trim().slice(0, 60)}`,
          ),
        );
      }
      break;
    }
  });
  return finish(into);
}

function finish(into: ReturnType<typeof collector>): Pasted {
  const answers = into.content();
  return { content: answers ? { answers, marks: MARKS } : null, problems: into.problems };
}

const COLUMNS = [
  'variant',
  'question',
  'answer',
  'kind',
  'correct',
  'wrong',
  'blank',
  'multiple',
  'partial',
  'each',
  'tolerance',
  'section',
] as const;
type Column = (typeof COLUMNS)[number];

/** The key as CSV (RFC 4180, CRLF): a line a question and booklet, the first line, of question 0, being the key's own
 *  marks; lines of question 0 with a section are the sections', their range in `answer` as `from-to`. */
export function keyCsv(content: KeyContent): string {
  const out: Partial<Record<Column, string | number | undefined>>[] = [];
  out.push({ question: 0, ...content.marks });
  for (const { name, from, to, marks, partial } of content.sections ?? []) {
    out.push({
      question: 0,
      answer: `${from}-${to}`,
      section: name,
      ...marks,
      partial: partial?.rule,
      each: partial?.each,
    });
  }
  for (const [variant, answers] of Object.entries(content.answers)) {
    const items = new Map((content.items ?? []).filter((i) => i.variant === variant).map((i) => [i.question, i]));
    answers.forEach((answer, i) => {
      const item = items.get(i + 1);
      const { kind, marks, partial, tolerance } = item ?? {};
      out.push({
        variant,
        question: i + 1,
        answer,
        kind,
        ...marks,
        partial: partial?.rule,
        each: partial?.each,
        tolerance,
      });
    });
  }
  const cell = (value: string | number | undefined): string => {
    const text = value === undefined ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const line = (row: (typeof out)[number]): string => COLUMNS.map((column) => cell(row[column])).join(',');
  return `${[COLUMNS.join(','), ...out.map(line)].join('\r\n')}\r\n`;
}

/** Fields of one CSV line; quotes may hold commas and doubled quotes, not line ends. */
const cellsOf = (line: string): string[] =>
  [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );

/** Reads what `keyCsv` writes, or as much of it as somebody made by hand: `variant,question,answer` is enough. */
export function parseKeyCsv(text: string): Pasted {
  const [head = '', ...lines] = text.replace(/^\uFEFF/, '').split(/\r\n|\n/);
  const names = cellsOf(head).map((name) => name.trim().toLowerCase());
  const into = collector();
  const strange = names.filter((name) => !(COLUMNS as readonly string[]).includes(name));
  if (strange.length > 0)
    into.problems.push(
      trouble(
        null,
        null,
        'line-unreadable',
        `Line 1: there is no column ${strange.join(', ')}. Known: ${COLUMNS.join(', ')}.`,
      ),
    );
  let marks = { ...MARKS };
  const sections: NonNullable<KeyContent['sections']> = [];
  const items: KeyItem[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === '') return;
    const at = i + 2;
    const values = cellsOf(line);
    const get = (column: Column): string => values[names.indexOf(column)]?.trim() ?? '';
    const bad = (column: Column): void =>
      void into.problems.push(
        trouble(get('variant') || null, null, 'line-unreadable', `Line ${at}: ${column} cannot be '${get(column)}'.`),
      );
    const number = (column: Column): number | undefined => {
      const value = get(column);
      if (value === '') return undefined;
      if (/^-?\d+(\.\d+)?$/.test(value)) return Number(value);
      bad(column);
      return undefined;
    };
    const points: Partial<KeyContent['marks']> = {};
    for (const column of ['correct', 'wrong', 'blank', 'multiple'] as const) {
      const value = number(column);
      if (value !== undefined) points[column] = value;
    }
    const rule = get('partial');
    if (rule !== '' && rule !== 'subset' && rule !== 'balance') bad('partial');
    const each = number('each');
    const partial =
      rule === 'subset' || rule === 'balance'
        ? { partial: each === undefined ? ({ rule } as const) : ({ rule, each } as const) }
        : {};
    const own = { ...(Object.keys(points).length > 0 ? { marks: points } : {}), ...partial };
    const question = number('question');
    if (question === undefined || !Number.isInteger(question)) {
      if (get('question') === '' || question !== undefined) bad('question');
      return;
    }
    if (question === 0) {
      const name = get('section');
      if (name === '') {
        marks = { ...marks, ...points };
        return;
      }
      const [, from, to] = /^(\d+)-(\d+)$/.exec(get('answer')) ?? [];
      if (from === undefined) bad('answer');
      else sections.push({ name, from: Number(from), to: Number(to), ...own });
      return;
    }
    const kind = get('kind');
    if (kind !== '' && kind !== 'void' && kind !== 'bonus') bad('kind');
    const tolerance = number('tolerance');
    const variant = get('variant');
    into.put(variant, question, get('answer'), at);
    const item: KeyItem = {
      variant,
      question,
      ...(kind === 'void' || kind === 'bonus' ? { kind } : {}),
      ...own,
      ...(tolerance === undefined ? {} : { tolerance }),
    };
    if (Object.keys(item).length > 2) items.push(item);
  });
  const answers = into.content();
  if (!answers)
    return { content: null, problems: [...into.problems, trouble(null, null, 'empty', 'There are no answers.')] };
  const content: KeyContent = { answers, marks };
  if (sections.length > 0) content.sections = sections;
  if (items.length > 0) content.items = items;
  return { content, problems: into.problems };
}
