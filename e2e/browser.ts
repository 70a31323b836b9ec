// What a person does in the app, and what they see: for journeys.
import type { BrowserContext, Page } from 'playwright-core';
import { type Browser, type BrowserOptions, grant, openBrowser } from './support/chromium.ts';
import { eventually } from './support/places.ts';

export const TABLET = { width: 820, height: 1180 };
export const DESKTOP = { width: 1440, height: 900 };

/** A tablet with the permissions that an installed app has. */
export async function openTablet(origin: string, options: BrowserOptions = {}): Promise<Browser> {
  const browser = await openBrowser({ viewport: TABLET, touch: true, ...options });
  await grant(browser.context, origin, ['background-sync', 'persistent-storage']);
  return browser;
}

/** As in a browser that has no Background Sync. */
export const takeSyncAway = (context: BrowserContext): Promise<unknown> =>
  context.addInitScript(() => {
    // The empty page that a browser opens with has no service workers at all.
    if (isSecureContext) Reflect.deleteProperty(ServiceWorkerRegistration.prototype, 'sync');
  });

/** Opens the app in a tab of its own and waits until a service worker looks after it. */
export async function openApp(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  return page;
}

export async function fillSignIn(page: Page, user: { username: string; password: string }): Promise<void> {
  await page.getByLabel('User name').fill(user.username);
  await page.getByLabel('Password').fill(user.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function signIn(page: Page, user: { username: string; password: string }): Promise<void> {
  await fillSignIn(page, user);
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
}

/** Presses two keys in a row, again where a busy machine let more time pass between them than makes them a pair. */
export const goByKeys = (page: Page, keys: string, heading: string): Promise<boolean> =>
  eventually(heading, async () => {
    for (const key of keys.split(' ')) await page.keyboard.press(key);
    const seen = page.getByRole('heading', { name: heading, exact: true }).waitFor({ timeout: 5_000 });
    return seen.then(
      () => true,
      () => false,
    );
  });

/** The sync sign says one of these words. */
export const syncSays = (page: Page, words: string | RegExp): Promise<void> =>
  page.locator('.sync', { hasText: words }).waitFor();

export async function chooseZip(page: Page, file: string): Promise<void> {
  await page.getByRole('link', { name: 'New batch' }).first().click();
  await page.getByRole('heading', { name: 'New batch' }).waitFor();
  await page.locator('input[type=file]').setInputFiles(file);
}

export async function queueZip(page: Page, file: string): Promise<void> {
  await chooseZip(page, file);
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
}

/** The card of an upload in the queue, by the name of its file. */
export const card = (page: Page, name: string) =>
  page.locator('.upload', { has: page.getByText(name, { exact: true }) });

/** No tab of the app is open any more; the browser itself stays. */
export async function closeApp(context: BrowserContext, origin: string): Promise<void> {
  if (context.pages().every((page) => page.url().startsWith(origin))) await context.newPage();
  for (const page of context.pages()) if (page.url().startsWith(origin)) await page.close();
  await eventually('all tabs closed', () => context.pages().every((page) => !page.url().startsWith(origin)));
}
