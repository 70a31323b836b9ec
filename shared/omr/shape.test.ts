import { describe, expect, test, vi } from 'vitest';
import { drawBlank } from '../corpus/draw.ts';
import {
  CAREFUL,
  crossBubble,
  drawLine,
  fillBubble,
  HASTY,
  ringBubble,
  scribbleBubble,
  tickBubble,
} from '../corpus/pencil.ts';
import { type Random, seeded } from '../corpus/random.ts';
import { bend, blur, cutCorner, grain } from '../corpus/wear.ts';
import type { SheetReading } from '../protocol/reading.ts';
import { BUILT_IN, builtIn } from '../template/built-in.ts';
import { type Bubble, layOut } from '../template/geometry.ts';
import { sheetQr } from '../template/qr-text.ts';
import type { GrayImage } from './image.ts';
import { readPage } from './read-page.ts';

// whole pages are drawn and worn, which takes a busy machine seconds
vi.setConfig({ testTimeout: 60_000 });

const SHEET = builtIn('sheaf-150')!;
const DPI = 200;
const SCALE = DPI / 25.4;
const { bubbles, fields } = layOut(SHEET);
const questions = fields.filter(({ label }) => /^q\d/.test(label));

type Draw = (image: GrayImage, bubble: Bubble, scale: number, random: Random) => void;

const blank = (): GrayImage => drawBlank(SHEET, sheetQr({ templateId: SHEET.id, version: SHEET.version }), DPI);
const read = (image: GrayImage): SheetReading => {
  const reading = readPage(image, BUILT_IN);
  if (reading.kind !== 'sheet') throw new Error(JSON.stringify(reading));
  return reading;
};

/** A page on which one question in three is answered by `draw`, two by a careful fill, worn as a scanner in the field
 *  does; the fields of the first kind and those of the second, with what was meant. */
const mixed = (draw: Draw, seed: number) => {
  const random = seeded(seed);
  const image = blank();
  const meant = new Map<string, { option: string; odd: boolean }>();
  questions.forEach(({ label, groups, options }, i) => {
    const pick = random.int(options.length);
    const bubble = bubbles[groups[0]! + pick]!;
    if (i % 3 === 0) draw(image, bubble, SCALE, random);
    else fillBubble(image, bubble, SCALE, CAREFUL, random);
    meant.set(label, { option: options[pick]!, odd: i % 3 === 0 });
  });
  const worn = grain(blur(bend(image, { skew: random.between(-2, 2) }), random.between(0, 1.2)), 6, seed);
  const seen = read(worn).fields.filter(({ label }) => meant.has(label));
  const all = seen.map((field) => ({ ...field, ...meant.get(field.label)! }));
  return { odd: all.filter(({ odd }) => odd), fills: all.filter(({ odd }) => !odd) };
};
const share = <T>(list: readonly T[], is: (one: T) => boolean): number => list.filter(is).length / list.length;

describe('[R2] what is drawn instead of a fill is read and said', () => {
  test.each([
    ['ticks', tickBubble],
    ['crosses', crossBubble],
  ] as const)('%s', (_, draw) => {
    const { odd, fills } = mixed(draw, 5);
    expect(share(odd, ({ flags }) => flags.includes('tick'))).toBeGreaterThan(0.95);
    // read as what was meant, or sent to a person
    expect(odd.filter(({ value, option, flags }) => value !== option && !flags.includes('doubtful'))).toEqual([]);
    expect(fills.filter(({ flags }) => flags.length > 0)).toEqual([]);
  });

  test('a fill that was scribbled over', () => {
    const { odd, fills } = mixed((image, bubble, scale, random) => {
      fillBubble(image, bubble, scale, CAREFUL, random);
      scribbleBubble(image, bubble, scale, random);
    }, 6);
    const seen = share(odd, ({ flags }) => flags.includes('scribble') && flags.includes('doubtful'));
    expect(seen).toBeGreaterThan(0.9);
    expect(share(fills, ({ flags }) => flags.length > 0)).toBeLessThan(0.03);
  });

  test('a ring drawn around a bubble', () => {
    const { odd } = mixed(ringBubble, 7);
    expect(odd.filter(({ flags }) => !flags.includes('doubtful'))).toEqual([]);
    expect(share(odd, ({ flags }) => flags.includes('outside'))).toBeGreaterThan(0.95);
  });

  test('hasty fills are neither ticks nor scribbles', () => {
    const { odd } = mixed((image, bubble, scale, random) => fillBubble(image, bubble, scale, HASTY, random), 8);
    expect(odd.filter(({ flags }) => flags.includes('tick') || flags.includes('scribble'))).toEqual([]);
  });

  test('what a bad eraser left is no answer that nobody looks at', () => {
    const rub: Draw = (image, bubble, scale, random) => {
      const darkness = random.between(0.12, 0.25);
      fillBubble(image, bubble, scale, { coverage: [0.7, 1], darkness: [darkness, darkness], offset: 0.05 }, random);
    };
    const { odd } = mixed(rub, 10);
    expect(odd.filter(({ value }) => value !== '').length).toBeGreaterThan(0);
    expect(odd.filter(({ value, flags }) => value !== '' && !flags.includes('doubtful'))).toEqual([]);
  });

  test('two marks of which one is crossed out with a line stay two marks', () => {
    const image = blank();
    const first = questions[0]!.groups[0]!;
    const random = seeded(9);
    for (const i of [0, 2]) fillBubble(image, bubbles[first + i]!, SCALE, CAREFUL, random);
    const { x, y } = bubbles[first]!;
    drawLine(
      image,
      [
        [x - 3, y - 2],
        [x + 3, y + 2],
      ],
      SCALE,
      0.6,
      0.9,
    );
    expect(read(image).fields.find(({ label }) => label === 'q1')).toMatchObject({ value: 'A|C', flags: ['multiple'] });
  });
});

describe('[R2] what is not on the page is no blank answer', () => {
  test('bubbles beyond the glass', () => {
    // the page lies 20 mm too far to the left: the first options are not on the raster
    const [image, off] = [blank(), Math.round(28 * SCALE)];
    const data = new Uint8Array(image.data.length).fill(255);
    for (let y = 0; y < image.height; y++) {
      const row = y * image.width;
      data.set(image.data.subarray(row + off, row + image.width), row);
    }
    const { fields: seen, flags } = read({ ...image, data });
    expect(flags).toContain('inferred-corner');
    for (const { label, flags: own } of seen) {
      const left = questions.findIndex((field) => field.label === label);
      if (left >= 0) expect(own.includes('doubtful'), label).toBe(left < 30);
    }
  });

  test('a part torn off, over a white lid and over a black one', () => {
    for (const lid of [255, 15]) {
      const torn = cutCorner(blank(), 2, Math.round(75 * SCALE), lid);
      const last = read(torn).fields.find(({ label }) => label === 'q150');
      expect(last, `lid ${lid}`).toMatchObject({ flags: expect.arrayContaining(['doubtful']) });
    }
  });
});
