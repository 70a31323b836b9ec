// Everybody can use it: axe on every screen, by day and by night, in English and Arabic, on a desktop, a tablet and a
// phone; and what the installed app is handed from outside.
import fs from 'node:fs';
import path from 'node:path';
import lighthouse from 'lighthouse';
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import { beforeAll, expect, test } from 'vitest';
import { appSuite } from './app-suite.ts';
import { openApp, openTablet, signIn } from './browser.ts';
import { complaintsAt } from './support/axe.ts';
import { type Browser, openBrowser } from './support/chromium.ts';
import { packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';

const WIDTHS = [1440, 820, 360];
const suite = appSuite({ seed: 33, covers: 2, sheets: 8 });
let batch: string;

beforeAll(async () => {
  const { client, exam } = suite;
  const pages = exam.scans.map(({ name, bytes }, i) => ({ name, bytes: i === 2 ? Buffer.from('no image') : bytes }));
  const sent = await client.send(await packZip(pages), { name: 'north-centre.zip', upload_type: 'zip_with_qr' });
  batch = sent.batch_id;
  await client.waitForBatch(batch, 180_000);
});

/** Within the page: a screen is opened as a link would. */
async function open(page: Page, where: string, shown: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, where);
  await page.locator(shown).first().waitFor();
}

async function speak(page: Page, language: 'en' | 'ar'): Promise<void> {
  await page.evaluate((code) => {
    localStorage.setItem('sheaf-language', code);
    dispatchEvent(new StorageEvent('storage', { key: 'sheaf-language', newValue: code }));
  }, language);
  await page.locator(`html[lang=${language}]`).waitFor();
}

/** What axe finds by day and by night, at every width, in every language when it survives that. */
async function look(page: Page, screen: string): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of WIDTHS) {
      found.push(...(await complaintsAt(page, `${screen}, ${colorScheme}, ${width}`, { width, height: 900 })));
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) found.push(`${screen}, ${colorScheme}, ${width}: ${wider} px wider than the screen`);
    }
  }
  return found;
}

/** Every screen in one language, and what opens over them. */
async function lookAtAll({ context }: Browser, language: 'en' | 'ar', user: string): Promise<string[]> {
  const { sheaf, line, exam, folder } = suite;
  const [task] = exam.tasks;
  const found: string[] = [];
  const page = await openApp(context, line.url);
  const see = async (screen: string): Promise<void> => {
    found.push(...(await look(page, `${screen}, ${language}`)));
  };
  await speak(page, language);
  await see('sign in');
  await page.locator('.sign-in-card [type=submit]').click();
  await page.locator('.problem').waitFor();
  await see('sign in with a complaint');
  await page.locator('#username').fill(sheaf.admin.username);
  await page.locator('#password').fill(sheaf.admin.password);
  await page.locator('.sign-in-card [type=submit]').click();
  await page.locator('.places').waitFor();
  const screens: [string, string][] = [
    ['/', '.batches .line'],
    [`/batches/${batch}`, '.results .line'],
    ['/new', '.choices'],
    ['/queue', '.empty'],
    ['/settings', '.storage'],
    ['/keys', '.line'],
    [`/keys/key-${task?.task_id}`, '.version-list li'],
    ['/new-key', '.paste'],
    ['/tasks', '.line'],
    [`/tasks/${task?.task_id}`, '.form-grid'],
    ['/users', '.line'],
    [`/users/${user}`, '.card'],
    ['/new-user', '.form-grid'],
    ['/nowhere', '.empty'],
  ];
  for (const [where, shown] of screens) {
    await open(page, where, shown);
    await see(where);
  }
  // What opens over a screen.
  await open(page, `/batches/${batch}`, '.results .line');
  await page.locator('.sheet-link').nth(1).click();
  await page.locator('.overlay').waitFor();
  await see('a sheet');
  await page.goBack();
  await page.locator('.overlay').waitFor({ state: 'detached' });
  await page.locator('.results .line').first().waitFor();
  await page.keyboard.press('Control+k');
  await page.locator('.palette').waitFor();
  await see('the palette');
  await page.keyboard.press('Escape');
  await page.locator('.palette').waitFor({ state: 'detached' });
  await page.locator('.sign-out').click();
  await page.locator('.dialog').waitFor();
  await see('sign out');
  await page.keyboard.press('Escape');
  await page.locator('.dialog').waitFor({ state: 'detached' });
  await open(page, '/new', '.choices');
  await page.locator('input[type=radio]').nth(1).check();
  await page.locator('.form-end .primary').click();
  await page.locator('.problem').nth(1).waitFor();
  await see('new batch with complaints');
  await page.locator('input[type=radio]').first().check();
  const file = path.join(folder, `looked-into-${language}.zip`);
  fs.writeFileSync(file, await packZip(exam.scans.slice(1).map(({ name, bytes }) => ({ name, bytes }))));
  await page.locator('input[type=file]').setInputFiles(file);
  await page.locator('.preview[data-state=done]').waitFor();
  await see('a preview');
  return found;
}

test('axe finds nothing on any screen, by day and night, in both languages, at three widths', async () => {
  const { items } = await suite.client.call(
    v.looseObject({ items: v.array(v.looseObject({ user_id: v.string() })) }),
    'GET',
    '/api/users',
  );
  const user = items[0]?.user_id ?? '';
  // Side by side, each in a browser of its own: axe keeps one processor busy.
  const second = await openTablet(suite.line.url);
  try {
    const found = await Promise.all([lookAtAll(suite.tablet, 'en', user), lookAtAll(second, 'ar', user)]);
    expect(found.flat()).toEqual([]);
  } finally {
    await second.close();
  }
});

test('Lighthouse gives accessibility and best practices full marks', async () => {
  const browser = await openBrowser({ args: ['--remote-debugging-port=0'] });
  try {
    const page = await openApp(browser.context, suite.sheaf.url);
    await signIn(page, suite.sheaf.admin);
    await page.locator('.batches .line').first().waitFor();
    const told = path.join(browser.profile, 'DevToolsActivePort');
    const port = await eventually(
      'the port of the developer tools',
      () => fs.existsSync(told) && fs.readFileSync(told, 'utf8').split('\n')[0],
    );
    for (const where of ['/', `/batches/${batch}`, '/new']) {
      const run = await lighthouse(`${suite.sheaf.url}${where}`, {
        port: Number(port),
        output: 'json',
        logLevel: 'error',
        onlyCategories: ['accessibility', 'best-practices'],
        disableStorageReset: true,
        formFactor: 'desktop',
        screenEmulation: { mobile: false, width: 1440, height: 900, deviceScaleFactor: 1, disabled: false },
        // Nothing is slowed down for these categories; the other methods wait five seconds at each step to be on the safe side.
        throttlingMethod: 'simulate',
        disableFullPageScreenshot: true,
        maxWaitForFcp: 120_000,
        maxWaitForLoad: 120_000,
      });
      const { categories, audits } = run?.lhr ?? { categories: {}, audits: {} };
      const lost = Object.values(audits).filter(({ score }) => score !== null && score < 1);
      const scores = Object.fromEntries(Object.entries(categories).map(([name, { score }]) => [name, score]));
      expect({ where, ...scores }, lost.map(({ id, title }) => `${id}: ${title}`).join('; ')).toEqual({
        where,
        accessibility: 1,
        'best-practices': 1,
      });
    }
  } finally {
    await browser.close();
  }
});

test('in Arabic the app is mirrored, and a scan is not', async () => {
  const page = await openApp(suite.tablet.context, suite.sheaf.url);
  await speak(page, 'ar');
  await page.locator('#username').fill(suite.sheaf.admin.username);
  await page.locator('#password').fill(suite.sheaf.admin.password);
  await page.getByRole('button', { name: 'تسجيل الدخول' }).click();
  await page.getByRole('heading', { name: 'الدفعات', exact: true }).waitFor();
  expect(await page.evaluate(() => document.documentElement.dir)).toBe('rtl');
  await page.setViewportSize({ width: 1440, height: 900 });
  await eventually('places on the right', async () => ((await page.locator('.places').boundingBox())?.x ?? 0) > 1000);
  await open(page, `/batches/${batch}`, '.results .line');
  await page.locator('.sheet-link').nth(2).click();
  const scan = page.locator('img.zoom-scan');
  await scan.waitFor();
  expect(await scan.evaluate((image) => getComputedStyle(image).transform)).toBe('none');
  await page.goBack();
  await page.locator('.results .line').first().waitFor();
  // The choice outlives a reload, and the shell needs no network for it.
  await suite.tablet.context.setOffline(true);
  await page.reload();
  await page.locator('html[dir=rtl]').waitFor();
  await page.getByText('عن هذه الدفعة').waitFor();
});

test('the icon carries what is still to be sent, and files from outside wait in the form', async () => {
  const page = await openApp(suite.tablet.context, suite.sheaf.url);
  await page.evaluate(() => {
    Object.defineProperty(navigator, 'setAppBadge', {
      value: async (n: number) => {
        (globalThis as unknown as { badge: number }).badge = n;
      },
    });
    Object.defineProperty(navigator, 'clearAppBadge', {
      value: async () => {
        (globalThis as unknown as { badge: number }).badge = 0;
      },
    });
  });
  const badge = () => page.evaluate(() => (globalThis as unknown as { badge?: number }).badge ?? null);
  await signIn(page, suite.sheaf.admin);
  const file = path.join(suite.folder, 'shared.zip');
  fs.writeFileSync(file, await packZip(suite.exam.scans.slice(0, 3).map(({ name, bytes }) => ({ name, bytes }))));
  await suite.tablet.context.setOffline(true);
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
  await eventually('a badge', async () => (await badge()) === 1);
  await suite.tablet.context.setOffline(false);

  // A scanner's app shares a file: the service worker puts it aside, the form shows it.
  const bytes = fs.readFileSync(file).toString('base64');
  const answer = await page.evaluate(async (base64) => {
    const form = new FormData();
    form.set('files', new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], 'from-the-scanner.zip'));
    const response = await fetch('/share-target', { method: 'POST', body: form, redirect: 'manual' });
    return response.type;
  }, bytes);
  expect(answer).toBe('opaqueredirect');
  await page.goto(`${suite.sheaf.url}/new?shared=1`);
  await page.locator('.picked-name', { hasText: 'from-the-scanner.zip' }).waitFor();
  await page.waitForURL((url) => url.search === '');
});

test('what the server has as well can be forgotten here, and what is not sent stays [U3]', async () => {
  const page = await openApp(suite.tablet.context, suite.sheaf.url);
  await signIn(page, suite.sheaf.admin);
  await open(page, `/batches/${batch}`, '.results .line');
  await suite.tablet.context.setOffline(true);
  const file = path.join(suite.folder, 'unsent.zip');
  fs.writeFileSync(file, await packZip(suite.exam.scans.slice(0, 2).map(({ name, bytes }) => ({ name, bytes }))));
  await open(page, '/new', '.choices');
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.locator('.upload').waitFor();
  await open(page, '/settings', '.storage');
  await page.getByText('1 upload', { exact: false }).waitFor();
  await page.getByRole('button', { name: 'Free room' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Free room' }).click();
  await page.getByText('0 · 0 sheets').waitFor();
  await open(page, '/queue', '.upload');
  await page.getByText('unsent.zip').first().waitFor();
  await suite.tablet.context.setOffline(false);
});
