// `bench -- app [--only list,cold,filter,scroll,preview,memory] [--runs 5] [--pages 11404] [--gb 2]`: the built app in real
// Chromium. Times are what a person waits for, on a profile of its own, each the median of several runs. Nothing else should
// be running; where something is, the floors tell: what the same machine needs in the same run for next to nothing.
// `frame_floor` is the share of slow frames of a plain box scrolled the same way, `blank_start_s` a page with one script and
// no app at the same slow-down, `page_floor_ms` decoding a page of that ZIP and looking at none of it.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import yazl from 'yazl';
import { chooseZip, openApp, openTablet, signIn } from '../browser.ts';
import { type Line, openLine } from '../line.ts';
import type { Browser } from '../support/chromium.ts';
import { drawExam, packZip } from '../support/exam.ts';
import { ROOT, temporaryFolder } from '../support/places.ts';
import { type Sheaf, startSheaf } from '../support/sheaf.ts';

const KB = 1024;
const MB = 2 ** 20;
const GB = 2 ** 30;
/** A cover and its sheets. */
const PACKET = 51;

const say = (words: string): void => {
  process.stderr.write(`${words}\n`);
};
/** Throws where there is none, or one is no number: nothing was measured. */
function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[values.length >> 1];
  if (middle === undefined || !values.every(Number.isFinite)) throw new Error(`nothing was measured: [${values}]`);
  return middle;
}
const round = (n: number, digits: number): number => Number(n.toFixed(digits));

/** What index.html itself asks for, as it travels. */
function shellBytes(): number {
  const web = path.join(ROOT, 'dist', 'web');
  const html = fs.readFileSync(path.join(web, 'index.html'));
  const files = [...html.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)];
  return files.reduce(
    (sum, [, file]) => sum + gzipSync(fs.readFileSync(path.join(web, file ?? ''))).length,
    gzipSync(html).length,
  );
}

/** Puts rows into a store of the signed-in user, as the sync would have. */
const fill = (page: Page, store: string, rows: readonly object[]): Promise<void> =>
  page.evaluate(
    async ([name, all]) => {
      const found = (await indexedDB.databases()).find(
        (db) => db.name?.startsWith('sheaf-') && db.name !== 'sheaf-queue',
      );
      const db = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(found?.name ?? '');
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      const tx = db.transaction(name, 'readwrite');
      for (const row of all) tx.objectStore(name).put(row);
      await new Promise((resolve, reject) => {
        tx.oncomplete = resolve;
        tx.onerror = reject;
      });
      db.close();
    },
    [store, rows] as const,
  );

const batchRow = (i: number, sheets = 600) => ({
  batch_id: `bench-${i}`,
  name: `centre-${i % 40}-packet-${i}.zip`,
  upload_type: 'zip_with_qr',
  status: i % 7 === 0 ? 'completed_with_errors' : 'completed',
  task_id: null,
  uploaded_by: 'admin',
  centre: `Centre ${i % 40}`,
  size: 1e8,
  total_sheets: sheets,
  processed_sheets: sheets,
  failed_sheets: i % 7 === 0 ? 3 : 0,
  doubtful_sheets: i % 5,
  created_at: new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString(),
  processing_started_at: new Date(Date.UTC(2026, 0, 1) + i * 60_000 + 5_000).toISOString(),
  processing_completed_at: new Date(Date.UTC(2026, 0, 1) + i * 60_000 + 30_000 + (i % 9) * 4_000).toISOString(),
  deleted_at: null,
  true_at: Date.now(),
});

const sheetRow = (batch: string, i: number) => ({
  batch,
  sheet_id: String(i),
  page_index: i,
  name: `${String(i).padStart(5, '0')}.jpg`,
  status: i % 97 === 0 ? 'failed' : 'read',
  group_id: '1-0',
  task_id: '12345678',
  roll: String(20_000_000 + i),
  variant: 'ABCD'[i % 4],
  score: i % 97 === 0 ? null : i % 151,
  max_score: 150,
  correct: i % 151,
  wrong: 0,
  blank: 0,
  multiple: 0,
  doubtful: i % 13 === 0 && i % 97 !== 0 ? 2 : 0,
  unscored: null,
  provisional: false,
  error_message: i % 97 === 0 ? 'no corner squares were found' : null,
});

/** From the click to the first frame in which `selector` is there, ms. Throws when it was there before, or never comes. */
const timeTo = (page: Page, click: string, selector: string): Promise<number> =>
  page.evaluate(
    async ([from, to]) => {
      const button = document.querySelector<HTMLElement>(from);
      if (!button) throw new Error(`there is no ${from} to click`);
      if (document.querySelector(to)) throw new Error(`${to} is there before the click: it would measure nothing`);
      const began = performance.now();
      button.click();
      while (!document.querySelector(to)) {
        if (performance.now() - began > 60_000) throw new Error(`${to} did not come`);
        await new Promise(requestAnimationFrame);
      }
      await new Promise(requestAnimationFrame);
      return performance.now() - began;
    },
    [click, selector] as const,
  );

/** From nothing to `shown`, on a processor four times as slow, seconds. */
async function start(tablet: Browser, url: string, shown: string): Promise<number> {
  const page = await tablet.context.newPage();
  const devtools = await tablet.context.newCDPSession(page);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  const began = performance.now();
  await page.goto(url, { waitUntil: 'commit' });
  await page.locator(shown).first().waitFor({ timeout: 60_000 });
  const taken = (performance.now() - began) / 1000;
  await page.close();
  return taken;
}

const BLANK = `data:text/html,${encodeURIComponent('<body><script>document.body.innerHTML = "<main>here</main>"</script>')}`;

/** Opened without a network, from nothing to the list; and a page with nothing in it, in turns. */
async function coldStarts(tablet: Browser, url: string, runs: number): Promise<{ cold: number; blank: number }> {
  const cold: number[] = [];
  const blank: number[] = [];
  for (let run = 0; run < runs; run++) {
    blank.push(await start(tablet, BLANK, 'main'));
    cold.push(await start(tablet, url, '.batches .line'));
  }
  return { cold: median(cold), blank: median(blank) };
}

/** A ZIP of so many pages, a cover before each packet, written as it is made. */
async function bigZip(file: string, pages: number): Promise<{ sheet: Buffer }> {
  const exam = await drawExam({ seed: 3, covers: 1, sheets: 12, questions: 100, dpi: 150 });
  const [cover, ...sheets] = exam.scans.map(({ bytes }) => bytes);
  const zip = new yazl.ZipFile();
  const written = new Promise<void>((resolve, reject) => {
    zip.outputStream
      .pipe(fs.createWriteStream(file))
      .on('close', () => resolve())
      .on('error', reject);
  });
  for (let i = 0; i < pages; i++) {
    const bytes = i % PACKET === 0 ? cover : sheets[i % sheets.length];
    zip.addBuffer(bytes ?? Buffer.alloc(0), `${String(i).padStart(5, '0')}.jpg`, { compress: false });
  }
  zip.end();
  await written;
  return { sheet: sheets[0] ?? Buffer.alloc(0) };
}

/** Seconds from the choice of the file to the first cover's card, and to the card of the group after the first. */
async function preview(page: Page, file: string): Promise<{ cover: number; group: number }> {
  await page.reload();
  await chooseZip(page, file);
  const began = performance.now();
  await page.locator('[data-group="1"] img').waitFor({ timeout: 60_000 });
  const cover = (performance.now() - began) / 1000;
  await page.locator(`[data-group="${PACKET + 1}"]`).waitFor({ timeout: 120_000 });
  const group = (performance.now() - began) / 1000;
  await page.getByRole('button', { name: 'Stop looking' }).click();
  return { cover, group };
}

/** Share of frames that took longer than 33 ms while a box is scrolled by a hand's speed for five seconds. `plain`: a box of
 *  the same size beside it with as much in view and nothing that computes, instead of the feed. */
const slowFrames = (page: Page, what: 'feed' | 'plain'): Promise<number> =>
  page.evaluate(async (which) => {
    const feed = document.querySelector<HTMLElement>('.window');
    if (!feed) throw new Error('there is no feed');
    let box = feed;
    if (which === 'plain') {
      box = feed.cloneNode(true) as HTMLElement;
      const part = box.querySelector<HTMLElement>('.window-part');
      if (part) part.style.position = 'sticky';
      feed.after(box);
      feed.hidden = true;
    }
    box.scrollTop = 0;
    const frames: number[] = [];
    let last = performance.now();
    const end = last + 5_000;
    while (last < end) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
      box.scrollTop += 160;
    }
    const moved = box.scrollTop;
    if (which === 'plain') {
      box.remove();
      feed.hidden = false;
    }
    if (moved < 160 || frames.length < 5)
      throw new Error(`nothing was scrolled: ${moved} px in ${frames.length} frames`);
    return frames.filter((ms) => ms > 33).length / frames.length;
  }, what);

/** Decoding one page in the browser and looking at none of it, ms: what no preview can do without. */
const decodeFloor = (page: Page, bytes: Buffer, times: number): Promise<number> =>
  page.evaluate(
    async ([base64, n]) => {
      const blob = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: 'image/jpeg' });
      const began = performance.now();
      for (let i = 0; i < n; i++) {
        const bitmap = await createImageBitmap(blob);
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        context?.drawImage(bitmap, 0, 0);
        context?.getImageData(0, 0, bitmap.width, bitmap.height);
        bitmap.close();
      }
      return (performance.now() - began) / n;
    },
    [bytes.toString('base64'), times] as const,
  );

/** Resident memory of the largest renderer, bytes. */
async function rendererBytes(tablet: Browser): Promise<number> {
  const devtools = await tablet.context.browser()?.newBrowserCDPSession();
  const { processInfo } = (await devtools?.send('SystemInfo.getProcessInfo')) ?? { processInfo: [] };
  await devtools?.detach();
  const sizes = processInfo
    .filter(({ type }) => type === 'renderer')
    .map(({ id }) => {
      try {
        const found = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${id}/status`, 'utf8'));
        return Number(found?.[1] ?? 0) * KB;
      } catch {
        return 0;
      }
    });
  return Math.max(0, ...sizes);
}

/** A sparse file that looks like a ZIP from both ends. */
async function sparseZip(file: string, bytes: number): Promise<void> {
  const zip = await packZip([{ name: 'a.jpg', bytes: Buffer.alloc(16) }]);
  fs.writeFileSync(file, zip.subarray(0, 64));
  fs.truncateSync(file, bytes - zip.length);
  fs.appendFileSync(file, zip);
}

/** Megabytes by which the renderer has grown at most while so many bytes were copied into the queue. */
async function growth(tablet: Browser, page: Page, file: string): Promise<number> {
  await chooseZip(page, file);
  const before = await rendererBytes(tablet);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  const name = path.basename(file);
  const done = page.locator('.upload', { hasText: name }).and(page.locator('[data-step=queued], [data-step=waiting]'));
  let most = before;
  let copied = false;
  const waiting = done.waitFor({ timeout: 1_800_000 }).finally(() => {
    copied = true;
  });
  while (!copied) {
    most = Math.max(most, await rendererBytes(tablet));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await waiting;
  if (before === 0) throw new Error('no renderer was found to measure');
  return (most - before) / MB;
}

const PARTS = ['list', 'cold', 'filter', 'scroll', 'preview', 'memory'] as const;
type Part = (typeof PARTS)[number];

function chosen(only: string): ReadonlySet<Part> {
  const names = only.split(',').filter(Boolean);
  const unknown = names.find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}: choose of ${PARTS.join(', ')}`);
  return new Set(PARTS.filter((part) => names.length === 0 || names.includes(part)));
}

const ONE = 'bench-0';
const detailRow = (pages: number) => ({
  ...batchRow(0, pages),
  stage: 'completed',
  message: 'done',
  error_details: null,
  provisional: false,
  total_pages: pages,
  covers: 0,
  blank_pages: 0,
  total_answers: pages * 150,
  uploaded_at: null,
  total_duration_ms: 90_000,
  extraction_duration_ms: 5_000,
  omr_duration_ms: 85_000,
  stages: [],
  upload: null,
});

async function fillAll(page: Page, pages: number): Promise<void> {
  const rows = Array.from({ length: 1_000 }, (_, i) => batchRow(i, i === 0 ? pages : 600));
  await fill(page, 'batches', rows);
  await fill(page, 'details', [detailRow(pages)]);
  const sheets = Array.from({ length: pages }, (_, i) => sheetRow(ONE, i));
  await fill(page, 'sheets', sheets);
}

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: '' },
      runs: { type: 'string', default: '5' },
      pages: { type: 'string', default: '11404' },
      gb: { type: 'string', default: '2' },
      json: { type: 'boolean' },
    },
  });
  const runs = Number(values.runs);
  const few = Math.min(3, runs);
  const pages = Number(values.pages);
  const only = chosen(values.only);
  const folder = temporaryFolder();
  const result: Record<string, number> = { shell_kb: round(shellBytes() / KB, 1) };
  let sheaf: Sheaf | undefined;
  let line: Line | undefined;
  let tablet: Browser | undefined;
  try {
    sheaf = await startSheaf();
    line = await openLine(sheaf.url);
    tablet = await openTablet(line.url);
    const page = await openApp(tablet.context, line.url);
    await signIn(page, sheaf.admin);
    await page.getByText('No batches yet.').waitFor();
    // From here on there is no network: the sync would take away what it has never heard of.
    line.cut();
    say(`1,000 batches, ${pages} sheets`);
    await fillAll(page, pages);

    if (only.has('list')) {
      const list: number[] = [];
      for (let run = 0; run < runs; run++) {
        await page.locator('.places a[href="/queue"]').first().click();
        await page.locator('.empty').waitFor();
        list.push(await timeTo(page, '.places a[href="/"]', '.batches .line:nth-child(50)'));
      }
      result.list_ms = round(median(list), 0);
    }
    if (only.has('cold')) {
      say('cold starts');
      const { cold, blank } = await coldStarts(tablet, line.url, runs);
      result.cold_start_s = round(cold, 2);
      result.blank_start_s = round(blank, 2);
    }
    if (only.has('filter') || only.has('scroll')) {
      say('filter and scroll');
      await page.goto(`${line.url}/batches/${ONE}`);
      await page.locator('.results .line').first().waitFor({ timeout: 60_000 });
      await page.locator('.feed-row').first().waitFor();
    }
    if (only.has('filter')) {
      const filter: number[] = [];
      // Failed ones stand first in the list of all: only sheets that were read show that it was narrowed to others.
      const doubtful = '.results:not(:has(.line.failed))';
      for (let run = 0; run < runs; run++) {
        await page.locator('.segmented input[value=""]').check({ force: true });
        await page.locator('.results .line.failed').first().waitFor();
        filter.push(await timeTo(page, '.segmented input[value=doubtful]', doubtful));
      }
      result.filter_ms = round(median(filter), 0);
    }
    if (only.has('scroll')) {
      const slow: number[] = [];
      const floor: number[] = [];
      for (let run = 0; run < few; run++) {
        floor.push(await slowFrames(page, 'plain'));
        slow.push(await slowFrames(page, 'feed'));
      }
      result.slow_frames = round(median(slow), 3);
      result.frame_floor = round(median(floor), 3);
    }
    if (only.has('preview')) {
      say(`a ZIP of ${pages} pages`);
      const zip = path.join(folder, 'whole-exam.zip');
      const { sheet } = await bigZip(zip, pages);
      const looks: Awaited<ReturnType<typeof preview>>[] = [];
      const floor: number[] = [];
      for (let run = 0; run < few; run++) {
        floor.push(await decodeFloor(page, sheet, 10));
        looks.push(await preview(page, zip));
      }
      fs.rmSync(zip);
      result.first_cover_s = round(median(looks.map(({ cover }) => cover)), 2);
      result.first_group_s = round(median(looks.map(({ group }) => group)), 2);
      result.page_floor_ms = round(median(floor), 1);
    }
    if (only.has('memory')) {
      say(`queueing ${values.gb} GB`);
      const large = path.join(folder, 'large.zip');
      await sparseZip(large, Number(values.gb) * GB);
      await page.goto(line.url);
      result.renderer_growth_mb = round(await growth(tablet, page, large), 0);
      result.queued_gb = Number(values.gb);
    }
    return { ...result, pages };
  } finally {
    await tablet?.close();
    await line?.close();
    await sheaf?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
