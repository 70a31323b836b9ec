// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Three senders, one queue: each finishes an upload alone, a frozen tab's lock is stolen, a page that goes away leaves its
// work to the others, and a file that is larger than the device passes through it.
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { BatchList } from '../shared/protocol/batch.ts';
import { card, closeApp, openApp, openTablet, queueZip, signIn } from './browser.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import { type Browser, grant } from './support/chromium.ts';
import { announceExam, differences, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const MB = 2 ** 20;

let folder: string;
let sheaf: Sheaf;
let line: Line;
let tablet: Browser;
let exam: Exam;
let client: Client;

beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf();
  client = await sheaf.client();
  exam = await drawExam({ seed: 17, covers: 1, sheets: 4, questions: 40, dpi: 150 });
  await announceExam(client, exam);
});
afterAll(async () => {
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  line = await openLine(sheaf.url);
  tablet = await openTablet(line.url);
  await grant(tablet.context, line.url, ['screen-wake-lock']);
});
afterEach(async () => {
  await tablet.close();
  await line.close();
});

async function zipOf(name: string, size: number): Promise<string> {
  const file = path.join(folder, name);
  const filler = { name: 'notes.bin', bytes: Buffer.alloc(size, 5) };
  fs.writeFileSync(file, await packZip([...exam.scans, filler]));
  return file;
}

/** Opens the app with only these senders switched on, signed in. */
async function openWith(senders: string): Promise<Page> {
  const page = await openApp(tablet.context, `${line.url}/?senders=${senders}`);
  await signIn(page, sheaf.admin);
  return page;
}

async function arrived(name: string): Promise<void> {
  const batch = await eventually(
    `${name} read`,
    async () =>
      (await client.call(BatchList, 'GET', `/api/batches?search=${name}`)).items.find(
        ({ status }) => status === 'completed',
      ),
    90_000,
  );
  expect(await differences(client, batch.batch_id, exam)).toEqual([]);
  expect((await client.call(BatchList, 'GET', `/api/batches?search=${name}`)).items).toHaveLength(1);
}

const senders = (): string[] => [...new Set(chunksIn(line.heard).map(({ by }) => by))];

test('the page’s worker finishes an upload alone, and keeps the screen on while it does', async () => {
  await tablet.context.addInitScript(() => {
    const request = navigator.wakeLock.request.bind(navigator.wakeLock);
    navigator.wakeLock.request = async (type) => {
      const held = await request(type);
      document.documentElement.dataset.awake = 'yes';
      held.addEventListener('release', () => {
        document.documentElement.dataset.awake = 'no';
      });
      return held;
    };
  });
  const page = await openWith('page');
  line.pace(10 * MB);
  await queueZip(page, await zipOf('by-page.zip', 60 * MB));
  await card(page, 'by-page.zip').getByText('Sending', { exact: true }).waitFor({ timeout: 30_000 });
  await card(page, 'by-page.zip')
    .getByText(/ at [\d.]+ MB\/s/)
    .waitFor({ timeout: 30_000 });
  line.pace(null);
  await card(page, 'by-page.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 60_000 });
  await page.locator('html[data-awake=no]').waitFor({ state: 'attached' });
  expect(senders()).toEqual(['page']);
  await arrived('by-page.zip');
});

test('the service worker finishes an upload alone, without Background Sync too', async () => {
  await tablet.context.addInitScript(() => {
    Reflect.deleteProperty(ServiceWorkerRegistration.prototype, 'sync');
  });
  const page = await openWith('sw');
  expect(await page.evaluate(() => 'sync' in ServiceWorkerRegistration.prototype)).toBe(false);
  await queueZip(page, await zipOf('by-sw.zip', 60 * MB));
  await card(page, 'by-sw.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 60_000 });
  expect(senders()).toEqual(['sw']);
  await arrived('by-sw.zip');
});

test('Background Fetch finishes an upload alone, its page closed', async () => {
  const page = await openWith('fetch');
  line.pace(12 * MB);
  await queueZip(page, await zipOf('by-fetch.zip', 60 * MB));
  await eventually('the first request', () => line.heard.some(({ by }) => by === 'fetch'), 60_000);
  await closeApp(tablet.context, line.url);
  line.pace(null);
  await arrived('by-fetch.zip');
  expect(senders()).toEqual(['fetch']);
  // The service worker has learned of it, and let the bytes go.
  const later = await openApp(tablet.context, `${line.url}/queue`);
  await card(later, 'by-fetch.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 30_000 });
});
