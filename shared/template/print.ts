// What a template looks like on paper: a list of plain shapes in millimetres. The corpus draws them into pixels; a PDF
// or SVG writer can draw the same list.
import { encode } from 'uqr';
import { layOut, optionsOf } from './geometry.ts';
import { textStrokes, textWidth } from './glyphs.ts';
import { labelsOf, type MarkFiducials, type Template } from './template.ts';

/** `ink` is 0 for paper to 1 for black. */
export type Shape =
  | { shape: 'box'; x: number; y: number; width: number; height: number; ink: number }
  | { shape: 'ring'; x: number; y: number; width: number; height: number; line: number; ink: number }
  | { shape: 'strokes'; segments: number[]; line: number; ink: number };

/** Letters inside bubbles are light: a dark letter alone is as dark as a pencil mark. */
export const LETTER_INK = 0.4;
/** Height of that letter as a share of the bubble's, and its line in millimetres. */
export const LETTER_HEIGHT = 0.46;
export const LETTER_LINE = 0.26;
const OUTLINE = { line: 0.22, ink: 0.8 };

const text = (words: string, x: number, y: number, height: number, ink = 0.9, bold = 0.13): Shape => ({
  shape: 'strokes',
  segments: textStrokes(words, x, y, height),
  line: height * bold,
  ink,
});
const centred = (words: string, x: number, y: number, height: number, ink = 0.9, bold = 0.13): Shape =>
  text(words, x - textWidth(words, height) / 2, y, height, ink, bold);

/** Four bars that make the outline of a box, lying inside it. */
const outline = (x: number, y: number, width: number, height: number, line: number, ink: number): Shape[] => [
  { shape: 'box', x, y, width, height: line, ink },
  { shape: 'box', x, y: y + height - line, width, height: line, ink },
  { shape: 'box', x, y: y + line, width: line, height: height - 2 * line, ink },
  { shape: 'box', x: x + width - line, y: y + line, width: line, height: height - 2 * line, ink },
];

const corners = ({ fiducials }: Template): Shape[] => {
  if (fiducials.type === 'marks') return fiducials.marks.flatMap(otherMark);
  if (fiducials.type !== 'squares') return [];
  const { size, centres, hollow } = fiducials;
  return centres.flatMap(([x, y], corner): Shape[] => {
    const [left, top] = [x - size / 2, y - size / 2];
    return hollow.includes(corner)
      ? outline(left, top, size, size, size / 4, 1)
      : [{ shape: 'box', x: left, y: top, width: size, height: size, ink: 1 }];
  });
};

const otherMark = ({ shape, at: [x, y], size }: MarkFiducials['marks'][number], corner: number): Shape[] => {
  const [left, top] = [x - size / 2, y - size / 2];
  const ring = (width: number, line: number): Shape => ({ shape: 'ring', x, y, width, height: width, line, ink: 1 });
  // the two sides towards the page's corner
  const line = shape === 'ell' ? size / 2 : size / 8;
  const sides: Shape[] = [
    { shape: 'box', x: left, y: corner < 2 ? top : top + size - line, width: size, height: line, ink: 1 },
    { shape: 'box', x: corner % 3 === 0 ? left : left + size - line, y: top, width: line, height: size, ink: 1 },
  ];
  switch (shape) {
    case 'square':
      return [{ shape: 'box', x: left, y: top, width: size, height: size, ink: 1 }];
    case 'disc':
      return [ring(size, size / 2)];
    case 'ring':
      return [ring(size, size / 8), ring(size / 2, size / 8)];
    case 'bracket':
    case 'ell':
      return sides;
  }
};

const marks = (template: Template): Shape[] => {
  const ticks = template.ticks.flatMap(({ size: [width, height], centres: at }) =>
    at.map(([x, y]): Shape => ({ shape: 'box', x: x - width / 2, y: y - height / 2, width, height, ink: 1 })),
  );
  return [...corners(template), ...ticks];
};

const qrCode = (template: Template, content: string): Shape[] => {
  if (!template.qr) return [];
  const { x, y, size } = template.qr;
  const code = encode(content, { ecc: 'M', border: 0 });
  const module = size / code.size;
  const shapes: Shape[] = [];
  code.data.forEach((row, r) => {
    // one box per run of dark modules: no seams inside a run, and far fewer shapes
    for (let c = 0; c < row.length; c++) {
      if (!row[c]) continue;
      const first = c;
      while (row[c + 1]) c++;
      shapes.push({
        shape: 'box',
        x: x + first * module,
        y: y + r * module,
        width: (c - first + 1) * module,
        height: module,
        ink: 1,
      });
    }
  });
  return shapes;
};

/** Bubbles with their letters, the numbers beside questions, the letters above columns, captions and frames. */
const fields = (template: Template): Shape[] => {
  const shapes: Shape[] = [];
  const layout = layOut(template);
  for (const { x, y, width, height, option } of layout.bubbles) {
    if (template.outline !== 'box') shapes.push({ shape: 'ring', x, y, width, height, ...OUTLINE });
    else shapes.push(...outline(x - width / 2, y - height / 2, width, height, OUTLINE.line, OUTLINE.ink));
    const h = height * LETTER_HEIGHT;
    shapes.push({
      shape: 'strokes',
      segments: textStrokes(option, x - textWidth(option, h) / 2, y - h / 2, h),
      line: LETTER_LINE,
      ink: LETTER_INK,
    });
  }
  // frames and headings take room that other makers' forms may not have
  if (template.fiducials.type !== 'squares') return shapes;
  let next = 0;
  for (const block of template.fields) {
    if (block.type === 'placed') {
      next++;
      continue;
    }
    const [width, height] = block.bubble ?? template.bubble;
    const own = layout.fields.slice(next, next + (block.type === 'grid' ? 1 : labelsOf(block).length));
    next += own.length;
    const inBlock = own.flatMap((field) =>
      field.groups.flatMap((first, group) => layout.bubbles.slice(first, first + optionsOf(field, group).length)),
    );
    const left = Math.min(...inBlock.map((b) => b.x)) - width / 2;
    const right = Math.max(...inBlock.map((b) => b.x)) + width / 2;
    const top = Math.min(...inBlock.map((b) => b.y)) - height / 2;
    const bottom = Math.max(...inBlock.map((b) => b.y)) + height / 2;
    if (block.type === 'grid') {
      const head = 8;
      shapes.push(...outline(left - 1.5, top - head - 1, right - left + 3, bottom - top + head + 2.5, 0.3, 0.8));
      const [dx] = block.column_step;
      for (let c = 0; c < block.columns; c++) {
        const x = block.origin[0] + c * dx;
        shapes.push(...outline(x - dx / 2 + 0.3, top - head + 0.4, dx - 0.6, head - 2, 0.2, 0.6));
      }
      if (block.caption) shapes.push(centred(block.caption, (left + right) / 2, top - head - 5, 2.6));
      continue;
    }
    const numbered = own.filter((field) => /\d$/.test(field.label));
    const across = block.option_step[0] !== 0;
    if (numbered.length > 0 && across) {
      shapes.push(...outline(left - 8.4, top - 5, right - left + 9.6, bottom - top + 6.2, 0.25, 0.7));
      const h = Math.min(2.6, height * 0.55);
      for (const field of numbered) {
        const bubble = layout.bubbles[field.groups[0]!]!;
        const number = field.label.replace(/^\D+/, '');
        shapes.push(text(number, left - 1.4 - textWidth(number, h), bubble.y - h / 2, h, 0.9, 0.12));
      }
      block.options.forEach((option, i) => {
        shapes.push(centred(option, block.origin[0] + i * block.option_step[0], top - 3.9, 2.4, 0.9));
      });
    } else {
      shapes.push(...outline(left - 3, top - 3, right - left + 6, bottom - top + 6, 0.3, 0.8));
      if (block.caption) shapes.push(centred(block.caption, (left + right) / 2, top - 7, 2.6));
    }
  }
  return shapes;
};

const words = (template: Template): Shape[] => {
  const { width, height } = template.page;
  const shapes: Shape[] = [];
  for (const { caption, box } of template.writing) {
    shapes.push(...outline(...box, 0.25, 0.7), text(caption, box[0] + 1, box[1] + 1, 1.8, 0.7));
  }
  const version = `${template.id} / ${template.version}`;
  if (template.kind === 'cover') {
    shapes.push(centred(template.title, width / 2, 34, 9, 1, 0.15));
    shapes.push(centred('THE SHEETS BEHIND THIS PAGE BELONG TO THE TASK BELOW', width / 2, 52, 2.8));
  } else {
    shapes.push(text(template.title, 20, 21, 5, 1, 0.16));
    shapes.push(text('FILL THE CIRCLES COMPLETELY WITH A DARK PENCIL.', 20, 30, 1.9, 0.8));
    shapes.push(text('WRITE ONLY INSIDE THE BOXES. DO NOT FOLD.', 20, 34, 1.9, 0.8));
  }
  shapes.push(centred(version, width / 2, height - 6.5, 2, 0.7));
  return shapes;
};

/**
 * Everything printed on a page.
 * @param qr text of its QR code, null to leave the zone empty
 */
export const printed = (template: Template, qr: string | null): Shape[] => [
  ...marks(template),
  ...(qr === null ? [] : qrCode(template, qr)),
  ...fields(template),
  ...words(template),
  ...(template.kind === 'cover' && template.qr && qr !== null
    ? [centred(qr, template.qr.x + template.qr.size / 2, template.qr.y + template.qr.size + 12, 16, 1, 0.13)]
    : []),
];
