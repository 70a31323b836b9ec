import { createWriteStream } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import yazl from 'yazl';
import { parseCsv } from './csv.ts';
import { omr } from './omr.ts';

let folder = '';
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'sheaf-omr-'));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

const run = async (...args: string[]) => {
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

test('a template file of one’s own is used, and a wrong one is told field by field', async () => {
  const own = path.join(folder, 'own.json');
  await fs.writeFile(own, JSON.stringify({ id: 'own', version: 0, kind: 'sheet', fields: [] }));
  const { code, err } = await run('read', '--template', own, folder);
  expect(code).toBe(2);
  expect(err).toContain('version: versions count from 1');
  expect(err).toContain('page: ');
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
])('%j exits with %i', async (args, code) => {
  expect((await run(...args)).code).toBe(code);
});
