import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { drawBlank, drawCover, drawSheet } from '../corpus/draw.ts';
import { seeded } from '../corpus/random.ts';
import { randomContent, type SheetTruth } from '../corpus/sample.ts';
import { bend, blur, expose, grain, shade, turn } from '../corpus/wear.ts';
import type { Reading, SheetReading } from '../protocol/reading.ts';
import { BUILT_IN, builtIn, COVER } from '../template/built-in.ts';
import { layOut } from '../template/geometry.ts';
import { coverQr, sheetQr } from '../template/qr-text.ts';
import type { Template } from '../template/template.ts';
import { fromBase64 } from './base64.ts';
import type { GrayImage } from './image.ts';
import { readPage } from './read-page.ts';

// a page takes milliseconds, but whole tests draw and wear dozens
vi.setConfig({ testTimeout: 60_000 });

const FORTY = builtIn('sheaf-40')!;
const TURNS = [0, 90, 180, 270] as const;

const sheet = (reading: Reading): SheetReading => {
  if (reading.kind !== 'sheet') throw new Error(`read as ${JSON.stringify(reading)}`);
  return reading;
};
const valuesOf = (reading: SheetReading): SheetTruth => {
  const value = (label: string): string => reading.fields.find((field) => field.label === label)!.value;
  const answers = reading.fields.filter(({ label }) => /^q\d/.test(label)).map((field) => field.value);
  return { roll: value('roll'), variant: value('variant'), answers };
};
/** Reads a page as `template`, without a page flag or a doubt, with exactly the values of `truth`. */
const expectRead = (image: GrayImage, template: Template, truth: SheetTruth): SheetReading => {
  const reading = sheet(readPage(image, BUILT_IN));
  expect(reading.template_id).toBe(template.id);
  expect(valuesOf(reading)).toEqual(truth);
  expect(reading.flags).toEqual([]);
  return reading;
};
/** Paints over a part of an upright A4 page; millimetres. */
const paint = (image: GrayImage, grey: number, x: number, y: number, width: number, height: number): GrayImage => {
  const scale = image.width / 210;
  const data = image.data.slice();
  for (let py = Math.round(y * scale); py < Math.round((y + height) * scale); py++) {
    data.fill(grey, py * image.width + Math.round(x * scale), py * image.width + Math.round((x + width) * scale));
  }
  return { ...image, data };
};

describe('every answer of every built-in sheet reads back', () => {
  for (const dpi of [150, 200, 300]) {
    test.each(BUILT_IN)(`$id at ${dpi} dpi in four orientations`, (template) => {
      const truth = randomContent(template, dpi);
      const image = drawSheet(template, truth, dpi);
      for (const degrees of TURNS) {
        const reading = expectRead(turn(image, degrees), template, truth);
        expect(reading.orientation).toBe((360 - degrees) % 360);
        expect(reading.fields.filter(({ flags }) => flags.includes('doubtful'))).toEqual([]);
      }
    });
  }

  test.each(BUILT_IN)('$id askew by up to 4°, from a good scanner with a white or a black lid', (template) => {
    const truth = randomContent(template, 4);
    const image = drawSheet(template, truth, 150);
    for (const [skew, behind] of [
      [-3, 20],
      [1.5, 255],
      [4, 255],
    ] as const) {
      const worn = grain(blur(expose(bend(image, { skew, behind }), 30, 235), 0.6), 4, 9);
      // at 4° a corner square may leave the glass: that is said, and the rest still read
      const reading = sheet(readPage(worn, BUILT_IN));
      expect(valuesOf(reading)).toEqual(truth);
      expect(reading.flags.filter((flag) => flag !== 'inferred-corner')).toEqual([]);
    }
  });

  test('a photograph: perspective, uneven light, grain', () => {
    const template = builtIn('sheaf-100')!;
    const truth = randomContent(template, 11);
    const corners = [
      [0.02, 0.01],
      [-0.01, 0.02],
      [-0.02, -0.02],
      [0.02, -0.01],
    ] as const;
    const image = bend(drawSheet(template, truth, 200), { corners, skew: -2, behind: 90 });
    expectRead(grain(shade(blur(image, 1), 0.25), 8, 5), template, truth);
  });

  test('at 100 and 600 dpi', () => {
    const truth = randomContent(FORTY, 6);
    for (const dpi of [100, 600]) expectRead(drawSheet(FORTY, truth, dpi), FORTY, truth);
  });
});

describe('blank and foreign pages', () => {
  test.each(BUILT_IN)('[R4] $id without a mark reads as all blank, without a doubt', (template) => {
    const qr = sheetQr({ templateId: template.id, version: template.version });
    const printed = drawBlank(template, qr, 150);
    for (const image of [printed, grain(expose(blur(printed, 0.8), 50, 225), 8, 3)]) {
      const reading = sheet(readPage(image, BUILT_IN));
      expect(reading.fields.every(({ flags }) => flags.length === 1 && flags[0] === 'blank')).toBe(true);
      expect(valuesOf(reading)).toMatchObject({ roll: '________', variant: '' });
    }
  });

  const paper = (grey: number): GrayImage => ({
    width: 1240,
    height: 1754,
    data: new Uint8Array(1240 * 1754).fill(grey),
  });
  test('[R4] an empty page is blank, clean, grainy or grey, with the lid’s shadow along an edge', () => {
    for (const image of [paper(255), grain(paper(230), 8, 1), grain(shade(paper(200), 0.3), 5, 2)]) {
      expect(readPage(image, BUILT_IN).kind).toBe('blank');
      expect(readPage(paint(image, 15, 0, 0, 210, 6), BUILT_IN).kind).toBe('blank');
    }
  });
  test('noise, darkness and other print are foreign', () => {
    const random = seeded(3);
    const noise = { ...paper(0), data: Uint8Array.from({ length: 1240 * 1754 }, () => random.int(256)) };
    expect(readPage(noise, BUILT_IN).kind).toBe('foreign');
    expect(readPage(paper(0), BUILT_IN)).toMatchObject({ kind: 'foreign', reason: expect.stringContaining('dark') });
    const letter = paint(paint(paper(250), 20, 40, 60, 120, 3), 20, 40, 80, 100, 3);
    expect(readPage(letter, BUILT_IN)).toMatchObject({ kind: 'foreign', reason: 'no corner squares were found' });
  });
  test('other print with squares in its corners is neither a sheet nor a cover', () => {
    let form = paper(250);
    for (const [x, y] of COVER.fiducials.centres) form = paint(form, 10, x - 3, y - 3, 6, 6);
    for (const [x, y] of COVER.fiducials.centres.slice(1)) form = paint(form, 250, x - 1.5, y - 1.5, 3, 3);
    form = paint(form, 20, 40, 60, 120, 3);
    expect(readPage(form, BUILT_IN).kind).toBe('foreign');
  });
  test('[P2] no raster is too small or too odd', () => {
    const sizes = fc.record({ width: fc.integer({ min: 0, max: 260 }), height: fc.integer({ min: 0, max: 260 }) });
    fc.assert(
      fc.property(sizes, fc.integer(), fc.constantFrom(2, 5, 40), ({ width, height }, seed, block) => {
        const random = seeded(seed);
        const data = new Uint8Array(width * height);
        for (let i = 0; i < data.length; i += block) data.fill(random.int(256), i, i + block);
        expect(['blank', 'foreign']).toContain(readPage({ width, height, data }, BUILT_IN).kind);
      }),
      { numRuns: 150 },
    );
    expect(readPage({ width: 500, height: 500, data: new Uint8Array(3) }, BUILT_IN).kind).toBe('foreign');
  });
});

describe('covers', () => {
  test.each([100, 150, 200, 300])('name their task at %i dpi in any orientation', (dpi) => {
    for (const degrees of TURNS) {
      expect(readPage(turn(drawCover('14900113', dpi), degrees), BUILT_IN)).toEqual({
        kind: 'cover',
        task_id: '14900113',
        qr: '14900113',
        orientation: (360 - degrees) % 360,
        flags: [],
      });
    }
  });

  const image = drawCover('14904523', 150);
  const { x, y, size } = COVER.qr!;
  test('[R3] a cover whose QR code is blotted, torn or missing is still a cover, of no task', () => {
    for (const spoilt of [
      paint(image, 0, x + 5, y + 5, size - 10, size - 10),
      paint(image, 255, x, y, size, size * 0.6),
      drawBlank(COVER, null, 150),
      bend(paint(image, 120, x, y + 10, size, size - 10), { skew: 3 }),
    ]) {
      expect(readPage(spoilt, BUILT_IN)).toMatchObject({ kind: 'cover', task_id: null, flags: ['qr-unreadable'] });
    }
  });
  test('[R3] a QR code that is no task id leaves the cover without a task', () => {
    for (const text of ['1490', 'sheaf:sheaf-150@1', coverQr('１２３４５６７８')]) {
      expect(readPage(drawBlank(COVER, text, 150), BUILT_IN)).toMatchObject({ kind: 'cover', task_id: null, qr: text });
    }
  });
  test('[R3] with any one corner square blotted, lost or washed out a cover stays a cover and a sheet a sheet', () => {
    const truth = randomContent(FORTY, 8);
    const filled = drawSheet(FORTY, truth, 150);
    for (const [cx, cy] of COVER.fiducials.centres) {
      for (const [grey, reach] of [
        [0, 3],
        [255, 4],
        [255, 1.5],
      ] as const) {
        const spoil = (page: GrayImage) => paint(page, grey, cx - reach, cy - reach, 2 * reach, 2 * reach);
        expect(readPage(spoil(image), BUILT_IN), `${cx}, ${cy}, ${grey}`).toMatchObject({ kind: 'cover' });
        expect(valuesOf(sheet(readPage(spoil(filled), BUILT_IN)))).toEqual(truth);
      }
    }
  });
});

describe('what is not sure is said', () => {
  const truth = randomContent(FORTY, 21);
  const image = drawSheet(FORTY, { ...truth, answers: ['A|C', ...truth.answers.slice(1)] }, 200);

  test('[R2] two marks are both named', () => {
    const q1 = sheet(readPage(image, BUILT_IN)).fields.find(({ label }) => label === 'q1');
    expect(q1).toMatchObject({ value: 'A|C', flags: ['multiple'] });
  });
  test('[R2] a lost corner square is worked out, and the page says so', () => {
    const torn = paint(image, 255, 190, 277, 20, 20);
    const reading = sheet(readPage(torn, BUILT_IN));
    expect(reading.flags).toContain('inferred-corner');
    expect(valuesOf(reading).answers.slice(1)).toEqual(truth.answers.slice(1));
  });
  test('[R2] without a QR code the template is found by its bubbles, and flagged', () => {
    for (const template of BUILT_IN) {
      const own = randomContent(template, 2);
      const reading = sheet(readPage(drawSheet(template, { ...own, qr: null }, 150), BUILT_IN));
      expect(reading).toMatchObject({ template_id: template.id, qr: null, flags: ['template-guessed'] });
      expect(valuesOf(reading)).toEqual(own);
    }
  });
  test('[R2] a blotted QR code is flagged as unreadable', () => {
    const blotted = paint(image, 0, 172, 26, 12, 10);
    expect(sheet(readPage(blotted, BUILT_IN)).flags).toEqual(['template-guessed', 'qr-unreadable']);
  });
  test('[R2] a sheet of another template or version is foreign, not misread', () => {
    expect(readPage(image, [builtIn('sheaf-60')!])).toMatchObject({
      kind: 'foreign',
      reason: 'the template sheaf-40 version 1 is not known',
    });
    const later = drawSheet(FORTY, { ...truth, qr: 'sheaf:sheaf-40@2' }, 150);
    expect(readPage(later, BUILT_IN).kind).toBe('foreign');
  });
  test('[R2] faint marks are read as faint or flagged, none is lost in silence', () => {
    const faint = drawSheet(
      FORTY,
      { ...truth, hand: { coverage: [0.4, 0.7], darkness: [0.12, 0.3], offset: 0.1 } },
      200,
    );
    const reading = sheet(readPage(grain(faint, 3, 1), BUILT_IN));
    const wrong = reading.fields.filter(({ label, value, flags }) => {
      const question = /^q(\d+)$/.exec(label);
      const right = question ? truth.answers[Number(question[1]) - 1] : label === 'roll' ? truth.roll : truth.variant;
      return value !== right && !flags.includes('doubtful');
    });
    expect(wrong).toEqual([]);
  });
  test('[R2] on paper that does not lie flat no answer is called sure', () => {
    // the middle of the page slides sideways by 2 mm, as behind a fold
    const { width, height } = image;
    const slid = image.data.slice();
    for (let y = Math.floor(height * 0.4); y < height * 0.7; y++) {
      slid.copyWithin(y * width + 16, y * width, (y + 1) * width - 16);
    }
    const reading = sheet(readPage({ width, height, data: slid }, BUILT_IN));
    expect(reading.flags).toContain('alignment');
    expect(reading.fields.every(({ flags }) => flags.includes('doubtful'))).toBe(true);
  });
});

describe('what a reading keeps', () => {
  const truth = randomContent(FORTY, 5);
  const image = drawSheet(FORTY, truth, 200);
  const reading = sheet(readPage(image, BUILT_IN));

  test('[R1] the same raster gives the same reading', () => {
    expect(readPage({ ...image, data: image.data.slice() }, BUILT_IN)).toEqual(reading);
  });
  test('a byte a bubble, on whose scale the page’s level parts marks from blanks', () => {
    const fills = fromBase64(reading.fills);
    const { bubbles, fields } = layOut(FORTY);
    expect(fills).toHaveLength(bubbles.length);
    for (const { label, groups, options } of fields.filter((field) => field.label.startsWith('q'))) {
      const marked = options.filter((_, i) => fills[groups[0]! + i]! > reading.threshold);
      expect(marked.join('|')).toBe(truth.answers[Number(label.slice(1)) - 1]);
    }
  });
  test('where the template’s millimetres lie in the raster', () => {
    const [a, b, c, d, e, f, g, h, i] = reading.to_image as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const at = ([x, y]: readonly [number, number]) => {
      const w = g * x + h * y + i;
      return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
    };
    for (const centre of FORTY.fiducials.centres) {
      const [x, y] = at(centre) as [number, number];
      expect(Math.abs(x - (centre[0] / 25.4) * 200)).toBeLessThan(0.3);
      expect(Math.abs(y - (centre[1] / 25.4) * 200)).toBeLessThan(0.3);
    }
  });
});
