// The sheets Sheaf prints itself, and its cover. All share one frame (corner squares, ticks, QR zone), so a page's pose
// is found before anyone knows how many questions it has.
import type { Block, SquareFiducials, Template } from './template.ts';

/** A template with Sheaf's own marks. */
export type SheafTemplate = Template & { fiducials: SquareFiducials };

type Paper = Template['page'];
const A4: Paper = { width: 210, height: 297 };
const LETTER: Paper = { width: 215.9, height: 279.4 };

/** Corner squares and ticks stand this far from the page's edge. */
const INSET = 12;

const centresOn = ({ width, height }: Paper): SquareFiducials['centres'] => [
  [INSET, INSET],
  [mm(width - INSET), INSET],
  [mm(width - INSET), mm(height - INSET)],
  [INSET, mm(height - INSET)],
];
const OPTIONS = ['A', 'B', 'C', 'D', 'E'];
const DIGITS = [...'0123456789'];

/** To the micrometre, so that a sum of lengths is written as it was meant. */
const mm = (length: number): number => Math.round(length * 1e4) / 1e4;

/** 4 × 1.6 mm bars down both sides and along top and bottom. */
const ticksAt = ({ width, height }: Paper, down: readonly number[], across: readonly number[]): Template['ticks'] => [
  {
    size: [4, 1.6],
    centres: [INSET, mm(width - INSET)].flatMap((x) => down.map((y): [number, number] => [x, y])),
  },
  {
    size: [1.6, 4],
    centres: [INSET, mm(height - INSET)].flatMap((y) => across.map((x): [number, number] => [x, y])),
  },
];

type TickPlaces = readonly [down: readonly number[], across: readonly number[]];
const TICKS: TickPlaces = [
  [46, 80, 114, 148.5, 183, 217, 251],
  [58.5, 105, 151.5],
];
const LETTER_TICKS: TickPlaces = [
  [43, 75, 107, 139.7, 172, 204, 236],
  [60, 108, 156],
];

interface Plan {
  questions: number;
  columns: number;
  bubble: number;
  /** between rows, options and columns, in millimetres */
  row: number;
  option: number;
  column: number;
  /** centre of the first column's first bubble */
  left: number;
  top: number;
}

const PLANS: readonly Plan[] = [
  { questions: 40, columns: 2, bubble: 5, row: 9, option: 8, column: 85, left: 44, top: 102 },
  { questions: 60, columns: 3, bubble: 5, row: 9, option: 7, column: 58, left: 33, top: 102 },
  { questions: 100, columns: 4, bubble: 5, row: 7.3, option: 6.3, column: 43.4, left: 30, top: 100 },
  { questions: 150, columns: 5, bubble: 4.6, row: 6.1, option: 5.4, column: 34.7, left: 28.5, top: 99 },
  // 4.1 mm is 16 px at 100 dpi, under which marks begin to be misread; 40 rows leave no more.
  { questions: 200, columns: 5, bubble: 4.1, row: 4.6, option: 5.2, column: 34.7, left: 28.7, top: 98.5 },
];

/** Letter is 17.6 mm shorter than A4 and 5.9 mm wider: rows stand closer, and the columns in the middle. */
const LETTER_PLANS: readonly Plan[] = [
  { questions: 40, columns: 2, bubble: 5, row: 8.1, option: 8, column: 85, left: 47, top: 102 },
  { questions: 60, columns: 3, bubble: 5, row: 8.1, option: 7, column: 58, left: 36, top: 102 },
  { questions: 100, columns: 4, bubble: 4.8, row: 6.5, option: 6.3, column: 43.4, left: 33, top: 100 },
  { questions: 150, columns: 5, bubble: 4.4, row: 5.45, option: 5.4, column: 34.7, left: 31.5, top: 99 },
  // 3.6 mm asks for 120 dpi, where 4.1 mm on A4 is content with 100
  { questions: 200, columns: 5, bubble: 3.6, row: 4.13, option: 5.2, column: 34.7, left: 31.7, top: 98 },
];

const sheet = (plan: Plan, paper: Paper): SheafTemplate => {
  const rows = plan.questions / plan.columns;
  const questions = Array.from({ length: plan.columns }, (_, c): Block => {
    const first = c * rows + 1;
    return {
      type: 'choice',
      labels: `q${first}..${first + rows - 1}`,
      options: OPTIONS,
      origin: [plan.left + c * plan.column, plan.top],
      option_step: [plan.option, 0],
      label_step: [0, plan.row],
    };
  });
  return {
    id: paper === A4 ? `sheaf-${plan.questions}` : `sheaf-letter-${plan.questions}`,
    version: 1,
    kind: 'sheet',
    title: 'ANSWER SHEET',
    page: paper,
    fiducials: { type: 'squares', size: 6, centres: centresOn(paper), hollow: [0] },
    ticks: paper === A4 ? ticksAt(A4, ...TICKS) : ticksAt(LETTER, ...LETTER_TICKS),
    qr: { x: 168, y: 22, size: 18 },
    bubble: [plan.bubble, plan.bubble],
    fields: [
      {
        type: 'grid',
        label: 'roll',
        caption: 'ROLL NUMBER',
        columns: 8,
        options: DIGITS,
        origin: [111, 37],
        option_step: [0, 5.3],
        column_step: [5.6, 0],
        bubble: [4.6, 4.6],
      },
      {
        type: 'choice',
        labels: ['variant'],
        caption: 'BOOKLET',
        options: ['A', 'B', 'C', 'D'],
        origin: [177, 59],
        option_step: [0, 7],
        bubble: [4.6, 4.6],
      },
      ...questions,
    ],
    writing: [
      { caption: 'NAME', box: [20, 40, 80, 10] },
      { caption: 'CENTRE', box: [20, 54, 38, 10] },
      { caption: 'DATE', box: [62, 54, 38, 10] },
      { caption: 'SIGNATURE OF CANDIDATE', box: [20, 68, 80, 10] },
    ],
  };
};

/** Sheets of 40 to 200 questions A to E, an eight-digit roll number and booklet variants A to D. */
export const BUILT_IN: readonly SheafTemplate[] = PLANS.map((plan) => sheet(plan, A4));

/** The same for US Letter. A page is looked for on both papers only where both are asked for. */
export const BUILT_IN_LETTER: readonly SheafTemplate[] = LETTER_PLANS.map((plan) => sheet(plan, LETTER));

/** Its corner squares are a sheet's reversed (three hollow, one solid) and its ticks stand between a sheet's: two
 *  differences, so that neither dirt in one corner nor a torn QR code makes a sheet of it, nor other print a cover. */
export const COVER: SheafTemplate = {
  id: 'sheaf-cover',
  version: 1,
  kind: 'cover',
  title: 'COVER PAGE',
  page: A4,
  fiducials: { type: 'squares', size: 6, centres: centresOn(A4), hollow: [1, 2, 3] },
  ticks: ticksAt(A4, [63, 97, 131, 166, 200, 234], [40, 81.5, 128.5, 170]),
  qr: { x: 75, y: 80, size: 60 },
  bubble: [5, 5],
  fields: [],
  writing: [
    { caption: 'CENTRE', box: [30, 205, 150, 14] },
    { caption: 'EXAM', box: [30, 225, 150, 14] },
    { caption: 'NUMBER OF SHEETS', box: [30, 245, 70, 14] },
    { caption: 'SIGNATURE', box: [110, 245, 70, 14] },
  ],
};

/** The built-in template of that id, the cover included; undefined when there is none. */
export const builtIn = (id: string): SheafTemplate | undefined =>
  id === COVER.id ? COVER : [...BUILT_IN, ...BUILT_IN_LETTER].find((template) => template.id === id);
