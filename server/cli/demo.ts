// The demonstration: draws a batch whose every answer is known, sends it through the public API as any client would,
// shows what the stream tells, and compares every answer that was read with what was drawn.
import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import yazl from 'yazl';
import { type SampleBatch, type SamplePage, sampleBatch } from '../../shared/corpus/sample.ts';
import { Me } from '../../shared/protocol/auth.ts';
import type { BatchDetail, SheetRow } from '../../shared/protocol/batch.ts';
import { SheetList } from '../../shared/protocol/batch.ts';
import { OMITTED } from '../../shared/protocol/export.ts';
import type { NewTask } from '../../shared/protocol/key.ts';
import { KeyAnswer, PublishAnswer, TaskAnswer } from '../../shared/protocol/key.ts';
import { BatchProgress, ProgressEvent } from '../../shared/protocol/stream.ts';
import { MB } from '../../shared/protocol/upload.ts';
import { encodeJpeg } from '../adapters/decode.ts';
import type { Config } from '../config.ts';
import { Refusal } from '../refusal.ts';
import type { Client } from './client.ts';
import { ApiRefusal, signIn } from './client.ts';
import { parseCsv } from './csv.ts';

const COVERS = 3;
const SHEETS = 51;
const QUESTIONS = 150;
const DPI = 200;
/** What office scanners write. */
const JPEG_QUALITY = 85;
/** Small, so that a batch of a few MB shows several chunks. */
const DEMO_CHUNK = MB;
const LONGEST_MS = 10 * 60_000;

interface Login {
  username: string;
  password: string;
}

/** `next`: the password it is being changed to; which of the two holds is known once the server has answered. */
const StoredLogin = v.object({ username: v.string(), password: v.string(), next: v.optional(v.string()) });
type StoredLogin = v.InferOutput<typeof StoredLogin>;

export interface DemoLogin extends StoredLogin {
  /** where the demo keeps it; null: the operator chose the password and keeps it themself */
  file: string | null;
}

/** Whole or not at all: with the password, the data of the demo would be lost. */
function keepLogin(file: string, login: StoredLogin): void {
  const part = `${file}.part`;
  fs.rmSync(part, { force: true });
  fs.writeFileSync(part, JSON.stringify(login), { mode: 0o600, flush: true });
  fs.renameSync(part, file);
}

/** How the demo signs in: with the password the operator chose, or the one made at the first start, which it keeps in
 *  `demo-login` in the data folder, readable by its owner alone.
 *  @throws Refusal when the first start was not the demo's, so that nobody told it the password */
export function demoLogin(config: Config, firstAdmin: Login | null): DemoLogin {
  const file = path.join(config.dataDir, 'demo-login');
  if (config.adminPassword !== null) return { username: 'admin', password: config.adminPassword, file: null };
  if (firstAdmin) {
    keepLogin(file, firstAdmin);
    return { ...firstAdmin, file };
  }
  if (fs.existsSync(file)) return { ...v.parse(StoredLogin, JSON.parse(fs.readFileSync(file, 'utf8'))), file };
  throw new Refusal(
    "The demo does not know this data folder's admin password: set SHEAF_ADMIN_PASSWORD=password, or give it a folder of its own with SHEAF_DATA=folder.",
  );
}

// ── a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────

const say = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

/** On a terminal one line that is redrawn; in a log a line at each quarter. */
function progressLine(name: string) {
  const tty = process.stdout.isTTY;
  let shown = -1;
  let open = false;
  return {
    show(share: number, text: string): void {
      const percent = Math.floor(Math.min(1, share) * 100);
      const step = tty ? percent : Math.floor(percent / 25) * 25;
      if (step <= shown) return;
      shown = step;
      const filled = Math.round(Math.min(1, share) * 24);
      const line = `  ${name.padEnd(20)} ${'█'.repeat(filled)}${'░'.repeat(24 - filled)} ${String(percent).padStart(3)} %  ${text}`;
      process.stdout.write(tty ? `\r${line}\u001b[K` : `${line}\n`);
      open = tty;
    },
    end(): void {
      if (open) process.stdout.write('\n');
      open = false;
    },
  };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

// ── the batch ────────────────────────────────────────────────────────────────────────────────────────────────────

async function drawZip(pages: readonly SamplePage[], signal: AbortSignal): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  const line = progressLine('drawing');
  for (const [index, page] of pages.entries()) {
    signal.throwIfAborted();
    zip.addBuffer(await encodeJpeg(page.draw(DPI), JPEG_QUALITY), page.name, { compress: false });
    line.show((index + 1) / pages.length, `${index + 1} of ${pages.length} pages`);
  }
  line.end();
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function exists(client: Client, address: string): Promise<boolean> {
  const response = await client.request('GET', address);
  await response.body?.cancel();
  return response.ok;
}

/** A fresh Sheaf has one account, which may publish what it made. Where there are more, one of them has to. */
async function publish(client: Client, key_id: string): Promise<void> {
  try {
    await client.call(PublishAnswer, 'POST', `/api/answer-keys/${key_id}/publish`);
  } catch (error) {
    if (!(error instanceof ApiRefusal) || error.status !== 403) throw error;
    throw new Refusal(
      `The demo's key ${key_id} waits for a second supervisor: publish it as somebody else, or give the demo a folder of its own with SHEAF_DATA=folder.`,
    );
  }
}

/** A second demo meets the tasks of the first: they are the same. */
async function makeTasks(client: Client, { tasks, template }: SampleBatch): Promise<void> {
  for (const { task_id, key } of tasks) {
    if (await exists(client, `/api/tasks/${task_id}`)) continue;
    const key_id = `demo-${task_id}`;
    if (!(await exists(client, `/api/answer-keys/${key_id}`))) {
      await client.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id, content: key });
    }
    await publish(client, key_id);
    const task: NewTask = { task_id, exam: 'Demo exam', centre: 'Demo centre', template_id: template.id, key_id };
    await client.call(TaskAnswer, 'POST', '/api/tasks', task);
  }
}

/** Prints a batch's stages as they come. Stages overlap, so a line that had to make room for another's is begun anew. */
async function showStages(client: Client, batchId: string): Promise<void> {
  const lines = new Map<string, ReturnType<typeof progressLine>>();
  let last = '';
  const show = (stage: string, share: number, text: string): void => {
    if (stage !== last) lines.get(last)?.end();
    last = stage;
    const line = lines.get(stage) ?? progressLine(stage);
    lines.set(stage, line);
    line.show(share, text);
  };
  for await (const event of client.follow(batchId, LONGEST_MS)) {
    if (event.type === 'progress') {
      const now = v.parse(ProgressEvent, event.data);
      show(now.stage, now.progress_percentage / 100, now.message);
    } else if (event.type === 'batch.progress' && last === 'processing_sheets') {
      const now = v.parse(BatchProgress, event.data);
      const rate = now.throughput_rate > 0 ? `, ${Math.round(now.throughput_rate)} a minute` : '';
      show(last, now.percentage / 100, `${now.completed_items} of ${now.total_items} pages${rate}`);
    }
  }
  lines.get(last)?.end();
}

// ── the result ───────────────────────────────────────────────────────────────────────────────────────────────────

const mean = (values: readonly number[]): string =>
  values.length === 0 ? '–' : (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1);

function printTable(batch: BatchDetail, sheets: readonly SheetRow[]): void {
  const row = (cells: readonly (string | number)[]): string =>
    `  ${cells.map((cell, at) => (at === 0 ? String(cell).padEnd(10) : String(cell).padStart(9))).join('')}`;
  const line = (name: string, of: readonly SheetRow[]): string => {
    const scores = of.flatMap((sheet) => (sheet.score === null ? [] : [sheet.score]));
    const failed = of.filter((sheet) => sheet.status === 'failed').length;
    const doubtful = of.reduce((sum, sheet) => sum + sheet.doubtful, 0);
    const ends = scores.length === 0 ? ['–', '–'] : [Math.min(...scores), Math.max(...scores)];
    return row([name, of.length, failed, mean(scores), ...ends, doubtful]);
  };
  say();
  say(row(['task', 'sheets', 'failed', 'mean', 'lowest', 'highest', 'doubtful']));
  for (const task of [...new Set(sheets.map((sheet) => sheet.task_id))]) {
    say(
      line(
        task ?? 'none',
        sheets.filter((sheet) => sheet.task_id === task),
      ),
    );
  }
  say(line('all', sheets));
  say();
  const times = [batch.extraction_duration_ms, batch.omr_duration_ms, batch.total_duration_ms].map((ms) => ms ?? 0);
  const [extraction = 0, omr = 0, total = 0] = times;
  say(`  ${batch.status}: first page after ${seconds(extraction)}, reading ${seconds(omr)}, in all ${seconds(total)}`);
}

/** Looks up every answer, roll number and variant that was drawn. @returns a line for each that was read otherwise */
export function compare(
  pages: readonly SamplePage[],
  sheets: readonly SheetRow[],
  long: string,
  wide: string,
): { compared: number; wrong: string[] } {
  const wrong: string[] = [];
  const answers = new Map<string, string>();
  for (const { sheet_id, question, value = '' } of parseCsv(long)) {
    answers.set(`${sheet_id} ${Number(question)}`, value === OMITTED ? '' : value);
  }
  const byName = new Map(sheets.map((sheet) => [path.basename(sheet.name), sheet]));
  const wideRolls = parseCsv(wide).map((record) => record.roll ?? '');
  let compared = 0;
  for (const { name, truth } of pages) {
    if (!truth) continue;
    const sheet = byName.get(path.basename(name));
    if (sheet?.status !== 'read') {
      wrong.push(`${name}: not read${sheet?.error_message ? ` (${sheet.error_message})` : ''}`);
      continue;
    }
    if (sheet.roll !== truth.roll) wrong.push(`${name}: roll number ${truth.roll} was read as ${sheet.roll}`);
    if (sheet.variant !== truth.variant) wrong.push(`${name}: variant ${truth.variant} was read as ${sheet.variant}`);
    if (!wideRolls.includes(truth.roll)) wrong.push(`${name}: no line of the wide CSV has roll number ${truth.roll}`);
    for (const [index, drawn] of truth.answers.entries()) {
      const read = answers.get(`${sheet.sheet_id} ${index + 1}`);
      compared++;
      if (read !== drawn) wrong.push(`${name}: question ${index + 1}, drawn '${drawn}', read '${read ?? 'no line'}'`);
    }
  }
  const drawn = pages.filter(({ truth }) => truth).length;
  if (wideRolls.length !== drawn) wrong.push(`the wide CSV has ${wideRolls.length} lines instead of ${drawn}`);
  return { compared, wrong };
}

async function signInOrRefuse(url: string, login: DemoLogin, signal: AbortSignal): Promise<Client> {
  for (const password of [login.password, ...(login.next === undefined ? [] : [login.next])]) {
    try {
      const client = await signIn(url, login.username, password, signal);
      return await withOwnPassword(client, { ...login, password }, signal);
    } catch (error) {
      if (!(error instanceof ApiRefusal) || error.status !== 401) throw error;
    }
  }
  throw new Refusal(
    `The demo cannot sign in as ${login.username}: set SHEAF_ADMIN_PASSWORD to this data folder's admin password, or give the demo a folder of its own with SHEAF_DATA=folder.`,
  );
}

/** A password that the server made up is changed before anything else, as it asks of everybody. */
async function withOwnPassword(client: Client, login: DemoLogin, signal: AbortSignal): Promise<Client> {
  const { must_change_password } = await client.call(Me, 'GET', '/api/auth/me');
  if (login.file === null || !must_change_password) return client;
  const next = randomBytes(12).toString('base64url');
  keepLogin(login.file, { username: login.username, password: login.password, next });
  const response = await client.request('POST', '/api/auth/password', {
    current_password: login.password,
    new_password: next,
  });
  if (!response.ok) throw new Error(`The demo's password was not changed: ${await response.text()}`);
  keepLogin(login.file, { username: login.username, password: next });
  return signIn(client.url, login.username, next, signal);
}

export interface DemoOptions {
  url: string;
  login: DemoLogin;
  /** nobody will look at it afterwards */
  exit: boolean;
  signal: AbortSignal;
}

/** Runs the demonstration against a server that is up.
 *  @returns true when all sheets were read, none failed, and every answer equals what was drawn */
export async function runDemo({ url, login, exit, signal }: DemoOptions): Promise<boolean> {
  const client = await signInOrRefuse(url, login, signal);
  say(`Demo: ${COVERS} covers and ${SHEETS} sheets of ${QUESTIONS} questions, as ${DPI} dpi scans`);
  const sample = sampleBatch({ seed: 1, covers: COVERS, sheets: SHEETS, questions: QUESTIONS });
  const zip = await drawZip(sample.pages, signal);
  await makeTasks(client, sample);

  // The stream is followed from the moment the batch exists: what it tells overlaps with the sending.
  let stages: Promise<void> = Promise.resolve();
  const name = `demo-${randomUUID().slice(0, 8)}.zip`;
  say(`Sending ${name}, ${(zip.length / MB).toFixed(1)} MB in chunks of ${DEMO_CHUNK / MB} MB`);
  const { batch_id } = await client.send(zip, {
    name,
    upload_type: 'zip_with_qr',
    chunk_size: DEMO_CHUNK,
    onOpen: (upload) => {
      stages = showStages(client, upload.batch_id);
      // Should sending fail, that is the error to tell, and not that the stream ended too.
      stages.catch(() => undefined);
    },
  });
  await stages;

  const batch = await client.waitForBatch(batch_id, LONGEST_MS);
  const { items } = await client.call(SheetList, 'GET', `/api/batches/${batch_id}/sheets?limit=1000`);
  printTable(batch, items);
  const { compared, wrong } = compare(
    sample.pages,
    items,
    await client.text(`/api/batches/${batch_id}/export?format=long`),
    await client.text(`/api/batches/${batch_id}/export?format=wide`),
  );
  if (compared !== SHEETS * QUESTIONS) wrong.unshift(`only ${compared} answers could be compared`);
  if (batch.failed_sheets > 0) wrong.unshift(`${batch.failed_sheets} sheets failed`);
  if (batch.total_sheets !== SHEETS) wrong.unshift(`${batch.total_sheets} sheets were found instead of ${SHEETS}`);
  if (wrong.length === 0) {
    say(`  ${batch.total_sheets} sheets, 0 failed, all ${compared} answers equal what was drawn`);
  } else {
    say(
      `  ${batch.total_sheets} sheets, ${batch.failed_sheets} failed, ${wrong.length} differences from what was drawn:`,
    );
    for (const difference of wrong.slice(0, 20)) say(`    ${difference}`);
  }
  if (!exit) {
    const kept = login.file === null ? 'the password you chose' : `the password in ${login.file}`;
    say(`\nLook at ${url} (user name ${login.username}, ${kept}), batch ${name}. Ctrl-C ends Sheaf.`);
  }
  return wrong.length === 0;
}
