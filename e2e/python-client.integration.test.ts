// docs/protocol.md is true: its commands work as they stand, its client sends a file whatever is killed meanwhile, and
// no refusal of the upload routes is missing from its table.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { BatchList } from '../shared/protocol/batch.ts';
import { MB } from '../shared/protocol/upload.ts';
import { type Line, openLine } from './line.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually, ROOT, temporaryFolder } from './support/places.ts';
import { ADMIN_PASSWORD, type Sheaf, startSheaf } from './support/sheaf.ts';

const PAGE = fs.readFileSync(path.join(ROOT, 'docs', 'protocol.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code);

let folder: string;
let sheaf: Sheaf;
let line: Line;
let client: Client;
let exam: Exam;
let zip: string;

beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf({ env: { SHEAF_WORKERS: '2' } });
  line = await openLine(sheaf.url);
  client = await sheaf.client();
  exam = await drawExam({ seed: 31, covers: 2, sheets: 38, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  zip = path.join(folder, 'scans.zip');
  fs.writeFileSync(zip, await packZip(exam.scans));
});
afterAll(async () => {
  await line?.close();
  await sheaf?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

describe('the client of the page', () => {
  const program = (): string => path.join(folder, 'send.py');
  let running: ChildProcess | undefined;
  afterAll(() => void running?.kill('SIGKILL'));

  /** Runs it until it ends, or is killed. */
  function send(file = zip): Promise<{ code: number | null; out: string; complaint: string }> {
    const child = spawn('python3', [program(), file, line.url, 'admin'], {
      env: { ...process.env, SHEAF_PASSWORD: ADMIN_PASSWORD },
    });
    running = child;
    let [out, complaint] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, out: out.trim(), complaint })));
  }
  const chunks = async (): Promise<{ batch_id: string; verified: number; total: number }> => {
    const { items } = await client.call(BatchList, 'GET', '/api/batches');
    const { batch_id } = items[0];
    const { upload } = await client.status(batch_id);
    return { batch_id, verified: upload?.chunks_verified ?? 0, total: upload?.total_chunks ?? 0 };
  };

  test('it has at most 60 lines and needs nothing but Python', () => {
    const [code, ...more] = blocks('python');
    expect(more).toEqual([]);
    expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(60);
    fs.writeFileSync(program(), code);
  });

  test('[U4][U5][U6] it is killed, then the server is killed, and the file arrives whole and is read', async () => {
    // Slow enough that it is killed under way, however long it takes to ask how far it is.
    line.pace(MB / 4);
    const first = send();
    await eventually('some chunks', async () => {
      const items = (await client.call(BatchList, 'GET', '/api/batches')).items;
      return items.length > 0 && (await chunks()).verified >= 3;
    });
    running?.kill('SIGKILL');
    expect((await first).code).toBeNull();
    const before = await chunks();
    expect(before.verified).toBeLessThan(before.total - 2);

    const second = send();
    await eventually('more chunks', async () => (await chunks()).verified >= before.verified + 2);
    const former = await sheaf.kill('api');
    await sheaf.restarted('api', former);
    line.pace(null);
    const { code, out, complaint } = await second;
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
    expect(out, 'it went on with the same upload').toBe(before.batch_id);

    const batch = await client.waitForBatch(out, 240_000);
    expect(batch).toMatchObject({ status: 'completed', total_sheets: 38 });
    expect(await differences(client, out, exam)).toEqual([]);
    const blob = fs.readdirSync(path.join(sheaf.dataDir, 'blobs'));
    expect(blob).toHaveLength(1);
    expect(fs.readFileSync(path.join(sheaf.dataDir, 'blobs', blob[0])).equals(fs.readFileSync(zip))).toBe(true);
    const { items } = await client.call(BatchList, 'GET', '/api/batches');
    expect(items.map(({ batch_id }) => batch_id)).toEqual([out]);
  });

  test('[U4] run once more, it sends nothing and says the same', async () => {
    const sent = line.heard.filter(({ path: at }) => at.endsWith('/upload-chunk')).length;
    const again = await send();
    expect(again).toMatchObject({ code: 0, out: (await chunks()).batch_id });
    expect(line.heard.filter(({ path: at }) => at.endsWith('/upload-chunk'))).toHaveLength(sent);
  });

  test('a file with nothing to read in it ends it with the reason', async () => {
    const bad = path.join(folder, 'notes.zip');
    fs.writeFileSync(bad, Buffer.alloc(3 * MB, 'not a ZIP '));
    const { code, complaint } = await send(bad);
    expect(code).toBe(1);
    expect(complaint).toMatch(/no ZIP directory/);
  });
});

test('the commands of the page work as they stand', async () => {
  // A refusal makes curl fail, and that ends the script.
  fs.writeFileSync(path.join(folder, '.curlrc'), 'fail-with-body\n');
  const script = ['set -euo pipefail', ...blocks('sh')].join('\n');
  const shell = spawn('bash', ['-c', script], {
    cwd: folder,
    env: { ...process.env, CURL_HOME: folder, SHEAF: sheaf.url, NAME: 'admin', PASSWORD: ADMIN_PASSWORD },
  });
  let [out, complaint] = ['', ''];
  shell.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
  shell.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
  const code = await new Promise((resolve) => shell.once('close', resolve));
  expect({ code, complaint, out: code === 0 ? '' : out }).toEqual({ code: 0, complaint: '', out: '' });
  expect(out).toContain('"landed":300000,"verified":false');
  expect(out).toMatch(/"held":\[\[7,7\]\],"partial":\{"0":300000\}/);
  expect(out).toContain('"state":"sealed"');
  expect(out).toContain('"epoch":2');
  expect(out).toContain('"status":"uploaded"'); // of the one-request way
});

test('every refusal of the upload routes is on the page', () => {
  const sources = ['server/http/uploads.ts', 'server/http/routes.ts'].concat(
    fs
      .readdirSync(path.join(ROOT, 'server', 'uploads'))
      .filter((name) => name.endsWith('.ts') && !name.includes('.test.'))
      .map((name) => `server/uploads/${name}`),
  );
  const codes = new Set(
    sources.flatMap((file) =>
      [...fs.readFileSync(path.join(ROOT, file), 'utf8').matchAll(/(?:refuse|RequestRefused)\(\s*'([A-Z_]+)'/g)].map(
        ([, code]) => code,
      ),
    ),
  );
  expect(codes.size).toBeGreaterThan(10);
  expect([...codes].filter((code) => !PAGE.includes(`\`${code}\``))).toEqual([]);
});
