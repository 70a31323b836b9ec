// The schema of a template: where a sheet's marks, fields and QR zone are printed, in millimetres from the page's
// top left corner. Fields are stored as blocks with an origin and steps; geometry.ts expands them into bubbles.
import * as v from 'valibot';
import { type FieldError, fieldErrors } from './issues.ts';

const Mm = v.pipe(
  v.number('a length in millimetres'),
  v.finite('a finite length'),
  v.minValue(0, 'not negative'),
  v.maxValue(2000, 'at most 2000 mm'),
);
const Size = v.pipe(Mm, v.minValue(0.5, 'at least 0.5 mm'));
const Step = v.pipe(
  v.number('a step in millimetres'),
  v.finite('a finite step'),
  v.minValue(-500, 'at least -500 mm'),
  v.maxValue(500, 'at most 500 mm'),
);
/** Centre of something, [x, y]. */
const Point = v.tuple([Mm, Mm], 'a point [x, y]');
const Vector = v.tuple([Step, Step], 'a step [x, y]');
const Extent = v.tuple([Size, Size], 'a size [width, height]');
/** [x, y, width, height] */
const Box = v.tuple([Mm, Mm, Size, Size], 'a box [x, y, width, height]');
const Text = v.pipe(v.string('text'), v.maxLength(120, 'at most 120 characters'));
/** Spaces inside, since forms of other makers have columns like `Subject Code`. */
const Label = v.pipe(
  v.string('a label'),
  v.regex(/^\p{L}[\p{L}\p{M}\p{N}_ -]{0,39}$/u, 'a letter, then letters, digits, _, - and spaces, like q1'),
  v.check((label) => !label.endsWith(' '), 'no space at its end'),
);

/** 'q1..30', or the labels one by one. */
const Labels = v.union(
  [
    v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z_]{0,15}\d{1,4}\.\.\d{1,4}$/, 'a range like q1..30')),
    v.pipe(v.array(Label), v.minLength(1, 'at least one label'), v.maxLength(1000, 'at most 1000 labels')),
  ],
  'a range like q1..30, or a list of labels',
);
/** What marking a bubble says. Spaces stand between alternatives in a key, bars between marks that belong together. */
const Option = v.pipe(
  v.string('an option'),
  v.regex(/^[^|_?\s]{1,24}$/u, 'one to 24 characters other than | _ ? and space'),
);
const Options = v.pipe(v.array(Option), v.minLength(1, 'at least one option'), v.maxLength(40, 'at most 40 options'));
/** What tables say where nothing is marked, `no` on a form whose only box says yes. Readings keep ''. */
const Empty = v.pipe(v.string('text'), v.maxLength(24, 'at most 24 characters'));

/** Questions below (or beside) one another, each with the same options. */
export const ChoiceBlock = v.strictObject({
  type: v.literal('choice'),
  labels: Labels,
  options: Options,
  /** centre of the first question's first bubble */
  origin: Point,
  option_step: Vector,
  label_step: v.optional(Vector),
  /** width and height of a bubble, where it differs from the template's */
  bubble: v.optional(Extent),
  caption: v.optional(Text),
  empty: v.optional(Empty),
});
export type ChoiceBlock = v.InferOutput<typeof ChoiceBlock>;

const Characters = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^[^|_?\s]$/u, 'one character other than | _ ?'))),
  v.minLength(1, 'at least one option'),
  v.maxLength(40, 'at most 40 options'),
);

/** One field of several columns, one character each: a roll number, letters of a name, a number with its sign. */
export const GridBlock = v.strictObject({
  type: v.literal('grid'),
  label: Label,
  columns: v.pipe(v.number(), v.integer('a whole number'), v.minValue(1, 'at least 1'), v.maxValue(40, 'at most 40')),
  options: Characters,
  /** columns with options of their own, counted from 0: `{ "column": 0, "options": ["+", "-"] }` */
  except: v.optional(
    v.pipe(
      v.array(v.strictObject({ column: v.pipe(v.number(), v.integer(), v.minValue(0)), options: Characters })),
      v.maxLength(40, 'at most 40 columns'),
    ),
  ),
  origin: Point,
  option_step: Vector,
  column_step: Vector,
  bubble: v.optional(Extent),
  caption: v.optional(Text),
});
export type GridBlock = v.InferOutput<typeof GridBlock>;

/** One question whose bubbles stand anywhere, as on forms that were not made of rows. */
export const PlacedBlock = v.strictObject({
  type: v.literal('placed'),
  label: Label,
  bubbles: v.pipe(
    v.array(
      v.strictObject({
        option: Option,
        /** its centre */
        at: Point,
        /** where it differs from the template's */
        bubble: v.optional(Extent),
      }),
    ),
    v.minLength(1, 'at least one bubble'),
    v.maxLength(100, 'at most 100 bubbles'),
  ),
  empty: v.optional(Empty),
});
export type PlacedBlock = v.InferOutput<typeof PlacedBlock>;

export const Block = v.variant('type', [ChoiceBlock, GridBlock, PlacedBlock], 'choice, grid or placed');
export type Block = v.InferOutput<typeof Block>;

const Corner = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0, 'a corner is 0 to 3'),
  v.maxValue(3, 'a corner is 0 to 3'),
);

/** Four squares clockwise from the top left. One differs from the other three, which says which way up the page is. */
export const SquareFiducials = v.strictObject({
  type: v.literal('squares'),
  /** side of a square */
  size: Size,
  centres: v.tuple([Point, Point, Point, Point], 'four centres, clockwise from the top left'),
  /** corners whose square has a white hole of half its side: one of them, or all but one */
  hollow: v.pipe(
    v.array(Corner),
    v.check((list) => new Set(list).size === list.length, 'a corner is named twice'),
    v.check((list) => list.length === 1 || list.length === 3, 'one corner, or three: the odd one shows the way up'),
  ),
});

export type SquareFiducials = v.InferOutput<typeof SquareFiducials>;

/** Four marks clockwise from the top left, as other makers print them. Which way up the page lies shows in the marks when
 *  they differ, and in the outlines of the bubbles when they do not. */
export const MarkFiducials = v.strictObject({
  type: v.literal('marks'),
  marks: v.pipe(
    v.array(
      v.strictObject({
        /** `ell` is a square without its quarter towards the page's middle, `bracket` only two sides of one */
        shape: v.picklist(['square', 'disc', 'ring', 'bracket', 'ell'], 'square, disc, ring, bracket or ell'),
        /** centre and side of its box */
        at: Point,
        size: Size,
      }),
    ),
    v.length(4, 'four marks, clockwise from the top left'),
  ),
});
export type MarkFiducials = v.InferOutput<typeof MarkFiducials>;

/** Nothing printed: the page's own four edges on a darker ground. */
const EdgeFiducials = v.strictObject({ type: v.literal('edge') });
/** Nothing at all: the image is the page, and only its bubbles say how it lies. */
const NoFiducials = v.strictObject({ type: v.literal('none') });

/** Small solid bars along the edges: they prove the pose, and show where the paper is stretched or folded. */
const Ticks = v.strictObject({ size: Extent, centres: v.pipe(v.array(Point), v.maxLength(200, 'at most 200 ticks')) });

export const Template = v.strictObject({
  id: v.pipe(v.string('an id'), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'letters, digits, dot, dash')),
  version: v.pipe(v.number('a version'), v.integer('a whole number'), v.minValue(1, 'versions count from 1')),
  kind: v.picklist(['sheet', 'cover'], 'sheet or cover'),
  title: v.optional(Text, ''),
  page: v.strictObject({ width: Size, height: Size }),
  fiducials: v.variant(
    'type',
    [SquareFiducials, MarkFiducials, EdgeFiducials, NoFiducials],
    'squares, marks, edge or none',
  ),
  ticks: v.optional(v.pipe(v.array(Ticks), v.maxLength(8, 'at most 8 sets')), []),
  /** square that holds the QR code without its quiet zone, of which 2 mm all round must stay white */
  qr: v.nullable(v.strictObject({ x: Mm, y: Mm, size: Size })),
  bubble: v.optional(Extent, [5, 5]),
  /** of all bubbles: boxes are measured into their corners */
  outline: v.optional(v.picklist(['ellipse', 'box'], 'ellipse or box')),
  fields: v.pipe(v.array(Block), v.maxLength(400, 'at most 400 blocks')),
  /** values made of several fields one after the other, as a number whose digits are fields of their own */
  joined: v.optional(
    v.pipe(
      v.array(v.strictObject({ label: Label, of: v.pipe(v.array(Label), v.minLength(1, 'at least one field')) })),
      v.maxLength(200, 'at most 200 joined values'),
    ),
  ),
  /** boxes to write in by hand; nothing in them is read */
  writing: v.optional(v.pipe(v.array(v.strictObject({ caption: Text, box: Box })), v.maxLength(100)), []),
});

/** At most this many bubbles on a page: more is a mistake in the template, and would only cost time. */
const MOST_BUBBLES = 20_000;

export type Template = v.InferOutput<typeof Template>;

/** The options of each column of a grid. */
export const columnOptions = ({ columns, options, except = [] }: GridBlock): readonly (readonly string[])[] =>
  Array.from({ length: columns }, (_, i) => except.find(({ column }) => column === i)?.options ?? options);

/** The labels of a block, in order. */
export const labelsOf = (block: ChoiceBlock): string[] => {
  if (typeof block.labels !== 'string') return block.labels;
  const range = /^(.*?)(\d+)\.\.(\d+)$/.exec(block.labels);
  if (!range) return [];
  const first = Number(range[2]);
  const count = Number(range[3]) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => `${range[1]}${first + i}`);
};

export type TemplateError = FieldError;
/** The errors as one line: `fields.2.origin.0: lies outside the page; …` */
export const errorsInWords = (errors: readonly TemplateError[]): string =>
  errors.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`)).join('; ');
export type ParsedTemplate = { ok: true; template: Template } | { ok: false; errors: TemplateError[] };

/** Parses a template's JSON value. Every error names the field it is about. */
export const parseTemplate = (json: unknown): ParsedTemplate => {
  const parsed = v.safeParse(Template, json);
  if (!parsed.success) {
    return { ok: false, errors: fieldErrors(parsed.issues) };
  }
  const errors = inconsistencies(parsed.output);
  return errors.length > 0 ? { ok: false, errors } : { ok: true, template: parsed.output };
};

type Spot = [number, number];

/** What a schema cannot see: labels used twice, bubbles or marks off the page, bubbles that are written over. */
const inconsistencies = (template: Template): TemplateError[] => {
  const errors: TemplateError[] = [];
  const seen = new Set<string>();
  const { width, height } = template.page;
  const outside = (x: number, y: number, w: number, h: number) =>
    x - w / 2 < 0 || y - h / 2 < 0 || x + w / 2 > width || y + h / 2 > height;
  let bubbles = 0;
  const written = writtenOver(template.writing);

  const { fiducials } = template;
  const corners = fiducials.type === 'squares' ? fiducials.centres : [];
  corners.forEach(([x, y], i) => {
    const { size } = fiducials as SquareFiducials;
    if (outside(x, y, size, size)) errors.push({ field: `fiducials.centres.${i}`, message: 'lies outside the page' });
  });
  const round = fiducials.type === 'marks' ? fiducials.marks.map(({ at }) => at) : corners;
  if (round.length === 4) {
    const [a, b, c, d] = round as [Spot, Spot, Spot, Spot];
    const area2 = (c[0] - a[0]) * (d[1] - b[1]) - (d[0] - b[0]) * (c[1] - a[1]);
    if (area2 < width * height * 0.2) {
      const field = fiducials.type === 'marks' ? 'fiducials.marks' : 'fiducials.centres';
      errors.push({ field, message: 'must go clockwise round at least a tenth of the page' });
    }
  }
  if (template.qr) {
    const { x, y, size } = template.qr;
    if (outside(x + size / 2, y + size / 2, size, size)) errors.push({ field: 'qr', message: 'lies outside the page' });
  }
  template.fields.forEach((block, i) => {
    if (block.type === 'placed') {
      if (seen.has(block.label))
        errors.push({ field: `fields.${i}`, message: `the label ${block.label} is used twice` });
      seen.add(block.label);
      bubbles += block.bubbles.length;
      if (new Set(block.bubbles.map(({ option }) => option)).size !== block.bubbles.length) {
        errors.push({ field: `fields.${i}.bubbles`, message: 'an option is named twice' });
      }
      block.bubbles.forEach(({ at: [x, y], bubble: [w, h] = template.bubble }, k) => {
        if (outside(x, y, w, h)) errors.push({ field: `fields.${i}.bubbles.${k}`, message: 'leaves the page' });
        const over = written(x, y, w, h);
        if (over) errors.push({ field: `fields.${i}.bubbles.${k}`, message: over });
      });
      return;
    }
    const labels = block.type === 'grid' ? [block.label] : labelsOf(block);
    if (labels.length === 0) errors.push({ field: `fields.${i}.labels`, message: 'the range is empty' });
    for (const label of labels) {
      if (seen.has(label)) errors.push({ field: `fields.${i}`, message: `the label ${label} is used twice` });
      seen.add(label);
    }
    if (new Set(block.options).size !== block.options.length) {
      errors.push({ field: `fields.${i}.options`, message: 'an option is named twice' });
    }
    const columns = block.type === 'grid' ? columnOptions(block) : null;
    if (block.type === 'grid') {
      block.except?.forEach(({ column, options }, k) => {
        const field = `fields.${i}.except.${k}`;
        if (column >= block.columns) errors.push({ field: `${field}.column`, message: 'there is no such column' });
        if (new Set(options).size !== options.length) {
          errors.push({ field: `${field}.options`, message: 'an option is named twice' });
        }
      });
    }
    const rows = block.type === 'grid' ? block.columns : labels.length;
    const step = block.type === 'grid' ? block.column_step : (block.label_step ?? [0, 0]);
    bubbles += columns ? columns.reduce((sum, options) => sum + options.length, 0) : rows * block.options.length;
    if (rows > 1 && step[0] === 0 && step[1] === 0) {
      const field = block.type === 'grid' ? 'column_step' : 'label_step';
      errors.push({ field: `fields.${i}.${field}`, message: 'must not be zero' });
    }
    const [bw, bh] = block.bubble ?? template.bubble;
    const last = Math.max(...(columns ?? [block.options]).map((options) => options.length)) - 1;
    for (const [row, option] of [
      [0, 0],
      [0, last],
      [rows - 1, 0],
      [rows - 1, last],
    ] as const) {
      const x = block.origin[0] + step[0] * row + block.option_step[0] * option;
      const y = block.origin[1] + step[1] * row + block.option_step[1] * option;
      if (outside(x, y, bw, bh)) {
        errors.push({ field: `fields.${i}`, message: 'its bubbles leave the page' });
        break;
      }
    }
    if (bubbles > MOST_BUBBLES || template.writing.length === 0) return;
    for (let row = 0; row < rows; row++) {
      const over = (columns?.[row] ?? block.options)
        .map((_, k) => {
          const x = block.origin[0] + step[0] * row + block.option_step[0] * k;
          const y = block.origin[1] + step[1] * row + block.option_step[1] * k;
          return written(x, y, bw, bh);
        })
        .find((message) => message !== null);
      if (!over) continue;
      errors.push({ field: `fields.${i}`, message: over });
      break;
    }
  });
  const fields = new Set(seen);
  template.joined?.forEach(({ label, of }, i) => {
    // a part may be called as the whole is: then the whole stands in its place
    if (seen.has(label) && !of.includes(label)) {
      errors.push({ field: `joined.${i}.label`, message: `the label ${label} is used twice` });
    }
    seen.add(label);
    of.forEach((part, k) => {
      if (!fields.has(part)) errors.push({ field: `joined.${i}.of.${k}`, message: `there is no field ${part}` });
    });
  });
  template.writing.forEach(({ box: [x, y, w, h] }, i) => {
    if (outside(x + w / 2, y + h / 2, w, h))
      errors.push({ field: `writing.${i}.box`, message: 'lies outside the page' });
  });
  if (bubbles > MOST_BUBBLES) errors.push({ field: 'fields', message: `more than ${MOST_BUBBLES} bubbles` });
  return errors;
};

/** Says of a bubble, by centre and size, which of these boxes reaches into it: what is written there would be read as a mark. */
const writtenOver =
  (writing: Template['writing']) =>
  (x: number, y: number, w: number, h: number): string | null => {
    const over = writing.find(
      ({ box: [left, top, wide, high] }) =>
        x + w / 2 > left && x - w / 2 < left + wide && y + h / 2 > top && y - h / 2 < top + high,
    );
    return over ? `the box to write ${over.caption} in covers a bubble` : null;
  };
