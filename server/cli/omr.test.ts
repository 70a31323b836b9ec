import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import yazl from 'yazl';
import { pdfOf, tiffOf } from '../../e2e/support/documents.ts';
import { ROOT } from '../../e2e/support/places.ts';
import { drawSheet } from '../../shared/corpus/draw.ts';
import { BUILT_IN } from '../../shared/template/built-in.ts';
import { encodeJpeg } from '../adapters/decode.ts';
import { parseCsv } from './csv.ts';
import { omr } from './omr.ts';

// processes are started and pages drawn, on machines that have other things to do
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder = '';
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'sheaf-omr-'));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

/** The built command, as `npm run omr` runs it. */
const run = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const command = path.join(ROOT, 'dist', 'server', 'cli', 'omr.js');
    const child = execFile(process.execPath, [command, ...args], { maxBuffer: 2 ** 28 }, (_, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
  });

/** The same without a process of its own: for what is told rather than started. */
const told = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
  let [out, err] = ['', ''];
  const code = await omr(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
};

interface Truth {
  file: string;
  roll: string;
  variant: string;
  answers: string[];
}
const drawn = async (out: string): Promise<Truth[]> =>
  JSON.parse(await fs.readFile(path.join(out, 'truth.json'), 'utf8')) as Truth[];

test('drawn sheets read back from a folder as they were filled', async () => {
  const out = path.join(folder, 'forty');
  expect((await run('draw', '--template', 'sheaf-40', '--out', out, '--count', '3', '--seed', '7')).code).toBe(0);
  const truth = await drawn(out);
  expect(new Set(truth.map(({ roll }) => roll)).size).toBe(3);

  const csv = path.join(folder, 'forty.csv');
  const done = await run('read', '--out', csv, out);
  expect(done).toEqual({ code: 0, out: '', err: `omr: 1 other file passed over: ${path.join(out, 'truth.json')}\n` });
  const rows = parseCsv(await fs.readFile(csv, 'utf8'));
  expect(rows.map(({ file, kind, template }) => [path.basename(file!), kind, template])).toEqual(
    truth.map(({ file }) => [file, 'sheet', 'sheaf-40@1']),
  );
  rows.forEach((row, i) => {
    expect([row.roll, row.variant]).toEqual([truth[i]!.roll, truth[i]!.variant]);
    expect(truth[i]!.answers.map((_, q) => row[`q${q + 1}`])).toEqual(truth[i]!.answers);
  });
});

test('a key adds scores, as many points as it says', async () => {
  const out = path.join(folder, 'keyed');
  await run('draw', '--template', 'sheaf-40', '--out', out, '--seed', '3');
  const [truth] = await drawn(out);
  const key = path.join(folder, 'key.json');
  const answers = { [truth!.variant]: truth!.answers };
  await fs.writeFile(key, JSON.stringify({ answers, marks: { correct: 2, wrong: -1, blank: 0 } }));
  const { out: text, code } = await run('read', '--template', 'sheaf-40', '--key', key, out);
  expect(code).toBe(0);
  const marked = truth!.answers.filter((answer) => answer !== '').length;
  expect(parseCsv(text)[0]).toMatchObject({ score: String(2 * marked), correct: String(marked), wrong: '0' });
});

describe('an answer key', () => {
  const marks = { correct: 1, wrong: 0, blank: 0 };
  let sheets = '';
  const scored = async (content: unknown, ...more: string[]) => {
    const key = path.join(folder, 'wrong-key.json');
    await fs.writeFile(key, JSON.stringify(content));
    return told('read', '--key', key, ...more, sheets);
  };
  beforeAll(async () => {
    sheets = path.join(folder, 'to-score');
    await fs.mkdir(sheets);
    const content = { roll: '12345678', variant: 'B', answers: ['A', '', 'A|C', '', 'A|B'], seed: 1 };
    await fs.writeFile(path.join(sheets, '1.jpg'), await encodeJpeg(drawSheet(BUILT_IN[1]!, content, 150), 85));
  });

  test.each([
    ['an answer that is no choice', { '': ['Q'] }, 'question 1: option Q of A–E.'],
    ['a question too many', { '': Array(61).fill('A') }, 'question 61 of 60: the sheet has no such question.'],
    ['a booklet that is not there', { 1: ['A'] }, 'Booklet 1: the sheet has booklets A–D only.'],
  ])('is refused for %s, the template named or not', async (_, answers, words) => {
    for (const named of [[], ['--template', 'sheaf-60']]) {
      const { code, out, err } = await scored({ answers, marks }, ...named);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('wrong-key.json does not fit sheets of sheaf-60:');
      expect(err).toContain(words);
    }
  });

  test('that ends early is warned of once, and the rest counts as nothing', async () => {
    const { code, out, err } = await scored({ answers: { '': ['A', 'B', 'C'] }, marks });
    expect(code).toBe(0);
    expect(err).toMatch(/^omr: warning: .*, sheaf-60: questions 4–60 have no answer and will not count\.\n$/);
    expect(parseCsv(out)).toEqual([
      expect.objectContaining({ score: '1', max_score: '3', correct: '1', wrong: '0', blank: '1', multiple: '1' }),
    ]);
  });

  test('without a field is told which', async () => {
    const { code, err } = await scored({ answers: { '': ['A'] }, marks: { correct: 1, wrong: 0 } });
    expect(code).toBe(2);
    expect(err).toContain('is not an answer key:\n  marks.blank: is missing\n');
  });
});

test('review names what waits for a person, not what is certain', async () => {
  const out = path.join(folder, 'certain');
  await fs.mkdir(out);
  const content = { roll: '12345678', variant: 'B', answers: ['A', 'A|C'], seed: 1 };
  await fs.writeFile(path.join(out, '1.jpg'), await encodeJpeg(drawSheet(BUILT_IN[0]!, content, 200), 90));
  const { out: lines } = await told('read', '--json', out);
  const { reading } = JSON.parse(lines) as { reading: { fields: { label: string; flags: string[] }[] } };
  expect(reading.fields.find(({ label }) => label === 'q2')?.flags).toEqual(['multiple']);
  const { out: csv } = await told('read', out);
  expect(parseCsv(csv)[0]).toMatchObject({ q2: 'A|C', review: '' });
});

describe('drawing', () => {
  test('a cover is for the task that was named, and prints at its size', async () => {
    const out = path.join(folder, 'named-covers');
    const { code } = await told(
      ...['draw', '--template', 'sheaf-cover', '--out', out],
      ...['--task', '12345678', '--task', '87654321', '--dpi', '100'],
    );
    expect(code).toBe(0);
    expect((await drawn(out)).map((one) => Reflect.get(one, 'task_id'))).toEqual(['12345678', '87654321']);
    expect((await sharp(path.join(out, '0001.jpg')).metadata()).density).toBe(100);
    const { out: csv } = await told('read', out);
    expect(parseCsv(csv).map(({ kind, task_id }) => [kind, task_id])).toEqual([
      ['cover', '12345678'],
      ['cover', '87654321'],
    ]);
  });

  test('writes over nothing', async () => {
    const out = path.join(folder, 'drawn-once');
    const args = ['draw', '--template', 'sheaf-cover', '--out', out, '--dpi', '50'];
    expect((await told(...args)).code).toBe(0);
    const before = await drawn(out);
    const { code, err } = await told(...args, '--seed', '2');
    expect([code, err]).toEqual([2, expect.stringContaining('has a truth.json already')]);
    expect(await drawn(out)).toEqual(before);
  });
});

test('a folder without an image is told, and is no success', async () => {
  const empty = path.join(folder, 'empty');
  await fs.mkdir(empty);
  const { code, err } = await told('read', empty);
  expect([code, err]).toEqual([1, `omr: ${empty}: there is no image, PDF or ZIP of images in it\n`]);
});

test.each([
  [['read', '--key', 'no.json', 'x'], '--key no.json cannot be read: there is no such file or folder'],
  [['read', '--template', 'no.json', 'x'], '--template no.json cannot be read: there is no such file or folder'],
  [['read', '--out', '/nowhere/x.csv', 'x'], '--out /nowhere/x.csv cannot be written: there is no folder /nowhere'],
  [['read', '--templat', 'x'], 'unknown option --templat: read takes --template, --key, --out, --json'],
  [['scan'], 'unknown command scan: it is read, overlay, draw or template'],
  [['draw'], '--template is missing: name a .json file, a folder of OMRChecker or one of sheaf-40, '],
  [['draw', '--template', 'sheaf-cover', '--out', 'x', '--task', '123'], '--task has 8 digits, like 11000003, not 123'],
])('%j is told what to do', async (args, words) => {
  const { code, err } = await told(...args);
  expect(code).toBe(2);
  expect(err).toContain(words);
  expect(err).not.toMatch(/ENOENT|\.part/);
});

test('[P2] a broken page in a ZIP is named, the others are read, and the exit code says so', async () => {
  const out = path.join(folder, 'packed');
  await run('draw', '--template', 'sheaf-60', '--out', out, '--count', '2', '--dpi', '150');
  const zip = new yazl.ZipFile();
  const first = await fs.readFile(path.join(out, '0001.jpg'));
  zip.addBuffer(first, 'scans/1.jpg');
  zip.addBuffer(first.subarray(0, first.length >> 1), 'scans/2.jpg');
  zip.addFile(path.join(out, '0002.jpg'), 'scans/10.jpg');
  zip.addBuffer(Buffer.from('kept beside the scans'), 'scans/notes.txt');
  zip.end();
  const file = path.join(folder, 'scans.zip');
  await pipeline(zip.outputStream, createWriteStream(file));

  const { code, out: text, err } = await run('read', file);
  expect(code).toBe(1);
  expect(err).toBe(`omr: ${file}/scans/2.jpg: ${parseCsv(text)[1]!.reason}\n`);
  const rows = parseCsv(text);
  expect(rows.map(({ file: name, kind }) => [path.basename(name!), kind])).toEqual([
    ['1.jpg', 'sheet'],
    ['2.jpg', 'failed'],
    ['10.jpg', 'sheet'],
  ]);
  const truth = await drawn(out);
  expect([rows[0]!.roll, rows[2]!.roll]).toEqual(truth.map(({ roll }) => roll));
});

test('--json gives one object a page, covers and missing files among them', async () => {
  const out = path.join(folder, 'cover');
  await run('draw', '--template', 'sheaf-cover', '--out', out, '--dpi', '100');
  const missing = path.join(folder, 'missing.jpg');
  const { code, out: text, err } = await run('read', '--json', path.join(out, '0001.jpg'), missing);
  expect(code).toBe(1);
  expect(err).toBe(`omr: ${missing}: there is no such file\n`);
  const [cover, none] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { ok: boolean; reading?: { kind: string; task_id: string } });
  const [truth] = (await drawn(out)) as unknown as { task_id: string }[];
  expect(cover!.reading).toMatchObject({ kind: 'cover', task_id: truth!.task_id });
  expect(none).toEqual({ file: missing, ok: false, reason: 'there is no such file' });
});

describe('files of several pages', () => {
  const sheets = BUILT_IN.slice(0, 3).map((template, i) => ({
    template,
    roll: String(20000000 + i),
    image: drawSheet(template, { roll: String(20000000 + i), variant: 'A', answers: ['A', 'B'], seed: i }, 150),
  }));
  const rolls = (csv: string) =>
    parseCsv(csv).map(({ file, template, roll }) => [path.basename(file!), template, roll]);

  test('each page of a PDF and of a TIFF is a row', async () => {
    const pages = await Promise.all(sheets.map(async ({ image }) => ({ ...image, jpeg: await encodeJpeg(image, 85) })));
    const out = path.join(folder, 'several');
    await fs.mkdir(out);
    await fs.writeFile(path.join(out, 'one.pdf'), pdfOf(pages.slice(0, 1)));
    await fs.writeFile(path.join(out, 'three.pdf'), pdfOf(pages));
    await fs.writeFile(path.join(out, 'three.tif'), tiffOf(sheets.map(({ image }) => image)));
    const { code, out: csv, err } = await run('read', out);
    expect([code, err]).toEqual([0, '']);
    const row = (file: string, i: number) => [file, `${sheets[i]!.template.id}@1`, sheets[i]!.roll];
    expect(rolls(csv)).toEqual([
      row('one.pdf', 0),
      ...[0, 1, 2].map((i) => row(`three.pdf#${i + 1}`, i)),
      ...[0, 1, 2].map((i) => row(`three.tif#${i + 1}`, i)),
    ]);
  });
});

test('overlay draws what was seen over the page, in colour and in shapes', async () => {
  const [template] = BUILT_IN;
  const image = drawSheet(template!, { roll: '12345678', variant: 'A', answers: ['B', 'A|C'], seed: 1 }, 150);
  const file = path.join(folder, 'seen.jpg');
  await fs.writeFile(file, await encodeJpeg(image, 90));
  const out = path.join(folder, 'overlays');
  const { code, err } = await run('overlay', '--out', out, file, path.join(folder, 'missing.png'));
  expect(code).toBe(1);
  expect(err).toContain('missing.png: there is no such file');
  expect(await fs.readdir(out)).toEqual(['0001-seen.jpg']);
  const { data, info } = await sharp(path.join(out, '0001-seen.jpg')).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([image.width, image.height, 3]);
  // colour lies where a bubble is, and nowhere on the paper between
  const coloured = (xMm: number, yMm: number, sideMm: number): number => {
    const scale = image.width / template!.page.width;
    let count = 0;
    for (let y = Math.round((yMm - sideMm / 2) * scale); y < (yMm + sideMm / 2) * scale; y++) {
      for (let x = Math.round((xMm - sideMm / 2) * scale); x < (xMm + sideMm / 2) * scale; x++) {
        const at = (y * info.width + x) * 3;
        if (Math.max(data[at]!, data[at + 1]!, data[at + 2]!) - Math.min(data[at]!, data[at + 1]!, data[at + 2]!) > 50)
          count++;
      }
    }
    return count;
  };
  const block = template!.fields.find((one) => one.type === 'choice' && one.labels === 'q1..20')!;
  const [x, y] = block.type === 'choice' ? block.origin : [0, 0];
  const [marked, unmarked, paper] = [coloured(x + 8, y, 6), coloured(x, y, 6), coloured(20, 90, 6)];
  expect(paper).toBe(0);
  expect(unmarked).toBeGreaterThan(20);
  expect(marked).toBeGreaterThan(1.5 * unmarked);
});

describe('templates', () => {
  test('an OMRChecker folder is read, and its joined and empty values are columns', async () => {
    const form = path.join(folder, 'their form');
    await fs.mkdir(form);
    // our own sheet in their words, at 10 pixels a millimetre
    const template = {
      pageDimensions: [2100, 2970],
      bubbleDimensions: [50, 50],
      preProcessors: [{ name: 'MedianBlur', options: { kSize: 3 } }],
      customLabels: { Roll: ['d1..8'] },
      fieldBlocks: {
        Roll: {
          fieldType: 'QTYPE_INT',
          origin: [1087, 347],
          bubblesGap: 53,
          labelsGap: 56,
          fieldLabels: ['d1..8'],
          bubbleDimensions: [46, 46],
        },
        Q: {
          fieldType: 'QTYPE_MCQ5',
          origin: [415, 995],
          bubblesGap: 80,
          labelsGap: 90,
          fieldLabels: ['q1..20'],
          emptyValue: 'none',
        },
        R: { fieldType: 'QTYPE_MCQ5', origin: [1265, 995], bubblesGap: 80, labelsGap: 90, fieldLabels: ['q21..40'] },
      },
    };
    await fs.writeFile(path.join(form, 'template.json'), `\uFEFF${JSON.stringify(template)}`);
    const file = path.join(folder, 'theirs.jpg');
    const answers = ['B', '', 'A|C', ...Array.from({ length: 37 }, () => 'D')];
    const image = drawSheet(BUILT_IN[0]!, { roll: '90817263', variant: '', answers, seed: 4 }, 200);
    await fs.writeFile(file, await encodeJpeg(image, 90));
    const { code, out, err } = await run('read', '--template', form, file);
    expect(err).toBe(`omr: ${form}: preProcessors.0: MedianBlur has no effect, the engine needs none\n`);
    expect(code).toBe(0);
    expect(parseCsv(out)[0]).toMatchObject({ Roll: '90817263', d3: '8', q1: 'B', q2: 'none', q3: 'A|C', q40: 'D' });

    const json = await run('read', '--json', '--template', path.join(form, 'template.json'), file);
    const line = JSON.parse(json.out) as { reading: { fields: { label: string; value: string }[] }; joined: unknown };
    expect(line.joined).toEqual([expect.objectContaining({ label: 'Roll', value: '90817263' })]);
    expect(line.reading.fields.find(({ label }) => label === 'q2')).toMatchObject({ value: '' });

    Object.assign(template.fieldBlocks.Q, { fieldType: 'QTYPE_MCQ9' });
    await fs.writeFile(path.join(form, 'template.json'), JSON.stringify(template));
    const wrong = await run('read', '--template', form, file);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('fieldBlocks.Q.fieldType: QTYPE_MCQ9 is not one of');
  });

  test('a built-in one can be printed, changed and used', async () => {
    const own = path.join(folder, 'letter.json');
    const printed = await run('template', '--template', 'sheaf-letter-60');
    expect([printed.code, printed.err]).toEqual([0, '']);
    await fs.writeFile(own, JSON.stringify({ ...JSON.parse(printed.out), id: 'mine' }));
    const out = path.join(folder, 'mine');
    await run('draw', '--template', own, '--out', out);
    const { out: csv } = await run('read', '--template', own, out);
    const [truth] = await drawn(out);
    expect(parseCsv(csv)[0]).toMatchObject({ template: 'mine@1', roll: truth!.roll, flags: '' });
  });

  test('a template file of one’s own is used, and a wrong one is told field by field', async () => {
    const own = path.join(folder, 'own.json');
    await fs.writeFile(own, JSON.stringify({ id: 'own', version: 0, kind: 'sheet', fields: [] }));
    const { code, err } = await run('read', '--template', own, folder);
    expect(code).toBe(2);
    expect(err).toContain('version: versions count from 1');
    expect(err).toContain('page: ');
  });
});

test('[P2] what cannot be opened is named, and what can is read', async () => {
  const out = path.join(folder, 'odd');
  await fs.mkdir(out);
  await fs.writeFile(path.join(out, 'a.png'), 'no picture');
  await fs.writeFile(path.join(out, 'b.zip'), 'no archive');
  await fs.writeFile(path.join(out, 'c.tif'), '');
  const csv = path.join(folder, 'odd.csv');
  const { code, err } = await run('read', '--out', csv, out, '/dev/null', path.join(folder, 'none'));
  expect(code).toBe(1);
  const rows = parseCsv(await fs.readFile(csv, 'utf8'));
  expect(rows.map(({ file, kind }) => [path.basename(file!), kind])).toEqual(
    ['a.png', 'b.zip', 'c.tif', 'null', 'none'].map((name) => [name, 'failed']),
  );
  expect(err.trim().split('\n')).toEqual(rows.map(({ file, reason }) => `omr: ${file}: ${reason}`));
  expect((await fs.readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test.each([
  [[], 2],
  [['help'], 0],
  [['read'], 2],
  [['read', '--colour', 'x'], 2],
  [['read', '--template', 'sheaf-41', 'x'], 2],
  [['draw', '--template', 'sheaf-40'], 2],
  [['draw', '--template', 'sheaf-40', '--out', 'x', '--count', '-1'], 2],
  [['paint'], 2],
  [['overlay', 'x.jpg'], 2],
  [['read', '--out', '/nowhere/x.csv', 'x.jpg'], 2],
])('%j exits with %i', async (args, code) => {
  expect((await run(...args)).code).toBe(code);
});
