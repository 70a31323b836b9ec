// `bench -- batch --sheets N [--runs R] [--dpi 200] [--beside N]`: a whole batch, from its first byte to `completed`, with client, API,
// Redis and workers on the same cores, against the floor of merely decoding its pages on all of them. With `--beside 51` a
// second batch of so many sheets is sent while the first is being read; `beside_s` is its first byte to completed.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { Client } from '../../server/cli/client.ts';
import { BatchDetail, SheetList } from '../../shared/protocol/batch.ts';
import { OMITTED } from '../../shared/protocol/export.ts';
import { ENDED } from '../../shared/protocol/stage.ts';
import { CHUNK_SIZE, chunkCount, OpenUploadAnswer, SealAnswer } from '../../shared/protocol/upload.ts';
import { type ZipOfScans, zipOfScans } from '../scans/zip-of-scans.ts';
import { announceExam } from '../support/exam.ts';
import { cpuSeconds, peakRss } from '../support/processes.ts';
import { type Sheaf, startSheaf } from '../support/sheaf.ts';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const FLOOR = fileURLToPath(new URL('../scans/floor.js', import.meta.url));
/** Pages a process decodes for the floor. */
const FLOOR_PAGES = 150;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;

async function decodeFloor(made: ZipOfScans): Promise<number> {
  const cores = os.availableParallelism();
  const index = path.join(path.dirname(made.zip), 'index.json');
  const run = promisify(execFile);
  const done = await Promise.all(
    Array.from({ length: cores }, async (_, k) => {
      const { stdout } = await run(process.execPath, [FLOOR, index, String(k), String(cores), String(FLOOR_PAGES)]);
      return JSON.parse(stdout) as { pages: number; ms: number };
    }),
  );
  return done.reduce((sum, { pages, ms }) => sum + (pages / ms) * 1000, 0);
}

/** Posts a chunk as a native client does: the form's text around the bytes, which are copied nowhere. */
async function postChunk(url: URL, token: string, fields: Record<string, string>, chunk: Buffer): Promise<void> {
  const boundary = `sheaf-${randomUUID()}`;
  const part = (name: string, more = '') =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
  const texts = Object.entries(fields).map(([name, value]) => `${part(name)}${value}\r\n`);
  const head = Buffer.from(`${texts.join('')}${part('chunk', '; filename="chunk"')}`);
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const request = http.request(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': head.length + chunk.length + tail.length,
    },
  });
  const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
  request.write(head);
  request.write(chunk);
  request.end(tail);
  const [response] = await answered;
  const said = Buffer.concat(await response.toArray()).toString();
  if (response.statusCode !== 200) throw new Error(`chunk ${fields.chunk_index}: ${response.statusCode} ${said}`);
}

/** Sends the file tail first, as the tablet does, and resolves with when the first and the last byte went. */
export async function send(
  sheaf: Pick<Sheaf, 'url'>,
  client: Client,
  made: ZipOfScans,
  opened?: (batch_id: string) => void,
): Promise<{ batch_id: string; first: number; last: number }> {
  const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: `bench-${made.batch.pages.length}.zip`,
    size: made.size,
    chunk_size: CHUNK_SIZE,
  });
  opened?.(upload.batch_id);
  const total = chunkCount(made.size, CHUNK_SIZE);
  const url = new URL('/api/batches/upload-chunk', sheaf.url);
  const file = await open(made.zip);
  const bytes = Buffer.alloc(Math.min(CHUNK_SIZE, made.size));
  const first = Date.now();
  let last = first;
  for (const index of [total - 1, ...Array.from({ length: total - 1 }, (_, i) => i)]) {
    const chunk = bytes.subarray(0, Math.min(CHUNK_SIZE, made.size - index * CHUNK_SIZE));
    await file.read(chunk, 0, chunk.length, index * CHUNK_SIZE);
    const fields = {
      upload_id: upload.upload_id,
      chunk_index: String(index),
      total_chunks: String(total),
      sha256: createHash('sha256').update(chunk).digest('hex'),
    };
    await postChunk(url, upload.upload_token, fields, chunk);
    last = Date.now();
  }
  await file.close();
  await client.call(SealAnswer, 'POST', `/api/batches/uploads/${upload.upload_id}/seal`);
  return { batch_id: upload.batch_id, first, last };
}

/** Every answer, roll number and variant against what was drawn; the number of differences. */
async function countWrong(client: Client, batchId: string, made: ZipOfScans): Promise<number> {
  const sheets = new Map<string, { roll: string | null; variant: string | null; name: string; values: string[] }>();
  for (let page = 1, pages = 1; page <= pages; page++) {
    const list = await client.call(SheetList, 'GET', `/api/batches/${batchId}/sheets?limit=1000&page=${page}`);
    pages = list.pages;
    for (const { sheet_id, roll, variant, name } of list.items)
      sheets.set(sheet_id, { roll, variant, name, values: [] });
  }
  const response = await client.request('GET', `/api/batches/${batchId}/export?format=long`);
  if (!response.ok || !response.body) throw new Error(`the export answered ${response.status}`);
  let rest = '';
  let columns: string[] | null = null;
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      // No cell of this export is quoted: ids, numbers, letters.
      const cells = line.split(',');
      if (!columns) {
        columns = cells;
        continue;
      }
      const sheet = sheets.get(cells[columns.indexOf('sheet_id')] ?? '');
      const value = cells[columns.indexOf('value')] ?? '';
      if (sheet) sheet.values[Number(cells[columns.indexOf('question')]) - 1] = value === OMITTED ? '' : value;
    }
  }
  const byName = new Map([...sheets.values()].map((sheet) => [sheet.name, sheet]));
  let wrong = 0;
  for (const { name, truth } of made.batch.pages) {
    if (!truth) continue;
    const sheet = byName.get(name);
    if (!sheet) wrong += truth.answers.length + 2;
    else {
      wrong += Number(sheet.roll !== truth.roll) + Number(sheet.variant !== truth.variant);
      wrong += truth.answers.filter((answer, i) => sheet.values[i] !== answer).length;
    }
  }
  return wrong;
}

/** Sends the second batch when a twentieth of the first has been read and well more than that is left. @returns seconds from its
 *  first byte to completed */
async function sendBeside(sheaf: Sheaf, client: Client, big: Promise<string>, made: ZipOfScans): Promise<number> {
  const batch_id = await big;
  for (;;) {
    const { processed_sheets, total_sheets } = await client.status(batch_id);
    if (total_sheets > 0 && processed_sheets * 20 >= total_sheets) break;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const sent = await send(sheaf, client, made);
  const done = await client.waitForBatch(sent.batch_id, 600_000);
  const { processed_sheets, total_sheets, status } = await client.status(batch_id);
  if (ENDED.includes(status) || processed_sheets === total_sheets)
    throw new Error('the big batch was read before the small one: take more sheets');
  const wrong = (await countWrong(client, sent.batch_id, made)) + done.failed_sheets;
  if (wrong > 0 || !done.processing_completed_at) throw new Error(`the batch beside it ended with ${wrong} faults`);
  return (Date.parse(done.processing_completed_at) - sent.first) / 1000;
}

async function measure(sheaf: Sheaf, made: ZipOfScans, beside: ZipOfScans | null) {
  const client = await sheaf.client();
  const before = await cpuSeconds(sheaf);
  let tellOpened: (batch_id: string) => void = () => undefined;
  const opened = new Promise<string>((resolve) => {
    tellOpened = resolve;
  });
  const besideDone = beside && sendBeside(sheaf, client, opened, beside);
  besideDone?.catch(() => undefined); // told below
  const sent = await send(sheaf, client, made, tellOpened);
  const done = await client.waitForBatch(sent.batch_id, 3_600_000);
  const after = await cpuSeconds(sheaf);
  const detail = await client.call(BatchDetail, 'GET', `/api/batches/${sent.batch_id}/status`);
  if (!done.processing_completed_at)
    throw new Error(`the batch ended ${done.status}: ${done.error_details ?? done.message}`);
  const completed = Date.parse(done.processing_completed_at);
  const stages = Object.fromEntries(
    detail.stages
      .filter((stage) => stage.finished_at)
      .map((stage) => [stage.stage, round((Date.parse(stage.finished_at!) - Date.parse(stage.started_at)) / 1000)]),
  );
  // Before the comparison, which asks the API for more than anybody else does.
  const peak_rss_mb = await peakRss(sheaf);
  return {
    beside_s: await besideDone,
    seconds: (completed - sent.first) / 1000,
    last_byte_to_complete_s: (completed - sent.last) / 1000,
    cpu_s_per_sheet: (after - before) / detail.total_sheets,
    stages,
    wrong: (await countWrong(client, sent.batch_id, made)) + detail.failed_sheets,
    peak_rss_mb,
  };
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sheets: { type: 'string', default: '1000' },
      runs: { type: 'string', default: '3' },
      dpi: { type: 'string', default: '200' },
      beside: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const sheets = Number(values.sheets);
  const made = await zipOfScans({ sheets, seed: 7, dpi: Number(values.dpi), quality: 78 }, say);
  const scans = { dpi: Number(values.dpi), quality: 78 };
  const beside = values.beside ? await zipOfScans({ sheets: Number(values.beside), seed: 8, ...scans }, say) : null;
  const floors: number[] = [];
  const runs: Awaited<ReturnType<typeof measure>>[] = [];
  for (let i = 0; i < Number(values.runs); i++) {
    floors.push(await decodeFloor(made));
    const sheaf = await startSheaf({ env: { SHEAF_WORKERS: String(os.availableParallelism()) } });
    try {
      await announceExam(await sheaf.client(), {
        tasks: made.batch.tasks,
        template_id: made.batch.template.id,
        scans: [],
      });
      runs.push(await measure(sheaf, made, beside));
    } finally {
      await sheaf.stop();
    }
    const last = runs.at(-1)!;
    say(
      `run ${i + 1}: ${round(sheets / last.seconds, 1)} sheets/s, floor ${round(floors.at(-1)!, 1)}, ${last.wrong} wrong`,
    );
  }
  const floor = median(floors);
  const seconds = median(runs.map((r) => r.seconds));
  const middle = runs.find((r) => r.seconds === seconds)!;
  return {
    sheets,
    mb: round(made.size / 2 ** 20, 1),
    decode_floor_sheets_per_s: round(floor, 1),
    sheets_per_s: round(sheets / seconds, 1),
    efficiency: round(sheets / floor / seconds, 3),
    first_byte_to_complete_s: round(seconds, 1),
    last_byte_to_complete_s: round(median(runs.map((r) => r.last_byte_to_complete_s)), 1),
    stages: middle.stages,
    cpu_s_per_sheet: round(median(runs.map((r) => r.cpu_s_per_sheet)), 4),
    peak_rss_mb: middle.peak_rss_mb,
    ...(beside ? { beside_s: round(median(runs.map((r) => r.beside_s ?? Number.NaN)), 1) } : {}),
    correct: runs.every((r) => r.wrong === 0),
  };
}
