// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// The app as such, in real Chromium: it can be installed, a new version waits to be asked for, and a batch is shown while
// it lives.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { appSuite } from './app-suite.ts';
import { card, chooseZip, openApp, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn } from './line.ts';
import { complaints } from './support/axe.ts';
import { eventually, ROOT } from './support/places.ts';
import { startSheaf } from './support/sheaf.ts';

const MB = 2 ** 20;

const suite = appSuite({ seed: 5, covers: 2, sheets: 20 });

test('Chromium finds nothing that keeps it from being installed', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  const devtools = await suite.tablet.context.newCDPSession(page);
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors).toEqual([]);
  const { errors, data } = await devtools.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const manifest = JSON.parse(data ?? '{}');
  expect(manifest).toMatchObject({ id: '/', name: 'Sheaf', lang: 'en', dir: 'ltr', display: 'standalone' });
  for (const { src } of manifest.icons)
    expect((await fetch(new URL(src, suite.sheaf.url))).headers.get('content-type')).toBe('image/png');
});

test('a new version waits for consent, and then for the end of what is being sent', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  const second = await openApp(suite.tablet.context, `${suite.line.url}/queue`);
  const state = () =>
    page.evaluate(async () => {
      const registration = await navigator.serviceWorker.getRegistration();
      return { waiting: registration?.waiting !== null, active: registration?.active?.state };
    });
  suite.line.alter('/sw.js', (script) => `${script}\n// the next release\n`);
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
  await page.getByText('Update ready').waitFor();
  await second.getByText('Update ready').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await state()).toEqual({ waiting: true, active: 'activated' });

  // Agreed to in the middle of an upload: the bytes go first.
  suite.line.pace(8 * MB);
  await queueZip(second, await suite.zipOf('before-the-update.zip', 40 * MB));
  await eventually('a first part', () => chunksIn(suite.line.heard).length > 0);
  // The rest takes longer than anybody here: the update has something to wait for.
  suite.line.pace(MB / 4);
  const reloaded = page.waitForEvent('load');
  await page.getByRole('button', { name: 'Update now' }).click();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect((await state()).waiting).toBe(true);
  suite.line.pace(null);
  await reloaded;
  const sealed = suite.line.heard.find(({ path, status }) => path.endsWith('/seal') && status === 200);
  expect(sealed).toBeDefined();
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.waiting === null);
  await card(second, 'before-the-update.zip').getByText('Sent', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  await page.getByText('Update ready').waitFor({ state: 'detached' });
});

test('a batch is shown as it is read, and a refresh in the middle loses nothing', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await syncSays(page, 'Online');
  suite.line.pace(2 * MB);
  await queueZip(page, await suite.zipOf('watched.zip'));
  const open = card(page, 'watched.zip').getByRole('link', { name: 'Open batch' });
  await open.waitFor();
  await open.click();
  await page.locator('.log li').first().waitFor();
  await page.reload();
  suite.line.pace(null);
  await page.getByText('All 20 sheets were read').waitFor();
  const lines = page.locator('.log li');
  await page.locator('.log').getByText('Batch completed successfully').waitFor();
  const told = await lines.allInnerTexts();
  expect(new Set(told).size).toBe(told.length);
  expect(told.at(-1)).toContain('Upload');
  await page.locator('.results tbody tr').nth(19).waitFor();
  await eventually('eight stages done', async () => (await page.locator('.stages .done').count()) === 8);
  // Exactly one connection follows the batch, however many tabs look at it.
  const before = suite.line.heard.filter(({ path }) => path.endsWith('/stream')).length;
  await openApp(suite.tablet.context, page.url());
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(suite.line.heard.filter(({ path }) => path.endsWith('/stream')).length).toBe(before);
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
  const page = await openApp(suite.tablet.context, suite.line.url);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('User name or password is wrong.').waitFor();
  suite.line.cut();
  await page.getByLabel('Password').fill(suite.sheaf.admin.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The server cannot be reached.').waitFor();
  suite.line.mend();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  await chooseZip(page, await suite.zipOf('kept.zip'));
  suite.line.cut();
  await page.getByText('Offline since').waitFor();
  await page.locator('.picked-name').getByText('kept.zip', { exact: true }).waitFor();
});

test('an account that somebody else made chooses its own password first', async () => {
  const fresh = await startSheaf({ env: { SHEAF_ADMIN_PASSWORD: undefined } });
  suite.line.leadTo(fresh.url);
  const page = await openApp(suite.tablet.context, suite.line.url);
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
