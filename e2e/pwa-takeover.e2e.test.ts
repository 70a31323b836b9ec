// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Who goes on when a sender cannot: a frozen tab's lock is stolen, a tab that is closed leaves its work to the browser, and
// a file larger than the device passes through it.
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { BatchList } from '../shared/protocol/batch.ts';
import { card, closeApp, openApp, openTablet, queueZip, signIn } from './browser.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import type { Browser } from './support/chromium.ts';
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
  exam = await drawExam({ seed: 19, covers: 1, sheets: 4, questions: 40, dpi: 150 });
  await announceExam(client, exam);
});
afterAll(async () => {
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  line = await openLine(sheaf.url);
  tablet = await openTablet(line.url);
});
afterEach(async () => {
  await tablet.close();
  await line.close();
});

async function zipOf(name: string, size: number): Promise<string> {
  const file = path.join(folder, name);
  fs.writeFileSync(file, await packZip([...exam.scans, { name: 'notes.bin', bytes: Buffer.alloc(size, 5) }]));
  return file;
}

async function open(search = ''): Promise<Page> {
  const page = await openApp(tablet.context, `${line.url}/${search}`);
  await signIn(page, sheaf.admin);
  return page;
}

async function arrived(name: string): Promise<void> {
  const batches = async () => (await client.call(BatchList, 'GET', `/api/batches?search=${name}`)).items;
  const batch = await eventually(
    `${name} read`,
    async () => (await batches()).find(({ status }) => status === 'completed'),
    90_000,
  );
  expect(await differences(client, batch.batch_id, exam)).toEqual([]);
  expect(await batches()).toHaveLength(1);
}

/** Stops a worker's thread where it is: it keeps its lock, answers nothing, and goes on after `ms`. */
async function freeze(page: Page, ms: number): Promise<void> {
  const worker = await eventually('the page’s sender', () => page.workers()[0]);
  worker
    .evaluate((time) => {
      const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      Atomics.wait(new Int32Array(buffer), 0, 0, time);
    }, ms)
    .catch(() => undefined);
}

test('[U4] a frozen tab’s lock is stolen by another tab, and what thaws later does no harm', async () => {
  const frozen = await open('?senders=page');
  line.pace(4 * MB);
  await queueZip(frozen, await zipOf('stolen.zip', 30 * MB));
  await eventually('the first part', () => chunksIn(line.heard).length > 0, 60_000);
  const thaw = Date.now() + 32_000;
  await freeze(frozen, 32_000);
  const other = await openApp(tablet.context, `${line.url}/queue`);
  line.pace(null);
  const before = await eventually(
    'silence',
    () => {
      const last = line.heard.findLast(({ path }) => path.endsWith('/upload-chunk'));
      return last && last.status !== null && Date.now() - last.at > 3_000 ? chunksIn(line.heard).length : null;
    },
    30_000,
  );
  await card(other, 'stolen.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 60_000 });
  const stolen = chunksIn(line.heard).slice(before);
  expect(stolen.length).toBeGreaterThan(0);
  expect(stolen[0]?.at).toBeLessThan(thaw);
  await eventually('the thaw', () => Date.now() > thaw + 1_000, 40_000);
  await arrived('stolen.zip');
});

test('[U2] a tab that is closed while it sends leaves the rest to those that need no page', async () => {
  const page = await open();
  line.pace(6 * MB);
  await queueZip(page, await zipOf('left.zip', 60 * MB));
  await eventually('the first part', () => chunksIn(line.heard).length > 0, 60_000);
  await closeApp(tablet.context, line.url);
  const closedAt = Date.now();
  line.pace(30 * MB);
  await arrived('left.zip');
  const later = chunksIn(line.heard).filter(({ at }) => at > closedAt);
  expect(later.length).toBeGreaterThan(0);
  expect(later.every(({ by }) => by !== 'page')).toBe(true);
});

test('[U1] [U3] a file larger than what the device may keep passes through it', async () => {
  const page = await open('?senders=page');
  const devtools = await tablet.context.newCDPSession(page);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: line.url, quotaSize: 120 * MB });
  line.pace(20 * MB);
  await queueZip(page, await zipOf('larger.zip', 190 * MB));
  await card(page, 'larger.zip').getByText('does not fit here until more is sent').waitFor({ timeout: 60_000 });
  line.pace(null);
  await card(page, 'larger.zip').getByText('Sent', { exact: true }).waitFor({ timeout: 150_000 });
  await arrived('larger.zip');
});
