// Letter paper: a sheet that is none of the built-in ones, with every kind of field a template can hold, and the cover.
import { expect, test, vi } from 'vitest';
import { blankRaster } from '../corpus/canvas.ts';
import { drawBlank, drawCover } from '../corpus/draw.ts';
import { CAREFUL, fillBubble } from '../corpus/pencil.ts';
import { seeded } from '../corpus/random.ts';
import { bend, blur, grain, turn } from '../corpus/wear.ts';
import { layOut } from '../template/geometry.ts';
import { sheetQr } from '../template/qr-text.ts';
import { parseTemplate } from '../template/template.ts';
import { readPage } from './read-page.ts';

vi.setConfig({ testTimeout: 60_000 });

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const DIGITS = [...'0123456789'];
const across = [60, 108, 156];
const down = [45, 90, 140, 190, 235];
const parsed = parseTemplate({
  id: 'letter',
  version: 3,
  kind: 'sheet',
  page: { width: 215.9, height: 279.4 },
  fiducials: {
    type: 'squares',
    size: 6,
    centres: [
      [12, 12],
      [203.9, 12],
      [203.9, 267.4],
      [12, 267.4],
    ],
    hollow: [0],
  },
  ticks: [
    { size: [4, 1.6], centres: [12, 203.9].flatMap((x) => down.map((y) => [x, y])) },
    { size: [1.6, 4], centres: [12, 267.4].flatMap((y) => across.map((x) => [x, y])) },
  ],
  qr: { x: 176, y: 22, size: 18 },
  bubble: [4.4, 4.4],
  fields: [
    // letters and the sign of a number: columns and rows of any options
    {
      type: 'grid',
      label: 'name',
      columns: 6,
      options: LETTERS,
      origin: [28, 50],
      option_step: [0, 5.2],
      column_step: [6, 0],
    },
    { type: 'choice', labels: ['sign'], options: ['+', '-'], origin: [80, 50], option_step: [0, 6] },
    {
      type: 'grid',
      label: 'number',
      columns: 3,
      options: DIGITS,
      origin: [90, 50],
      option_step: [0, 5.2],
      column_step: [6, 0],
    },
    { type: 'choice', labels: ['page'], options: ['1', '2', '3', '4'], origin: [120, 50], option_step: [6, 0] },
    {
      type: 'choice',
      labels: 'yes1..6',
      options: ['Y', 'N'],
      origin: [120, 70],
      option_step: [6, 0],
      label_step: [0, 7],
    },
    { type: 'choice', labels: 'q1..20', options: DIGITS, origin: [90, 120], option_step: [6, 0], label_step: [0, 6.6] },
  ],
});
if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
const SHEET = parsed.template;

test.each([100, 200, 300])('letters, signs, numbers, page and 2 to 10 options on Letter paper at %i dpi', (dpi) => {
  const { fields, bubbles } = layOut(SHEET);
  const random = seeded(dpi);
  const image = drawBlank(SHEET, sheetQr({ templateId: 'letter', version: 3 }), dpi);
  const truth = fields.map(({ groups, options }) => {
    const picks = groups.map(() => random.int(options.length));
    picks.forEach((pick, i) => {
      fillBubble(image, bubbles[groups[i]! + pick]!, dpi / 25.4, CAREFUL, random);
    });
    return picks.map((pick) => options[pick]!).join('');
  });
  for (const degrees of [0, 90, 180, 270] as const) {
    const worn = turn(grain(blur(bend(image, { skew: 1.5 }), (0.5 * dpi) / 200), 4, dpi), degrees);
    const reading = readPage(worn, [SHEET]);
    if (reading.kind !== 'sheet') throw new Error(JSON.stringify(reading));
    expect(reading.flags).toEqual([]);
    expect(reading.fields.map(({ value }) => value)).toEqual(truth);
    expect(reading.fields.flatMap(({ flags }) => flags)).toEqual([]);
  }
});

test.each([100, 200])('[R3] a cover that was made to fit Letter paper is a cover, at %i dpi', (dpi) => {
  const [width, height] = [Math.round(8.5 * dpi), 11 * dpi];
  // as printers fit an A4 page: its height to the paper's, in the middle
  const cover = drawCover('40817263', (height / 297) * 25.4);
  const page = blankRaster(width, height);
  const left = (width - cover.width) >> 1;
  for (let y = 0; y < Math.min(height, cover.height); y++) {
    page.data.set(cover.data.subarray(y * cover.width, (y + 1) * cover.width), y * width + left);
  }
  for (const degrees of [0, 90, 180, 270] as const) {
    const worn = turn(grain(blur(bend(page, { skew: -1.5 }), (0.5 * dpi) / 200), 4, dpi), degrees);
    const orientation = (360 - degrees) % 360;
    expect(readPage(worn, [SHEET])).toMatchObject({ kind: 'cover', task_id: '40817263', orientation, flags: [] });
  }
});
