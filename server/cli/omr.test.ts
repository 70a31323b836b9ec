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

// processes are started and pages drawn, on machines that have other things to do
vi.setConfig({ testTimeout: 60_000 });

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
  expect(done).toEqual({ code: 0, out: '', err: 'omr: 1 other file passed over\n' });
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
