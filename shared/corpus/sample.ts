// A small exam drawn from a seed: tasks with keys, covers and filled sheets in file order, each with its truth.
import type { GrayImage } from '../omr/image.ts';
import type { KeyContent } from '../protocol/key.ts';
import { BUILT_IN } from '../template/built-in.ts';
import { layOut, optionsOf } from '../template/geometry.ts';
import type { Template } from '../template/template.ts';
import { drawCover, drawSheet } from './draw.ts';
import { type Random, seeded } from './random.ts';

export interface SampleSize {
  seed: number;
  covers: number;
  sheets: number;
  /** of the built-in sheets: 40, 60, 100, 150 or 200 */
  questions: number;
}

export interface SheetTruth {
  roll: string;
  variant: string;
  /** of q1, q2 …: '' blank, 'B', or 'A|C' when two are marked */
  answers: string[];
}

export interface SamplePage {
  /** `0001.jpg`, in file order */
  name: string;
  kind: 'cover' | 'sheet';
  /** of the cover itself, or of the cover before the sheet */
  task_id: string;
  truth?: SheetTruth;
  draw(dpi: number): GrayImage;
}

export interface SampleBatch {
  template: Template;
  tasks: { task_id: string; key: KeyContent }[];
  pages: SamplePage[];
}

const OPTIONS = ['A', 'B', 'C', 'D', 'E'];
const VARIANTS = ['A', 'B', 'C', 'D'];
const FIRST_TASK = 14900113;
/** Level one of the corpus: so many questions are left blank, so many marked twice. */
const BLANK = 0.02;
const DOUBLE = 0.01;

/** The same size and seed give the same batch. Sheets are spread evenly over the covers, every roll number is unique. */
export const sampleBatch = ({ seed, covers, sheets, questions }: SampleSize): SampleBatch => {
  const template = BUILT_IN.find(({ id }) => id === `sheaf-${questions}`);
  if (!template) throw new RangeError(`no built-in sheet has ${questions} questions`);
  const random = seeded(seed);
  const tasks = Array.from({ length: covers }, (_, i) => ({
    task_id: String(FIRST_TASK + i * 40 + random.int(40)),
    key: drawKey(questions, random),
  }));
  const pages: SamplePage[] = [];
  const add = (page: Omit<SamplePage, 'name'>): void => {
    pages.push({ name: `${String(pages.length + 1).padStart(4, '0')}.jpg`, ...page });
  };
  // rolls count up by a step, so that no two are alike however many there are
  const firstRoll = 10_000_000 + random.int(80_000_000);
  let sheet = 0;
  tasks.forEach(({ task_id, key }, i) => {
    add({ kind: 'cover', task_id, draw: (dpi) => drawCover(task_id, dpi) });
    const upTo = Math.floor((sheets * (i + 1)) / covers);
    for (; sheet < upTo; sheet++) {
      const variant = random.pick(VARIANTS);
      const truth = {
        roll: String(firstRoll + sheet * 7),
        variant,
        answers: drawAnswers(key.answers[variant]!, random),
      };
      const hand = 1 + random.int(0x7fffffff);
      add({ kind: 'sheet', task_id, truth, draw: (dpi) => drawSheet(template, { ...truth, seed: hand }, dpi) });
    }
  });
  return { template, tasks, pages };
};

/** One accepted answer a question and variant; a point for a right one, a quarter off for a wrong one. */
const drawKey = (questions: number, random: Random): KeyContent => ({
  answers: Object.fromEntries(
    VARIANTS.map((variant) => [variant, Array.from({ length: questions }, () => random.pick(OPTIONS))]),
  ),
  marks: { correct: 1, wrong: -0.25, blank: 0 },
});

/** A candidate who knows between a third and nearly all of it. */
const drawAnswers = (right: readonly string[], random: Random): string[] => {
  const knows = random.between(0.35, 0.95);
  return right.map((answer) => {
    if (random.chance(BLANK)) return '';
    const marked = random.chance(knows) ? answer : random.pick(OPTIONS);
    if (!random.chance(DOUBLE)) return marked;
    const other = random.pick(OPTIONS.filter((option) => option !== marked));
    return [marked, other].sort().join('|');
  });
};

/** A filled sheet of any template with chosen-at-random content, for command lines and tests. */
export const randomContent = (template: Template, seed: number): SheetTruth => {
  const random = seeded(seed);
  const truth: SheetTruth = { roll: '', variant: '', answers: [] };
  for (const field of layOut(template).fields) {
    const { label, type, groups, options } = field;
    if (label === 'roll' && type === 'grid') truth.roll = groups.map(() => random.pick(options)).join('');
    else if (label === 'variant') truth.variant = random.pick(options);
    else if (type === 'grid' && /^q\d+$/.test(label)) {
      const value = groups.map((_, i) => random.pick(optionsOf(field, i))).join('');
      truth.answers[Number(label.slice(1)) - 1] = value;
    } else if (/^q\d+$/.test(label)) {
      const value = random.chance(BLANK) ? '' : random.pick(options);
      const double = value !== '' && options.length > 1 && random.chance(DOUBLE);
      const marked = double ? [value, random.pick(options.filter((option) => option !== value))] : [value];
      truth.answers[Number(label.slice(1)) - 1] = options.filter((option) => marked.includes(option)).join('|');
    }
  }
  return truth;
};
