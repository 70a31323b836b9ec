import { describe, expect, test } from 'vitest';
import { BUILT_IN, BUILT_IN_LETTER, builtIn, COVER } from './built-in.ts';
import { layOut } from './geometry.ts';
import { printed } from './print.ts';
import { coverQr, parseQr, sheetQr } from './qr-text.ts';
import { parseTemplate } from './template.ts';

const SHEETS = [...BUILT_IN, ...BUILT_IN_LETTER];

describe('built-in templates', () => {
  test.each([...SHEETS, COVER])('$id passes its own schema after a trip through JSON', (template) => {
    const parsed = parseTemplate(JSON.parse(JSON.stringify(template)));
    expect(parsed).toEqual({ ok: true, template });
  });

  test.each(BUILT_IN)(
    '$id has its questions in order, a roll number of eight digits and a booklet variant',
    (template) => {
      const { fields, bubbles } = layOut(template);
      const questions = Number(template.id.split('-')[1]);
      expect(fields.map(({ label }) => label)).toEqual([
        'roll',
        'variant',
        ...Array.from({ length: questions }, (_, i) => `q${i + 1}`),
      ]);
      expect(fields[0]!.groups).toHaveLength(8);
      expect(bubbles).toHaveLength(80 + 4 + 5 * questions);
      // 16 pixels at 100 dpi, under which marks begin to be misread
      for (const { width, height } of bubbles) expect(Math.min(width, height)).toBeGreaterThanOrEqual(4.06);
    },
  );

  test.each(SHEETS)('$id prints no bubble over another, the corner squares, the ticks or the QR zone', (template) => {
    const { bubbles } = layOut(template);
    const { fiducials, ticks, qr } = template;
    const boxes = [
      ...fiducials.centres.map(([x, y]) => ({ x, y, width: fiducials.size + 3, height: fiducials.size + 3 })),
      ...ticks.flatMap(({ size: [width, height], centres }) => centres.map(([x, y]) => ({ x, y, width, height }))),
      { x: qr!.x + qr!.size / 2, y: qr!.y + qr!.size / 2, width: qr!.size + 4, height: qr!.size + 4 },
    ];
    const apart = (a: (typeof boxes)[number], b: (typeof boxes)[number]): boolean =>
      Math.abs(a.x - b.x) >= (a.width + b.width) / 2 || Math.abs(a.y - b.y) >= (a.height + b.height) / 2;
    const clashes = bubbles.flatMap((bubble, i) =>
      [...boxes, ...bubbles.slice(i + 1)].filter((other) => !apart(bubble, other)).map((other) => [bubble, other]),
    );
    expect(clashes).toEqual([]);
  });

  test.each([...SHEETS, COVER])('$id prints nothing off the page', (template) => {
    const points = printed(template, 'sheaf:any@1').flatMap((shape) => {
      if (shape.shape === 'strokes') return shape.segments;
      const { x, y, width, height } = shape;
      // a box is placed by its corner, a ring by its centre
      return shape.shape === 'box'
        ? [x, y, x + width, y + height]
        : [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
    });
    const { width, height } = template.page;
    expect(points.filter((value, i) => !(value > 0 && value < (i % 2 === 0 ? width : height)))).toEqual([]);
  });

  test('are found by id, the cover too', () => {
    expect(builtIn('sheaf-150')?.fields).toHaveLength(7);
    expect(builtIn('sheaf-cover')).toBe(COVER);
    expect(builtIn('sheaf-151')).toBeUndefined();
  });
});

describe('errors name the field they are about', () => {
  const base = () => JSON.parse(JSON.stringify(builtIn('sheaf-40'))) as Record<string, never>;
  const rows: [string, (json: Record<string, never>) => void, string, RegExp][] = [
    ['no page', (json) => Reflect.deleteProperty(json, 'page'), 'page', /./],
    ['a length in words', (json) => Object.assign(json.fiducials, { size: 'six' }), 'fiducials.size', /millimetres/],
    ['an endless length', (json) => Object.assign(json.page, { width: Number.NaN }), 'page.width', /./],
    ['an unknown key', (json) => Object.assign(json, { treshold: 0.3 }), 'treshold', /./],
    ['a bad range', (json) => Object.assign(json.fields[2]!, { labels: 'q1-20' }), 'fields.2.labels', /q1\.\.30/],
    ['an empty range', (json) => Object.assign(json.fields[2]!, { labels: 'q9..1' }), 'fields.2.labels', /empty/],
    [
      'a label used twice',
      (json) => Object.assign(json.fields[3]!, { labels: 'q1..20' }),
      'fields.3',
      /q1 is used twice/,
    ],
    [
      'bubbles off the page',
      (json) => Object.assign(json.fields[2]!, { origin: [209, 20] }),
      'fields.2',
      /leave the page/,
    ],
    ['two odd corners', (json) => Object.assign(json.fiducials, { hollow: [0, 1] }), 'fiducials.hollow', /odd one/],
    [
      'corners crosswise',
      (json) => (json.fiducials as { centres: unknown[] }).centres.reverse(),
      'fiducials.centres',
      /clockwise/,
    ],
    [
      'an option that would part values',
      (json) => Object.assign(json.fields[2]!, { options: ['A', '|'] }),
      'fields.2.options.1',
      /\|/,
    ],
    [
      'a column that is not there',
      (json) => Object.assign(json.fields[0]!, { except: [{ column: 40, options: ['+'] }] }),
      'fields.0.except.0.column',
      /no such column/,
    ],
    [
      'a joined value of nothing',
      (json) => Object.assign(json, { joined: [{ label: 'all', of: ['q1', 'q99'] }] }),
      'joined.0.of.1',
      /no field q99/,
    ],
    ['options twice', (json) => Object.assign(json.fields[2]!, { options: ['A', 'A'] }), 'fields.2.options', /twice/],
    [
      'a box to write in over bubbles',
      (json) => {
        const [x, y] = (json.fields[2] as { origin: [number, number] }).origin;
        Object.assign(json, { writing: [{ caption: 'NAME', box: [x - 1, y - 1, 30, 10] }] });
      },
      'fields.2',
      /write NAME in covers a bubble/,
    ],
    [
      'a box to write in that leaves the page',
      (json) => Object.assign(json, { writing: [{ caption: 'NAME', box: [190, 285, 30, 10] }] }),
      'writing.0.box',
      /outside/,
    ],
    ['a QR zone off the page', (json) => Object.assign(json.qr, { x: 205 }), 'qr', /outside/],
    [
      'no step between questions',
      (json) => Object.assign(json.fields[2]!, { label_step: [0, 0] }),
      'fields.2.label_step',
      /zero/,
    ],
  ];
  test.each(rows)('%s', (_, spoil, field, message) => {
    const json = base();
    spoil(json);
    const parsed = parseTemplate(json);
    expect(parsed.ok).toBe(false);
    const errors = parsed.ok ? [] : parsed.errors;
    expect(errors).toContainEqual({ field, message: expect.stringMatching(message) });
  });

  test.each([null, 7, 'sheaf-40', [], {}])('%j is no template', (json) => {
    expect(parseTemplate(json).ok).toBe(false);
  });
});

describe('QR texts', () => {
  test('a cover says the bare task id', () => {
    expect(parseQr(coverQr('14900113'))).toEqual({ kind: 'cover', task_id: '14900113' });
  });
  test('a sheet names template, version and page', () => {
    expect(parseQr(sheetQr({ templateId: 'sheaf-150', version: 1 }))).toEqual({
      kind: 'sheet',
      template_id: 'sheaf-150',
      version: 1,
      page: 1,
    });
    expect(parseQr(sheetQr({ templateId: 'survey', version: 3, page: 2 }))).toMatchObject({ version: 3, page: 2 });
  });
  test.each(['', '1490011', '149001130', 'https://example.org/14900113', 'sheaf:@1', '１４９００１１３'])(
    '"%s" is neither',
    (text) => {
      expect(parseQr(text)).toEqual({ kind: 'other', text });
    },
  );
});
