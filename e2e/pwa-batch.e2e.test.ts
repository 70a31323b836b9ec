// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// A batch's screen in real Chromium, against the real server: the seven states, what may be done in them, the item feed,
// and what is left of it all without a network.
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { appSuite } from './app-suite.ts';
import { card, DESKTOP, goByKeys, openApp, queueZip, signIn, syncSays } from './browser.ts';
import { packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';

const MB = 2 ** 20;
const suite = appSuite({ seed: 21, sheets: 30 });

const entries = () => suite.exam.scans.map(({ name, bytes }) => ({ name, bytes }));
const status = (page: Page, word: string) => page.locator('.batch-state').getByText(word, { exact: true }).waitFor();
const connection = (page: Page, word: string) => page.locator('.connection', { hasText: word }).waitFor();

test('a batch is followed from its first byte: connecting, running, paused, lost, and completed; a refresh loses nothing', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await syncSays(page, 'Online');
  // Streams are held back for a while: the screen says that it is connecting, and does not pretend.
  let letThrough = (): void => {};
  const held = new Promise<void>((resolve) => {
    letThrough = resolve;
  });
  await suite.tablet.context.route('**/api/**/stream', async (route) => {
    await held;
    // Taken back by then, when the page asked anew.
    await route.continue().catch(() => {});
  });
  // What is no scan keeps the line busy until it is let go: the batch is still being sent however slowly all of this goes.
  suite.line.pace(MB / 4);
  await queueZip(page, await suite.zipOf('watched.zip', 64 * MB));
  const open = card(page, 'watched.zip').getByRole('link', { name: 'Open batch' });
  await open.waitFor();
  await open.click();
  await connection(page, 'Connecting to batch progress');
  letThrough();
  await suite.tablet.context.unroute('**/api/**/stream');
  await connection(page, 'Live');
  await status(page, 'Uploading');

  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await status(page, 'Paused');
  await page.getByText('Paused after').waitFor();
  await page.reload();
  await status(page, 'Paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();

  suite.line.cut();
  await connection(page, 'Connection lost, reconnecting');
  suite.line.mend();
  suite.line.pace(null);
  await page.getByText('All 30 sheets were read').waitFor();
  await status(page, 'Completed');
  await page.locator('.connection').waitFor({ state: 'detached' });
  // What it came to is kept when its sheets are here; before that it could not be shown without a network.
  await page.locator('.results tbody tr').nth(29).waitFor();
  await page.locator('.results-section').getByText('provisional').waitFor({ state: 'detached' });
  // The cover is a page too.
  await page.locator('.feed .badge', { hasText: '31' }).waitFor();
  // The feed tells each page once, however often it was heard of.
  const rows = await page
    .locator('.feed-row')
    .evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset.item));
  expect(new Set(rows).size).toBe(rows.length);

  suite.line.cut();
  await suite.tablet.context.setOffline(true);
  await page.reload();
  await page.getByText('All 30 sheets were read').waitFor();
  await page.locator('.results tbody tr').nth(29).waitFor();
  await page.locator('.log li').nth(8).waitFor();
  await page.getByText('last true at').waitFor();
});

test('completed with errors: what failed comes first, says why, is tried again, and is filtered and found', async () => {
  const broken = entries().map((entry, i) => (i === 4 ? { ...entry, bytes: Buffer.from('no image') } : entry));
  const sent = await suite.client.send(await packZip(broken), { name: 'one-broken.zip', upload_type: 'zip_with_qr' });
  await suite.client.waitForBatch(sent.batch_id, 180_000);
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await page.getByRole('link', { name: 'one-broken.zip' }).click();
  await page.getByText('29 of 30 sheets were read; 1 failed').waitFor();
  const first = page.locator('.results tbody tr').first();
  await first.getByText('failed').waitFor();
  await page.locator('.results tbody tr').nth(1).getByText('not a JPEG').waitFor();
  expect(await first.evaluate((row) => getComputedStyle(row.firstElementChild as Element).boxShadow)).toContain(
    'inset',
  );

  const failed = page.locator('.feed-row.failed');
  await failed.waitFor();
  await failed.getByRole('button', { name: 'Show why page 5 failed' }).click();
  await failed.getByText('not a JPEG').waitFor();
  expect(await failed.evaluate((row) => getComputedStyle(row).borderInlineStartWidth)).toBe('3px');

  await page.getByRole('radio', { name: 'Failed 1' }).check();
  await page.getByText('Page 1 of 1 · 1 sheet').waitFor();
  await page.getByRole('radio', { name: 'All 30' }).check();
  await page.getByText(/· 30 sheets/).waitFor();
  const roll = suite.exam.scans.find(({ truth }) => truth)?.truth?.roll ?? '';
  await page.getByLabel('Find a roll number or file').fill(roll);
  await page.getByText('Page 1 of 1 · 1 sheet').waitFor();
  await page.locator('.sheet-link').first().click();
  const scan = page.locator('.zoom-scan');
  await scan.waitFor();
  await eventually('a scan to look at', () => scan.evaluate((image) => (image as HTMLImageElement).naturalWidth > 500));
  await page.goBack();
  await page.locator('.results .line').first().waitFor();

  await page.getByRole('button', { name: 'Retry failed' }).click();
  await page.locator('.log').getByText('asked for by admin').first().waitFor();
  // Offered again, and not still: the server has done with it.
  await suite.client.waitForBatch(sent.batch_id, 180_000);
  await status(page, 'Done, with problems');
  await page.getByRole('button', { name: 'Retry failed' }).waitFor();

  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('button', { name: 'Scores, one line a sheet' }).click();
  const csv = fs.readFileSync(await (await download).path(), 'utf8');
  expect(csv.trim().split('\n').length).toBe(31);
});

test('failed: it says why; an admin deletes it, takes that back, and nobody else is offered to', async () => {
  const zip = await packZip([{ name: 'notes.txt', bytes: Buffer.from('no scans here') }]);
  const sent = await suite.client.send(zip, { name: 'no-scans.zip', upload_type: 'zip_with_qr' }).catch(() => null);
  expect(sent).toBeNull();
  const page = await openApp(suite.tablet.context, suite.line.url);
  await page.setViewportSize(DESKTOP);
  await signIn(page, suite.sheaf.admin);
  await page.getByRole('link', { name: 'no-scans.zip' }).click();
  await status(page, 'Failed');
  await page.getByText('It stopped:').waitFor();
  await page.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByText('You can undo this.').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'Batches', exact: true }).waitFor();
  await page.getByText('no-scans.zip was deleted.').waitFor();
  await page.getByRole('link', { name: 'no-scans.zip' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('link', { name: 'no-scans.zip' }).waitFor();

  // The keyboard alone: the palette goes there, j walks, Enter opens.
  await page.keyboard.press('Control+k');
  await page.getByRole('dialog').getByRole('combobox').fill('queue');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
  await goByKeys(page, 'g b', 'Batches');
  await page.getByRole('link', { name: 'no-scans.zip' }).waitFor();
  await page.keyboard.press('j');
  await eventually('the first row', () => page.evaluate(() => document.activeElement?.matches('.row-link') ?? false));
  await page.keyboard.press('Enter');
  await page.getByText('About this batch').waitFor();
});

test('new sheets wait behind a button while somebody reads, and nothing moves under the pointer', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  // The end of a file is sent first and its beginning next: 31 pages, then 124, and then what is no scan. The line is fast
  // until the server has the one or the other, and slow while somebody looks.
  const copy = (n: number) => entries().map(({ name, bytes }) => ({ name: `part-${n}/${name}`, bytes }));
  const filler = [1, 2, 3].map((n) => ({ name: `notes-${n}.bin`, bytes: Buffer.alloc(32 * MB, n) }));
  const file = path.join(suite.folder, 'feed.zip');
  fs.writeFileSync(file, await packZip([...[1, 2, 3, 4].flatMap(copy), ...filler, ...copy(5)]));
  const hasRead = async (more: number): Promise<void> => {
    suite.line.pace(16 * MB);
    await eventually('pages read', async () => {
      const { items } = await suite.client.call(BatchList, 'GET', '/api/batches?search=feed.zip');
      return (items[0]?.processed_sheets ?? 0) > more;
    });
    suite.line.pace(MB / 4);
  };
  await queueZip(page, file);
  const open = card(page, 'feed.zip').getByRole('link', { name: 'Open batch' });
  await open.waitFor();
  await hasRead(0);
  await open.click();
  await page.locator('.feed-row').first().waitFor();
  await page.getByRole('switch', { name: 'Scroll with new ones' }).uncheck();
  const before = await page
    .locator('.feed-row')
    .evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset.item));
  await hasRead(30);
  const fresh = page.locator('.new-items');
  await fresh.waitFor();
  expect(await fresh.innerText()).toMatch(/\d+ new/);
  const after = await page
    .locator('.feed-row')
    .evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset.item));
  expect(after).toEqual(before);
  await fresh.click();
  await fresh.waitFor({ state: 'detached' });
  suite.line.pace(null);
  await page.getByText('All 150 sheets were read').waitFor();
});
