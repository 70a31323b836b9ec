// Draws filled sheets and covers with known content, through the same geometry that the reader uses.
import type { GrayImage } from '../omr/image.ts';
import { COVER } from '../template/built-in.ts';
import { layOut, optionsOf } from '../template/geometry.ts';
import { printed } from '../template/print.ts';
import { coverQr, sheetQr } from '../template/qr-text.ts';
import type { Template } from '../template/template.ts';
import { blankRaster, drawShapes } from './canvas.ts';
import { CAREFUL, fillBubble, type Hand } from './pencil.ts';
import { seeded } from './random.ts';

/** What a candidate marked. Values are written as readings write them. */
export interface SheetContent {
  /** a digit a column, '_' for a column left blank; '' leaves the grid blank */
  roll: string;
  variant: string;
  /** of q1, q2 …: '' blank, 'B', or 'A|C' when two are marked */
  answers: readonly string[];
  /** of fields with other labels */
  other?: Readonly<Record<string, string>>;
  /** text of the QR code; left out it names the template, null prints none */
  qr?: string | null;
  /** chance of this candidate's hand */
  seed?: number;
  hand?: Hand;
}

// One blank page is kept, for drawing many sheets of one kind costs little then.
let lastBlank: { template: Template; qr: string | null; dpi: number; image: GrayImage } | null = null;

/** The printed page without any mark on it. */
export const drawBlank = (template: Template, qr: string | null, dpi: number): GrayImage => {
  const hit = lastBlank;
  if (hit && hit.template === template && hit.qr === qr && hit.dpi === dpi) {
    return { ...hit.image, data: hit.image.data.slice() };
  }
  const scale = dpi / 25.4;
  const image = blankRaster(Math.round(template.page.width * scale), Math.round(template.page.height * scale));
  drawShapes(image, printed(template, qr), scale);
  lastBlank = { template, qr, dpi, image: { ...image, data: image.data.slice() } };
  return image;
};

export const drawSheet = (template: Template, content: SheetContent, dpi: number): GrayImage => {
  const qr = content.qr === undefined ? sheetQr({ templateId: template.id, version: template.version }) : content.qr;
  const image = drawBlank(template, qr, dpi);
  const random = seeded(content.seed ?? 1);
  const hand = content.hand ?? CAREFUL;
  const layout = layOut(template);
  for (const field of layout.fields) {
    const value = markedIn(field.label, content);
    field.groups.forEach((first, group) => {
      const marked = field.type === 'grid' ? [value[group] ?? '_'] : value.split('|');
      optionsOf(field, group).forEach((option, i) => {
        if (marked.includes(option)) fillBubble(image, layout.bubbles[first + i]!, dpi / 25.4, hand, random);
      });
    });
  }
  return image;
};

const markedIn = (label: string, content: SheetContent): string => {
  if (label === 'roll') return content.roll;
  if (label === 'variant') return content.variant;
  const question = /^q(\d+)$/.exec(label);
  return (question ? content.answers[Number(question[1]) - 1] : content.other?.[label]) ?? '';
};

/** @param taskId 8 digits, in the QR code and below it in figures */
export const drawCover = (taskId: string, dpi: number): GrayImage => drawBlank(COVER, coverQr(taskId), dpi);
