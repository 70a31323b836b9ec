// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// What surrounds the screens, in real Chromium: the app is installed and opened with a file, a folder is chosen, several
// batches stand in the queue and one of them is held back or taken out, what arrived is proven, and the keyboard goes
// everywhere.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { appSuite } from './app-suite.ts';
import { card, DESKTOP, goByKeys, openApp, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn } from './line.ts';
import { eventually } from './support/places.ts';

const MB = 2 ** 20;
const suite = appSuite({ seed: 41, sheets: 3 });

const says = (page: Page, name: string, word: string) => card(page, name).getByText(word, { exact: true }).waitFor();
const batchesCalled = async (name: string) =>
  (await suite.client.call(BatchList, 'GET', `/api/batches?search=${encodeURIComponent(name)}`)).items;

test('installed by its own button, it is opened with a ZIP file from the system', async () => {
  const { tablet, line, sheaf } = suite;
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  // Chromium offers it to whoever has used a site for a while, and nobody is here to answer its question: both are ours.
  const asked = await page.evaluate(
    () =>
      new Promise<string>((resolve) => {
        const event = Object.assign(new Event('beforeinstallprompt', { cancelable: true }), {
          prompt: async () => {
            resolve('asked');
            return { outcome: 'accepted' };
          },
        });
        dispatchEvent(event);
        // The browser's own bar is not wanted: the button is there.
        if (!event.defaultPrevented) resolve('not taken over');
        const press = (): void => {
          const button = document.querySelector<HTMLElement>('.install');
          if (button) button.click();
          else requestAnimationFrame(press);
        };
        press();
      }),
  );
  expect(asked).toBe('asked');
  await page.locator('.install').waitFor({ state: 'detached' });

  const file = await suite.zipOf('from-the-system.zip');
  const devtools = await tablet.context.browser()?.newBrowserCDPSession();
  if (!devtools) throw new Error('the browser has closed');
  const send = devtools.send.bind(devtools) as (method: string, params: object) => Promise<unknown>;
  const manifestId = `${line.url}/`;
  await send('PWA.install', { manifestId, installUrlOrBundleUrl: manifestId });
  await send('PWA.launchFilesInApp', { manifestId, files: [file] });
  // The open page is used again (launch_handler): its form shows the file.
  const shown = await eventually('the form with the file', async () => {
    for (const open of tablet.context.pages())
      if ((await open.locator('.picked-name', { hasText: 'from-the-system.zip' }).count()) > 0) return open;
    return null;
  });
  await shown.getByRole('button', { name: 'Queue this batch' }).click();
  await says(shown, 'from-the-system.zip', 'Sent');
});

test('a folder is chosen: its images become one batch, in the order of their names', async () => {
  const { tablet, line, sheaf, exam, folder } = suite;
  const scans = path.join(folder, 'scans');
  fs.mkdirSync(scans);
  const sheets = exam.scans.filter(({ kind }) => kind === 'sheet');
  for (const [i, { bytes }] of sheets.entries()) fs.writeFileSync(path.join(scans, `page-${10 - i}.jpg`), bytes);
  fs.writeFileSync(path.join(scans, 'notes.txt'), 'not a scan');
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page.getByRole('radio', { name: 'Images for one task' }).check();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose a folder' }).click();
  await (await chooser).setFiles(scans);
  await page.locator('.picked-name', { hasText: `${sheets.length}` }).waitFor();
  await page.getByLabel('Task id').fill(exam.tasks[0]?.task_id ?? '');
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await says(page, `page-8.jpg and ${sheets.length - 1} more`, 'Sent');
});

test('of several batches in the queue one is paused and one is taken out while the others go, and what arrived is proven', async () => {
  const { tablet, line, sheaf } = suite;
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await syncSays(page, 'Online');
  line.pace(4 * MB);
  const held = await suite.zipOf('held.zip', 60 * MB);
  await queueZip(page, held);
  await says(page, 'held.zip', 'Sending');
  await eventually('a part of it', () => chunksIn(line.heard).length > 0);
  // What is left of it takes longer than anybody here.
  line.pace(MB / 4);
  await page.getByRole('button', { name: 'Pause held.zip' }).click();
  await says(page, 'held.zip', 'Paused');

  // Two files are two batches; they pass the one that waits.
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page
    .locator('input[type=file]')
    .setInputFiles([await suite.zipOf('first.zip'), await suite.zipOf('second.zip', MB)]);
  line.pace(null);
  await page.getByRole('button', { name: 'Queue 2 batches' }).click();
  await says(page, 'first.zip', 'Sent');
  await says(page, 'second.zip', 'Sent');
  await says(page, 'held.zip', 'Paused');
  // It stays paused over a reload, and the number of what is still to be sent with it.
  await page.reload();
  await says(page, 'held.zip', 'Paused');
  await page.locator('.places .count', { hasText: /^1/ }).first().waitFor();

  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save the receipt of first.zip' }).click();
  const receipt = fs.readFileSync(await (await saved).path(), 'utf8');
  const [first] = await batchesCalled('first.zip');
  const digest = createHash('sha256')
    .update(fs.readFileSync(path.join(suite.folder, 'first.zip')))
    .digest('hex');
  expect(receipt).toContain(`batch: ${first?.batch_id}`);
  expect(receipt).toContain(digest);

  await page.getByRole('button', { name: 'Resume held.zip' }).click();
  await says(page, 'held.zip', 'Sent');

  // Cancelled half sent: gone from here, and the server does not wait for it.
  line.pace(4 * MB);
  await queueZip(page, await suite.zipOf('cancelled.zip', 120 * MB));
  await says(page, 'cancelled.zip', 'Sending');
  await eventually('its batch', async () => (await batchesCalled('cancelled.zip')).length > 0);
  line.pace(MB / 2);
  await page.getByRole('button', { name: 'Remove cancelled.zip' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove it' }).click();
  await card(page, 'cancelled.zip').waitFor({ state: 'detached' });
  line.pace(null);
  await eventually('the server has heard of it', async () => (await batchesCalled('cancelled.zip')).length === 0);
});

test('with the keyboard alone: places, rows, search, the palette, and back', async () => {
  const { tablet, line, sheaf, client, exam } = suite;
  const page = await openApp(tablet.context, line.url);
  await page.setViewportSize(DESKTOP);
  await signIn(page, sheaf.admin);
  await suite.zipOf('by-key.zip');
  const sent = await client.send(fs.readFileSync(path.join(suite.folder, 'by-key.zip')), {
    name: 'by-key.zip',
    upload_type: 'zip_with_qr',
  });
  await client.waitForBatch(sent.batch_id, 180_000);
  await page.getByRole('link', { name: 'by-key.zip' }).waitFor();
  const heading = (name: string) => page.getByRole('heading', { name, exact: true }).waitFor();
  const typed = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // What a key does must not depend on what was clicked before.
  await page.locator('main').focus();
  await goByKeys(page, 'g q', 'Queue');
  await goByKeys(page, 'g k', 'Answer keys');
  await page.locator('.row-link').first().waitFor();
  await typed('j');
  await eventually('the first row', () => page.evaluate(() => document.activeElement?.matches('.row-link') ?? false));
  await typed('Enter');
  await heading(`key-${exam.tasks[0]?.task_id}`);
  await goByKeys(page, 'g b', 'Batches');
  // The field stands above rows, and these are read from the store after the heading is drawn.
  const find = page.getByLabel('Find a batch');
  await find.waitFor();
  await typed('/');
  await eventually('the field', () => find.evaluate((field) => field === document.activeElement));
  await page.keyboard.type('by-key');
  // Letters typed into a field are text, and no shortcut.
  await page.keyboard.type(' g q');
  await eventually('the letters in it', async () => (await find.inputValue()) === 'by-key g q');
  await page.keyboard.press('Control+k');
  const palette = page.locator('.palette');
  await palette.waitFor();
  await page.keyboard.type('by-key');
  await palette.getByRole('option', { name: 'by-key.zip' }).waitFor();
  await page.keyboard.press('Enter');
  await heading('by-key.zip');
  await palette.waitFor({ state: 'detached' });
  await page.keyboard.press('Control+k');
  await palette.waitFor();
  await page.keyboard.press('Escape');
  await palette.waitFor({ state: 'detached' });
  await page.locator('main').focus();
  await typed('?');
  await heading('Settings');
});
