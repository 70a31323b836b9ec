import { describe, expect, test } from 'vitest';
import type { GrayImage } from '../omr/image.ts';
import type { FieldReading } from '../protocol/reading.ts';
import { layOut } from './geometry.ts';
import { withJoined } from './joined.ts';
import { isOmrChecker, markerFile, readOmrChecker } from './omrchecker.ts';
import { markIn } from './omrchecker-marker.ts';

const base = () => ({
  pageDimensions: [1000, 1500] as number[],
  bubbleDimensions: [40, 30],
  preProcessors: [] as { name: string; options?: Record<string, unknown> }[],
  customLabels: { Roll: ['Medium', 'roll1..3'] } as Record<string, string[]>,
  fieldBlocks: {
    Medium: {
      origin: [100, 100],
      bubblesGap: 50,
      labelsGap: 0,
      fieldLabels: ['Medium'],
      bubbleValues: ['E', 'HT'],
      direction: 'vertical',
    },
    Roll: { fieldType: 'QTYPE_INT', origin: [200, 100], bubblesGap: 50, labelsGap: 60, fieldLabels: ['roll1..3'] },
    Mcq: { fieldType: 'QTYPE_MCQ4', origin: [500, 800], bubblesGap: 70, labelsGap: 60, fieldLabels: ['q1..3', 'Q 9'] },
  } as Record<string, Record<string, unknown>>,
  emptyValue: '',
});
type Json = ReturnType<typeof base>;

/** `#` is ink; four pixels a letter, so that corners are more than a pixel. */
const picture = (rows: readonly string[]): GrayImage => {
  const [width, height] = [rows[0]!.length * 4, rows.length * 4];
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const row = rows[Math.floor(i / width / 4)]!;
    return row[Math.floor((i % width) / 4)] === '#' ? 20 : 240;
  });
  return { width, height, data };
};
const RING = picture(['..####..', '.#....#.', '#..##..#', '#.####.#', '#.####.#', '#..##..#', '.#....#.', '..####..']);

const made = (change: (json: Json) => void = () => undefined, marker: GrayImage | null = null) => {
  const json = base();
  change(json);
  const form = readOmrChecker('my form', json, null, marker);
  if (!form.ok) throw new Error(JSON.stringify(form.errors));
  return form;
};

test('pixels become millimetres of a page whose long side is 297, and upper left corners become centres', () => {
  const { template, notes } = made();
  expect(notes).toEqual([]);
  expect(template).toMatchObject({ id: 'my-form', version: 1, kind: 'sheet', qr: null, fiducials: { type: 'none' } });
  const pixel = 297 / 1500;
  expect(template.page.height).toBe(297);
  expect(template.page.width).toBeCloseTo(1000 * pixel, 3);
  const { fields, bubbles } = layOut(template);
  const at = (label: string, option: string) => {
    const field = fields.find((one) => one.label === label)!;
    const { x, y, width, height } = bubbles[field.groups[0]! + field.options.indexOf(option)]!;
    return [x, y, width, height].map((mm) => Math.round(mm / pixel));
  };
  expect(fields.map(({ label }) => label)).toEqual(['Medium', 'roll1', 'roll2', 'roll3', 'q1', 'q2', 'q3', 'Q 9']);
  expect(at('Medium', 'HT')).toEqual([120, 165, 40, 30]); // down
  expect(at('roll3', '9')).toEqual([200 + 2 * 60 + 20, 100 + 9 * 50 + 15, 40, 30]); // down, the columns side by side
  expect(at('Q 9', 'D')).toEqual([500 + 3 * 70 + 20, 800 + 3 * 60 + 15, 40, 30]); // across, the rows below one another
});

test('a block may have bubbles, gaps and an empty value of its own', () => {
  const { template } = made(({ fieldBlocks }) => {
    Object.assign(fieldBlocks.Mcq!, { bubbleDimensions: [20, 20], labelsGap: [60, 90, 60], emptyValue: 'no' });
  });
  const pixel = 297 / 1500;
  const { fields, bubbles } = layOut(template);
  const tops = ['q1', 'q2', 'q3', 'Q 9'].map((label) => {
    const { y, width } = bubbles[fields.find((field) => field.label === label)!.groups[0]!]!;
    return [y, width].map((mm) => Math.round(mm / pixel));
  });
  expect(tops).toEqual([810, 870, 960, 1020].map((y) => [y, 20]));
  expect(template.fields.at(-1)).toMatchObject({ labels: ['Q 9'], empty: 'no' });
});

describe('what brings the page into its frame', () => {
  test('CropPage asks for the page’s edge', () => {
    const { template } = made(({ preProcessors }) => preProcessors.push({ name: 'CropPage', options: {} }));
    expect(template.fiducials).toEqual({ type: 'edge' });
  });

  test('CropOnMarkers asks for four marks of the picture’s shape in the corners, with paper around them', () => {
    const crop = { name: 'CropOnMarkers', options: { relativePath: 'omr_marker.jpg', sheetToMarkerWidthRatio: 20 } };
    expect(markerFile({ ...base(), preProcessors: [crop] })).toBe('omr_marker.jpg');
    const { template } = made(({ preProcessors }) => preProcessors.push({ name: 'CropPage' }, crop), RING);
    expect(template.fiducials.type).toBe('marks');
    const marks = template.fiducials.type === 'marks' ? template.fiducials.marks : [];
    const pixel = 297 / 1800; // a tenth of the long side on either side
    expect(marks.map(({ at }) => at.map((mm) => Math.round(mm / pixel) - 150))).toEqual([
      [0, 0],
      [1000, 0],
      [1000, 1500],
      [0, 1500],
    ]);
    expect(marks.every(({ shape, size }) => shape === 'ring' && Math.abs(size / pixel - 55) < 1)).toBe(true);
  });

  test('filters and alignment by features are named as without effect, thresholds too', () => {
    const json = base();
    json.preProcessors.push({ name: 'GaussianBlur', options: {} }, { name: 'FeatureBasedAlignment', options: {} });
    const form = readOmrChecker('f', json, { threshold_params: { MIN_JUMP: 30 } }, null);
    expect(form.ok && form.notes).toEqual([
      'preProcessors.0: GaussianBlur has no effect, the engine needs none',
      expect.stringMatching(/^preProcessors\.1: FeatureBasedAlignment is replaced/),
      expect.stringMatching(/^config\.json: threshold_params have no effect/),
    ]);
  });
});

describe('a picture of a marker has a shape', () => {
  const solid = ['.......', '.#####.', '.#####.', '.#####.', '.#####.', '.#####.', '.......'];
  test.each([
    ['square', picture(solid), 5 / 7],
    [
      'disc',
      picture(['..####..', '.######.', '########', '########', '########', '########', '.######.', '..####..']),
      1,
    ],
    ['ring', RING, 1],
    ['bracket', picture(['##########', ...Array.from({ length: 9 }, () => '#.........')].map((row) => row)), 1],
  ])('%s', (shape, image, share) => {
    const found = markIn(image)!;
    expect(found.share).toBeCloseTo(share, 5);
    expect(shape === 'bracket' ? ['bracket', 'ring'] : [shape]).toContain(found.shape);
  });
  test('an empty picture has none', () => expect(markIn(picture(['....', '....']))).toBeNull());
});

describe('errors name the field of template.json', () => {
  const rows: [string, (json: Json) => unknown, string, RegExp][] = [
    ['no page', (json) => Object.assign(json, { pageDimensions: undefined }), 'pageDimensions', /./],
    [
      'a page of no width',
      (json) => Object.assign(json, { pageDimensions: [0, 10] }),
      'pageDimensions.0',
      /more than 0/,
    ],
    [
      'a field type that is not known',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { fieldType: 'QTYPE_X' }),
      'fieldBlocks.Mcq.fieldType',
      /QTYPE_X is not one of QTYPE_MCQ4/,
    ],
    [
      'neither type nor values',
      (json) => delete json.fieldBlocks.Mcq!.fieldType,
      'fieldBlocks.Mcq.bubbleValues',
      /missing/,
    ],
    [
      'values without a direction',
      (json) => delete json.fieldBlocks.Medium!.direction,
      'fieldBlocks.Medium.direction',
      /missing/,
    ],
    [
      'a range backwards',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { fieldLabels: ['q9..1'] }),
      'fieldBlocks.Mcq.fieldLabels.0',
      /q9\.\.1 is not a range/,
    ],
    [
      'a label twice',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { fieldLabels: ['roll1..2'] }),
      'fieldBlocks.Mcq',
      /roll1 is used twice/,
    ],
    [
      'an origin that is no point',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { origin: 1 }),
      'fieldBlocks.Mcq.origin',
      /\[x, y\]/,
    ],
    [
      'too few gaps',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { labelsGap: [60] }),
      'fieldBlocks.Mcq.labelsGap',
      /4 labels need 3 gaps/,
    ],
    [
      'bubbles off the page',
      (json) => Object.assign(json.fieldBlocks.Mcq!, { origin: [900, 10] }),
      'fieldBlocks.Mcq',
      /leave the page/,
    ],
    [
      'a value with a space',
      (json) => Object.assign(json.fieldBlocks.Medium!, { bubbleValues: ['E', 'a b'] }),
      'fieldBlocks.Medium.bubbleValues.1',
      /space/,
    ],
    [
      'a label of nothing',
      (json) => Object.assign(json.customLabels, { Roll: ['rool1'] }),
      'customLabels.Roll',
      /no field rool1/,
    ],
    [
      'a pre-processor that is not known',
      (json) => json.preProcessors.push({ name: 'CropOnLogo' }),
      'preProcessors.0.name',
      /CropOnLogo is not supported/,
    ],
    [
      'a marker without its picture',
      (json) => json.preProcessors.push({ name: 'CropOnMarkers', options: {} }),
      'preProcessors.0.options.relativePath',
      /missing/,
    ],
    [
      'markers of a later version',
      (json) => json.preProcessors.push({ name: 'CropOnMarkers', options: { type: 'FOUR_DOTS' } }),
      'preProcessors.0.options.type',
      /FOUR_DOTS/,
    ],
    [
      'a later version',
      (json) => Object.assign(json, { templateDimensions: [1, 2] }),
      'templateDimensions',
      /development version/,
    ],
  ];
  test.each(rows)('%s', (_, spoil, field, message) => {
    const json = base();
    spoil(json);
    const form = readOmrChecker('f', JSON.parse(JSON.stringify(json)), null, null);
    expect(form.ok ? [] : form.errors).toContainEqual({ field, message: expect.stringMatching(message) });
  });

  test('a template of ours is not taken for one', () => {
    expect([isOmrChecker(base()), isOmrChecker({ fields: [] }), isOmrChecker(null)]).toEqual([true, false, false]);
  });
});

test('joined values put the parts together and are as sure as the least sure of them', () => {
  const { template } = made();
  const field = (label: string, value: string, more: Partial<FieldReading> = {}): FieldReading => ({
    label,
    value,
    confidence: 0.99,
    flags: value === '' ? ['blank'] : [],
    ...more,
  });
  const read = [
    field('Medium', 'HT'),
    field('roll1', '4'),
    field('roll2', ''),
    field('roll3', '1|7', { confidence: 0.5, flags: ['multiple'] }),
  ];
  expect(withJoined(template, read)).toEqual([
    { label: 'Roll', value: 'HT4_?', confidence: 0.5, flags: ['multiple'] },
    ...read,
  ]);
  const blank = ['Medium', 'roll1', 'roll2', 'roll3'].map((label) => field(label, ''));
  expect(withJoined(template, blank)[0]).toEqual({ label: 'Roll', value: '', confidence: 0.99, flags: ['blank'] });
});
