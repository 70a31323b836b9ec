// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Journeys of the queue, against the built product in real Chromium: a tablet, a line that can be cut, a server that can
// be killed.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { ProgressEvent } from '../shared/protocol/stream.ts';
import { appSuite } from './app-suite.ts';
import { card, chooseZip, closeApp, openApp, queueZip, signIn, syncSays, takeSyncAway } from './browser.ts';
import { chunksIn } from './line.ts';
import { differences } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { startSheaf } from './support/sheaf.ts';

const MB = 2 ** 20;
const ROLLS = '.results tbody tr > :nth-child(2)';

const suite = appSuite({ seed: 11, covers: 2, sheets: 12 });

const batchesCalled = async (name: string) =>
  (await suite.client.call(BatchList, 'GET', `/api/batches?search=${encodeURIComponent(name)}`)).items;

async function goOffline(page: Page): Promise<void> {
  suite.line.cut();
  // What a tablet without a network knows by itself: Background Sync waits for it.
  await suite.tablet.context.setOffline(true);
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
  const zip = await suite.zipOf('centre-12.zip', 120 * MB);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await goOffline(page);

  await queueZip(page, zip);
  await card(page, 'centre-12.zip').getByText('Safe on this device', { exact: true }).waitFor();
  await card(page, 'centre-12.zip').getByText('0 of 3 chunks sent').first().waitFor();
  await closeApp(suite.tablet.context, suite.line.url);

  // The network comes back, and no page is there to see it.
  suite.line.pace(24 * MB);
  const closedAt = Date.now();
  suite.line.mend();
  await suite.tablet.context.setOffline(false);
  await eventually('parts of the first chunks', () => chunksIn(suite.line.heard).length >= 4);

  // SIGKILL for all of the server, half-way.
  const half = chunksIn(suite.line.heard).length;
  for (const name of ['launcher', 'api', 'worker 1', 'redis']) await suite.sheaf.kill(name);
  suite.sheaf = await startSheaf({ dataDir: suite.sheaf.dataDir });
  suite.client = await suite.sheaf.client();
  suite.line.leadTo(suite.sheaf.url);

  const batch = await eventually(
    'the end of the batch',
    async () => (await batchesCalled('centre-12.zip')).find(({ status }) => status === 'completed'),
    240_000,
  );
  expect(chunksIn(suite.line.heard).length).toBeGreaterThan(half);
  expect(suite.tablet.context.pages().some((open) => open.url().startsWith(suite.line.url))).toBe(false);
  // No page has asked for anything since the tab was closed.
  expect(
    suite.line.heard.filter(({ at, path }) => at > closedAt && (path === '/' || path.startsWith('/assets'))),
  ).toEqual([]);
  expect(await differences(suite.client, batch.batch_id, suite.exam)).toEqual([]);
  // The server's own log says the same: every chunk was verified after the tab was closed.
  const arrived: string[] = [];
  for await (const { type, data } of suite.client.follow(batch.batch_id, 120_000)) {
    const told = v.safeParse(ProgressEvent, data);
    if (type !== 'progress' || !told.success || !/^Chunk \d\/3 uploaded/.test(told.output.message)) continue;
    expect(Date.parse(told.output.timestamp)).toBeGreaterThan(closedAt);
    arrived.push(told.output.message.slice(0, 9));
  }
  expect([...new Set(arrived)].sort()).toEqual(['Chunk 1/3', 'Chunk 2/3', 'Chunk 3/3']);
  // The list is asked for once more when the results are stored; a moment later that is stored as well.
  await eventually('results kept by the service worker', () => {
    const { heard } = suite.line;
    const fetched = heard.findIndex(({ path, status }) => path.includes(`${batch.batch_id}/sheets`) && status === 200);
    const after = fetched < 0 ? [] : heard.slice(fetched);
    return after.some(({ path, status }) => path.startsWith('/api/batches?page=') && status === 200);
  });
  await new Promise((resolve) => setTimeout(resolve, 1_500));

  // The network goes again, and a page is opened.
  suite.line.cut();
  await suite.tablet.context.setOffline(true);
  const later = await suite.tablet.context.newPage();
  await later.goto(suite.line.url);
  await later.getByRole('link', { name: 'centre-12.zip' }).waitFor();
  await later.locator(`[data-batch="${batch.batch_id}"]`).getByText('Completed').waitFor();
  await later.getByText('This was last true at').waitFor();
  await later.getByRole('link', { name: 'centre-12.zip' }).click();
  await later.getByText('All 12 sheets were read').waitFor();
  await later.locator('.log').getByText('Batch completed successfully').waitFor();
  await later.locator(ROLLS).nth(11).waitFor();
  const drawn = suite.exam.scans.flatMap(({ truth }) => (truth ? [truth.roll] : []));
  expect((await later.locator(ROLLS).allInnerTexts()).sort()).toEqual(drawn.sort());
  const groups = later.locator('section', { has: later.locator('#groups-title') }).locator('tbody tr');
  await groups.nth(1).waitFor();
  expect(await groups.count()).toBe(2);
  await later.goto(`${suite.line.url}/queue`);
  await card(later, 'centre-12.zip').getByText('Sent', { exact: true }).waitFor();
  expect(await storedBytes(later, 'centre-12.zip')).toEqual([]);
});

test('[U4] two taps on "queue" make one batch, and a second tab shows the same state', async () => {
  const zip = await suite.zipOf('twice.zip', 60 * MB);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  const second = await openApp(suite.tablet.context, `${suite.line.url}/queue`);
  // Slow enough that both tabs are looked at while it is sent.
  suite.line.pace(MB / 2);
  await chooseZip(page, zip);
  await page.evaluate(() => {
    const button = document.querySelector<HTMLButtonElement>('button[type=submit]');
    button?.click();
    button?.click();
  });
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
  await card(second, 'twice.zip').getByText('Sending', { exact: true }).waitFor();
  await card(page, 'twice.zip').getByText('Sending', { exact: true }).waitFor();
  expect(await page.locator('.upload').count()).toBe(1);
  suite.line.pace(null);
  for (const tab of [page, second]) await card(tab, 'twice.zip').getByText('Sent', { exact: true }).waitFor();
  expect(await batchesCalled('twice.zip')).toHaveLength(1);
  // Each hears of a change by itself, one a little later than the other.
  await eventually('the same in both tabs', async () => {
    const [mine, theirs] = await Promise.all([page, second].map((tab) => card(tab, 'twice.zip').innerText()));
    return mine === theirs;
  });
});

test('[U1] a page killed while copying: what was said to be safe is there, the rest is asked for by name', async () => {
  const zip = await suite.zipOf('interrupted.zip', 500 * MB);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await goOffline(page);
  // All is ready for the blow: the copy goes on while it is prepared.
  const devtools = await suite.tablet.context.newCDPSession(page);
  const crashed = page.waitForEvent('crash');
  await queueZip(page, zip);
  const said = await eventually('two chunks called safe', async () => {
    const words = await card(page, 'interrupted.zip').innerText();
    const safe = Number(/([\d.]+) MB of [\d.]+ MB safe/.exec(words)?.[1] ?? 0);
    return safe >= 100 ? safe : null;
  });
  devtools.send('Page.crash').catch(() => undefined);
  await crashed;
  await page.close();

  const again = await suite.tablet.context.newPage();
  await again.goto(`${suite.line.url}/queue`);
  await card(again, 'interrupted.zip').getByText('Needs the file again').waitFor();
  await card(again, 'interrupted.zip').getByText('Choose “interrupted.zip” again for the rest').first().waitFor();
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
  const other = path.join(suite.folder, 'other');
  fs.mkdirSync(other);
  fs.writeFileSync(path.join(other, 'interrupted.zip'), Buffer.concat([Buffer.from('X'), file.subarray(1)]));
  const input = again.getByLabel('Choose interrupted.zip again');
  await input.setInputFiles(path.join(other, 'interrupted.zip'));
  await again.getByText('That is not the same file').waitFor();
  expect(await storedBytes(again, 'interrupted.zip')).toEqual(stored);
  await input.setInputFiles(zip);
  await card(again, 'interrupted.zip').getByText('Safe on this device', { exact: true }).waitFor();
  expect((await storedBytes(again, 'interrupted.zip')).map(({ sha256 }) => sha256)).toEqual(
    Array.from({ length: Math.ceil(file.length / (50 * MB)) }, (_, index) => hash(index)),
  );
});

test('[U3] signing out forgets what was seen and keeps what was queued', async () => {
  const zip = await suite.zipOf('stays.zip', 2 * MB);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await goOffline(page);
  await queueZip(page, zip);
  await card(page, 'stays.zip').getByText('Safe on this device', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'sign out' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('1 upload is safe on this device.').waitFor();
  expect(await storedBytes(page, 'stays.zip')).toHaveLength(1);
  await eventually('nothing but the queue', () =>
    page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name).join() === 'sheaf-queue'),
  );

  suite.line.mend();
  await suite.tablet.context.setOffline(false);
  await signIn(page, suite.sheaf.admin);
  await eventually('its batch', async () =>
    (await batchesCalled('stays.zip')).some(({ status }) => status === 'completed'),
  );
});

test('nothing is queued before file, type and task id are right', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  const wrong = path.join(suite.folder, 'letter.zip');
  fs.writeFileSync(wrong, 'Dear colleague');
  await chooseZip(page, wrong);
  // Said when it is chosen, and nothing else beside it; queueing says no more.
  await page.getByText('letter.zip is not a ZIP file').waitFor();
  expect(await page.locator('.preview').count()).toBe(0);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByText('letter.zip is not a ZIP file').waitFor();
  await page.getByRole('radio', { name: 'ZIP for one task' }).check();
  await page.locator('input[type=file]').setInputFiles(await suite.zipOf('one-task.zip', MB));
  await page.getByLabel('Task id').fill('1234567');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByText('A task id has exactly 8 digits.').waitFor();
  expect(await page.locator('.places .count').count()).toBe(0);
  await page.getByLabel('Task id').fill(suite.exam.tasks[0]?.task_id ?? '');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await card(page, 'one-task.zip').getByText('Sent', { exact: true }).waitFor();
});

test('images for one task, several files as one batch', async () => {
  const [cover, first, second] = suite.exam.scans;
  const sheets = [first, second].map((scan, i) => {
    const file = path.join(suite.folder, `sheet-${i}.jpg`);
    fs.writeFileSync(file, scan?.bytes ?? '');
    return file;
  });
  expect(cover?.kind).toBe('cover');
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page.getByRole('radio', { name: 'Images for one task' }).check();
  await page.locator('input[type=file]').setInputFiles(sheets);
  await page.getByLabel('Task id').fill(suite.exam.tasks[0]?.task_id ?? '');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await card(page, 'sheet-0.jpg and 1 more').getByRole('link', { name: 'Open batch' }).click();
  await page.getByText('All 2 sheets were read').waitFor();
  await page.locator(ROLLS).nth(1).waitFor();
  expect(await page.locator(ROLLS).allInnerTexts()).toEqual([first?.truth?.roll, second?.truth?.roll]);
});

test('without Background Sync it is sent all the same', async () => {
  await takeSyncAway(suite.tablet.context);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await queueZip(page, await suite.zipOf('asked-for.zip', 10 * MB));
  await card(page, 'asked-for.zip').getByText('Sent', { exact: true }).waitFor();
  expect(await page.evaluate(() => 'sync' in ServiceWorkerRegistration.prototype)).toBe(false);
  expect(await batchesCalled('asked-for.zip')).toHaveLength(1);
});
