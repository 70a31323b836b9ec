// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// The app as such, in real Chromium: it can be installed, a new version waits to be asked for, and a batch is shown while
// it lives.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { card, chooseZip, openApp, openTablet, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import { complaints } from './support/axe.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually, ROOT, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const MB = 2 ** 20;

let folder: string;
let sheaf: Sheaf;
let line: Line;
let tablet: Browser;
let exam: Exam;

beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf();
  exam = await drawExam({ seed: 5, covers: 2, sheets: 20, questions: 40, dpi: 150 });
  await announceExam(await sheaf.client(), exam);
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

async function zipOf(name: string, filler = 0): Promise<string> {
  const entries = exam.scans.map(({ name, bytes }) => ({ name, bytes }));
  if (filler > 0) entries.push({ name: 'notes.bin', bytes: Buffer.alloc(filler, 1) });
  const file = path.join(folder, name);
  fs.writeFileSync(file, await packZip(entries));
  return file;
}

test('Chromium finds nothing that keeps it from being installed', async () => {
  const page = await openApp(tablet.context, line.url);
  const devtools = await tablet.context.newCDPSession(page);
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors).toEqual([]);
  const { errors, data } = await devtools.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const manifest = JSON.parse(data ?? '{}');
  expect(manifest).toMatchObject({ id: '/', name: 'Sheaf', lang: 'en', dir: 'ltr', display: 'standalone' });
  for (const { src } of manifest.icons)
    expect((await fetch(new URL(src, sheaf.url))).headers.get('content-type')).toBe('image/png');
});

test('a new version waits for consent, and then for the end of what is being sent', async () => {
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  const second = await openApp(tablet.context, `${line.url}/queue`);
  const state = () =>
    page.evaluate(async () => {
      const registration = await navigator.serviceWorker.getRegistration();
      return { waiting: registration?.waiting !== null, active: registration?.active?.state };
    });
  line.alter('/sw.js', (script) => `${script}\n// the next release\n`);
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
  await page.getByText('Update ready').waitFor();
  await second.getByText('Update ready').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await state()).toEqual({ waiting: true, active: 'activated' });

  // Agreed to in the middle of an upload: the bytes go first.
  line.pace(8 * MB);
  await queueZip(second, await zipOf('before-the-update.zip', 40 * MB));
  await eventually('a first part', () => chunksIn(line.heard).length > 0, 30_000);
  const reloaded = page.waitForEvent('load', { timeout: 60_000 });
  await page.getByRole('button', { name: 'Update now' }).click();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect((await state()).waiting).toBe(true);
  await reloaded;
  const sealed = line.heard.find(({ path, status }) => path.endsWith('/seal') && status === 200);
  expect(sealed).toBeDefined();
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.waiting === null);
  await card(second, 'before-the-update.zip').getByText('Sent', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  expect(await page.getByText('Update ready').count()).toBe(0);
});

test('a batch is shown as it is read, and a refresh in the middle loses nothing', async () => {
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  await syncSays(page, 'Online');
  line.pace(2 * MB);
  await queueZip(page, await zipOf('watched.zip'));
  const open = card(page, 'watched.zip').getByRole('link', { name: 'Open batch' });
  await open.waitFor({ timeout: 20_000 });
  await open.click();
  await page.locator('.log li').first().waitFor({ timeout: 30_000 });
  await page.reload();
  line.pace(null);
  await page.getByText('All 20 sheets were read').waitFor({ timeout: 60_000 });
  const lines = page.locator('.log li');
  await page.locator('.log').getByText('Batch completed successfully').waitFor();
  const told = await lines.allInnerTexts();
  expect(new Set(told).size).toBe(told.length);
  expect(told.at(-1)).toContain('Upload');
  await page.locator('.results tbody tr').nth(19).waitFor();
  expect(await page.locator('.stages .done').count()).toBe(8);
  // Exactly one connection follows the batch, however many tabs look at it.
  const before = line.heard.filter(({ path }) => path.endsWith('/stream')).length;
  await openApp(tablet.context, page.url());
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(line.heard.filter(({ path }) => path.endsWith('/stream')).length).toBe(before);
});

test('the shell is small', () => {
  const web = path.join(ROOT, 'dist', 'web');
  // What index.html itself asks for: the rest is fetched when somebody opens it.
  const html = fs.readFileSync(path.join(web, 'index.html'), 'utf8');
  const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, file]) => path.join(web, file ?? ''));
  expect(files.length).toBeGreaterThan(1);
  const bytes = files.reduce((sum, file) => sum + gzipSync(fs.readFileSync(file)).length, 0);
  expect(bytes).toBeLessThanOrEqual(120 * 1024);
});

test('a form that is half filled survives a failed sign-in and a lost network', async () => {
  const page = await openApp(tablet.context, line.url);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('User name or password is wrong.').waitFor();
  line.cut();
  await page.getByLabel('Password').fill(sheaf.admin.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The server cannot be reached.').waitFor();
  line.mend();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  await chooseZip(page, await zipOf('kept.zip'));
  line.cut();
  await page.getByText('Offline since').waitFor({ timeout: 40_000 });
  expect(await page.locator('.picked-name').innerText()).toBe('kept.zip');
});

test('an account that somebody else made chooses its own password first', async () => {
  const fresh = await startSheaf({ env: { SHEAF_ADMIN_PASSWORD: undefined } });
  line.leadTo(fresh.url);
  const page = await openApp(tablet.context, line.url);
  await page.getByLabel('User name').fill(fresh.admin.username);
  await page.getByLabel('Password').fill(fresh.admin.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Choose your own password' }).waitFor();
  expect(await complaints(page, 'password')).toEqual([]);
  await page.getByLabel('Present password').fill(fresh.admin.password);
  await page.getByLabel('New password', { exact: true }).fill('quiet river under stones');
  await page.getByLabel('New password again').fill('quiet river under bridges');
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByText('The two new passwords differ.').waitFor();
  await page.getByLabel('New password again').fill('quiet river under stones');
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  await page.getByText('No batches yet.').waitFor();
  await fresh.stop();
});
