// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Journeys of the queue, against the built product in real Chromium: a tablet, a line that can be cut, a server that can
// be killed.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { BatchList } from '../shared/protocol/batch.ts';
import { ProgressEvent } from '../shared/protocol/stream.ts';
import { card, chooseZip, closeApp, openApp, openTablet, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const MB = 2 ** 20;
const ROLLS = '.results tbody tr > :nth-child(2)';

let folder: string;
let dataDir: string;
let sheaf: Sheaf;
let line: Line;
let tablet: Browser;
let exam: Exam;
let client: Client;

beforeAll(async () => {
  folder = temporaryFolder();
  dataDir = temporaryFolder();
  sheaf = await startSheaf({ dataDir });
  client = await sheaf.client();
  exam = await drawExam({ seed: 11, covers: 2, sheets: 12, questions: 40, dpi: 150 });
  await announceExam(client, exam);
});
afterAll(async () => {
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
  fs.rmSync(dataDir, { recursive: true, force: true });
});
beforeEach(async () => {
  line = await openLine(sheaf.url);
  tablet = await openTablet(line.url);
});
afterEach(async () => {
  await tablet.close();
  await line.close();
});

/** A ZIP of the exam's scans and of something that is no scan, so that it has the size it should have. */
async function zipOf(name: string, size: number): Promise<string> {
  const scans = exam.scans.map(({ name, bytes }) => ({ name, bytes }));
  let left = size - scans.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const filler = [];
  for (let i = 0; left > 0; i++, left -= 32 * MB)
    filler.push({ name: `notes-${i}.bin`, bytes: Buffer.alloc(Math.min(left, 32 * MB), i + 1) });
  const file = path.join(folder, name);
  fs.writeFileSync(file, await packZip([...scans, ...filler]));
  return file;
}

const batchesCalled = async (name: string) =>
  (await client.call(BatchList, 'GET', `/api/batches?search=${encodeURIComponent(name)}`)).items;

async function goOffline(page: Page): Promise<void> {
  line.cut();
  // What a tablet without a network knows by itself: Background Sync waits for it.
  await tablet.context.setOffline(true);
  await syncSays(page, 'Offline since');
}

/** All bytes of an upload that this device holds, hashed in the order of its chunks, as IndexedDB gives them back. */
const storedBytes = (page: Page, name: string): Promise<{ index: number; sha256: string; size: number }[]> =>
  page.evaluate(async (wanted) => {
    const ask = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await ask(indexedDB.open('sheaf-queue'));
    const uploads = await ask(db.transaction('uploads').objectStore('uploads').getAll());
    const { id } = uploads.find((upload) => upload.name === wanted);
    const keys = await ask(
      db
        .transaction('bytes')
        .objectStore('bytes')
        .getAllKeys(IDBKeyRange.bound([id, 0], [id, 1e9])),
    );
    const found = [];
    for (const key of keys as [string, number][]) {
      const blob: Blob = await ask(db.transaction('bytes').objectStore('bytes').get(key));
      const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      const sha256 = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
      found.push({ index: key[1], sha256, size: blob.size });
    }
    db.close();
    return found;
  }, name);

test('[U1] [U2] [U6] queued without a network, sent by the service worker with no page open through a killed server, read without a network', async () => {
  const zip = await zipOf('centre-12.zip', 120 * MB);
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await goOffline(page);

  await queueZip(page, zip);
  await card(page, 'centre-12.zip').getByText('Safe on this device', { exact: true }).waitFor({ timeout: 30_000 });
  expect(await card(page, 'centre-12.zip').innerText()).toContain('0 of 3 chunks sent');
  await closeApp(tablet.context, line.url);

  // The network comes back, and no page is there to see it.
  line.pace(24 * MB);
  const closedAt = Date.now();
  line.mend();
  await tablet.context.setOffline(false);
  await eventually('parts of the first chunks', () => chunksIn(line.heard).length >= 4, 60_000);

  // SIGKILL for all of the server, half-way.
  const half = chunksIn(line.heard).length;
  for (const name of ['launcher', 'api', 'worker 1', 'redis']) await sheaf.kill(name);
  sheaf = await startSheaf({ dataDir });
  client = await sheaf.client();
  line.leadTo(sheaf.url);

  const batch = await eventually(
    'the end of the batch',
    async () => (await batchesCalled('centre-12.zip')).find(({ status }) => status === 'completed'),
    120_000,
  );
  expect(chunksIn(line.heard).length).toBeGreaterThan(half);
  expect(tablet.context.pages().some((open) => open.url().startsWith(line.url))).toBe(false);
  // No page has asked for anything since the tab was closed.
  expect(line.heard.filter(({ at, path }) => at > closedAt && (path === '/' || path.startsWith('/assets')))).toEqual(
    [],
  );
  expect(await differences(client, batch.batch_id, exam)).toEqual([]);
  // The server's own log says the same: every chunk was verified after the tab was closed.
  const arrived: string[] = [];
  for await (const { type, data } of client.follow(batch.batch_id, 30_000)) {
    const told = v.safeParse(ProgressEvent, data);
    if (type !== 'progress' || !told.success || !/^Chunk \d\/3 uploaded/.test(told.output.message)) continue;
    expect(Date.parse(told.output.timestamp)).toBeGreaterThan(closedAt);
    arrived.push(told.output.message.slice(0, 9));
  }
  expect([...new Set(arrived)].sort()).toEqual(['Chunk 1/3', 'Chunk 2/3', 'Chunk 3/3']);
  await eventually('results fetched by the service worker', () =>
    line.heard.some(({ path, status }) => path.includes(`${batch.batch_id}/sheets`) && status === 200),
  );
  await new Promise((resolve) => setTimeout(resolve, 1_500));

  // The network goes again, and a page is opened.
  line.cut();
  await tablet.context.setOffline(true);
  const later = await tablet.context.newPage();
  await later.goto(line.url);
  await later.getByRole('link', { name: 'centre-12.zip' }).waitFor();
  expect(await later.locator(`[data-batch="${batch.batch_id}"]`).innerText()).toContain('Completed');
  await later.getByText('This was last true at').waitFor();
  await later.getByRole('link', { name: 'centre-12.zip' }).click();
  await later.getByText('All 12 sheets were read').waitFor();
  await later.locator('.log').getByText('Batch completed successfully').waitFor();
  await later.locator(ROLLS).nth(11).waitFor();
  const rolls = await later.locator(ROLLS).allInnerTexts();
  const drawn = exam.scans.flatMap(({ truth }) => (truth ? [truth.roll] : []));
  expect(rolls.sort()).toEqual(drawn.sort());
  const groups = later.locator('section', { has: later.locator('#groups-title') }).locator('tbody tr');
  await groups.nth(1).waitFor();
  expect(await groups.count()).toBe(2);
  await later.goto(`${line.url}/queue`);
  await card(later, 'centre-12.zip').getByText('Sent', { exact: true }).waitFor();
  expect(await storedBytes(later, 'centre-12.zip')).toEqual([]);
});

test('[U4] two taps on "queue" make one batch, and a second tab shows the same state', async () => {
  const zip = await zipOf('twice.zip', 60 * MB);
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  const second = await openApp(tablet.context, `${line.url}/queue`);
  line.pace(20 * MB);
  await chooseZip(page, zip);
  await page.evaluate(() => {
    const button = document.querySelector<HTMLButtonElement>('button[type=submit]');
    button?.click();
    button?.click();
  });
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
  await card(second, 'twice.zip').getByText('Sending', { exact: true }).waitFor({ timeout: 30_000 });
  await card(page, 'twice.zip').getByText('Sending', { exact: true }).waitFor();
  expect(await page.locator('.upload').count()).toBe(1);
  line.pace(null);
  for (const tab of [page, second])
    await card(tab, 'twice.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 60_000 });
  expect(await batchesCalled('twice.zip')).toHaveLength(1);
  const [mine, theirs] = await Promise.all([page, second].map((tab) => card(tab, 'twice.zip').innerText()));
  expect(mine).toBe(theirs);
});

test('[U1] a page killed while copying: what was said to be safe is there, the rest is asked for by name', async () => {
  const zip = await zipOf('interrupted.zip', 500 * MB);
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await goOffline(page);
  await queueZip(page, zip);
  const said = await eventually('two chunks called safe', async () => {
    const words = await card(page, 'interrupted.zip').innerText();
    const safe = Number(/([\d.]+) MB of [\d.]+ MB safe/.exec(words)?.[1] ?? 0);
    return safe >= 100 ? safe : null;
  });
  const devtools = await tablet.context.newCDPSession(page);
  const crashed = page.waitForEvent('crash');
  devtools.send('Page.crash').catch(() => undefined);
  await crashed;
  await page.close();

  const again = await tablet.context.newPage();
  await again.goto(`${line.url}/queue`);
  await card(again, 'interrupted.zip').getByText('Needs the file again').waitFor({ timeout: 20_000 });
  expect(await card(again, 'interrupted.zip').innerText()).toContain('Choose “interrupted.zip” again for the rest');
  const stored = await storedBytes(again, 'interrupted.zip');
  expect(stored.reduce((sum, { size }) => sum + size, 0) / MB).toBeGreaterThanOrEqual(said);
  expect(stored.length).toBeLessThan(10);
  const file = fs.readFileSync(zip);
  const hash = (index: number) =>
    createHash('sha256')
      .update(file.subarray(index * 50 * MB, (index + 1) * 50 * MB))
      .digest('hex');
  expect(stored.map(({ sha256 }) => sha256)).toEqual(stored.map(({ index }) => hash(index)));

  // Another file of the same name and size is refused; the same one completes it.
  const other = path.join(folder, 'other');
  fs.mkdirSync(other);
  fs.writeFileSync(path.join(other, 'interrupted.zip'), Buffer.concat([Buffer.from('X'), file.subarray(1)]));
  const input = again.getByLabel('Choose interrupted.zip again');
  await input.setInputFiles(path.join(other, 'interrupted.zip'));
  await again.getByText('That is not the same file').waitFor({ timeout: 20_000 });
  expect(await storedBytes(again, 'interrupted.zip')).toEqual(stored);
  await input.setInputFiles(zip);
  await card(again, 'interrupted.zip').getByText('Safe on this device', { exact: true }).waitFor({ timeout: 60_000 });
  expect((await storedBytes(again, 'interrupted.zip')).map(({ sha256 }) => sha256)).toEqual(
    Array.from({ length: Math.ceil(file.length / (50 * MB)) }, (_, index) => hash(index)),
  );
});

test('[U3] signing out forgets what was seen and keeps what was queued', async () => {
  const zip = await zipOf('stays.zip', 2 * MB);
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await goOffline(page);
  await queueZip(page, zip);
  await card(page, 'stays.zip').getByText('Safe on this device', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'sign out' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('1 upload is safe on this device.').waitFor();
  expect(await storedBytes(page, 'stays.zip')).toHaveLength(1);
  const names = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  expect(names).toEqual(['sheaf-queue']);

  line.mend();
  await tablet.context.setOffline(false);
  await signIn(page, sheaf.admin);
  await eventually(
    'its batch',
    async () => (await batchesCalled('stays.zip')).some(({ status }) => status === 'completed'),
    60_000,
  );
});

test('nothing is queued before file, type and task id are right', async () => {
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  const wrong = path.join(folder, 'letter.zip');
  fs.writeFileSync(wrong, 'Dear colleague');
  await chooseZip(page, wrong);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByText('letter.zip is not a ZIP file').waitFor();
  await page.getByRole('radio', { name: 'ZIP for one task' }).check();
  await page.locator('input[type=file]').setInputFiles(await zipOf('one-task.zip', MB));
  await page.getByLabel('Task id').fill('1234567');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByText('A task id has exactly 8 digits.').waitFor();
  expect(await page.locator('.places .count').count()).toBe(0);
  await page.getByLabel('Task id').fill(exam.tasks[0]?.task_id ?? '');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await card(page, 'one-task.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 30_000 });
});

test('images for one task, several files as one batch', async () => {
  const [cover, first, second] = exam.scans;
  const sheets = [first, second].map((scan, i) => {
    const file = path.join(folder, `sheet-${i}.jpg`);
    fs.writeFileSync(file, scan?.bytes ?? '');
    return file;
  });
  expect(cover?.kind).toBe('cover');
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page.getByRole('radio', { name: 'Images for one task' }).check();
  await page.locator('input[type=file]').setInputFiles(sheets);
  await page.getByLabel('Task id').fill(exam.tasks[0]?.task_id ?? '');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await card(page, 'sheet-0.jpg and 1 more').getByRole('link', { name: 'Open batch' }).click();
  await page.getByText('All 2 sheets were read').waitFor({ timeout: 30_000 });
  await page.locator(ROLLS).nth(1).waitFor();
  const rolls = await page.locator(ROLLS).allInnerTexts();
  expect(rolls).toEqual([first?.truth?.roll, second?.truth?.roll]);
});

test('without Background Sync it is sent all the same', async () => {
  await tablet.context.addInitScript(() => {
    Reflect.deleteProperty(ServiceWorkerRegistration.prototype, 'sync');
  });
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await queueZip(page, await zipOf('asked-for.zip', 10 * MB));
  await card(page, 'asked-for.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 30_000 });
  expect(await page.evaluate(() => 'sync' in ServiceWorkerRegistration.prototype)).toBe(false);
  expect(await batchesCalled('asked-for.zip')).toHaveLength(1);
});
