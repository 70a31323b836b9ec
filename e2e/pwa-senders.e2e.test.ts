// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Three senders, one queue: each finishes an upload alone, with the other two switched off.
import type { Page } from 'playwright-core';
import { beforeEach, expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { appSuite } from './app-suite.ts';
import { card, closeApp, openApp, queueZip, signIn, takeSyncAway } from './browser.ts';
import { chunksIn } from './line.ts';
import { grant } from './support/chromium.ts';
import { differences } from './support/exam.ts';
import { eventually } from './support/places.ts';

const MB = 2 ** 20;

const at = appSuite({ seed: 17 });
beforeEach(() => grant(at.tablet.context, at.line.url, ['screen-wake-lock']));

/** Opens the app with only these senders switched on, signed in. */
async function openWith(senders: string): Promise<Page> {
  const page = await openApp(at.tablet.context, `${at.line.url}/?senders=${senders}`);
  await signIn(page, at.sheaf.admin);
  return page;
}

async function arrived(name: string): Promise<void> {
  const batch = await eventually(`${name} read`, async () =>
    (await at.client.call(BatchList, 'GET', `/api/batches?search=${name}`)).items.find(
      ({ status }) => status === 'completed',
    ),
  );
  expect(await differences(at.client, batch.batch_id, at.exam)).toEqual([]);
  expect((await at.client.call(BatchList, 'GET', `/api/batches?search=${name}`)).items).toHaveLength(1);
}

const senders = (): string[] => [...new Set(chunksIn(at.line.heard).map(({ by }) => by))];

test('the page’s worker finishes an upload alone, and keeps the screen on while it does', async () => {
  await at.tablet.context.addInitScript(() => {
    // The empty page that a browser opens with has none.
    if (!isSecureContext) return;
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
  at.line.pace(2 * MB);
  await queueZip(page, await at.zipOf('by-page.zip', 60 * MB));
  await card(page, 'by-page.zip').getByText('Sending', { exact: true }).waitFor();
  await card(page, 'by-page.zip')
    .getByText(/ at [\d.]+ MB\/s/)
    .waitFor();
  at.line.pace(null);
  await card(page, 'by-page.zip').getByText('Sent', { exact: true }).waitFor();
  await page.locator('html[data-awake=no]').waitFor({ state: 'attached' });
  expect(senders()).toEqual(['page']);
  await arrived('by-page.zip');
});

test('the service worker finishes an upload alone, without Background Sync too', async () => {
  await takeSyncAway(at.tablet.context);
  const page = await openWith('sw');
  expect(await page.evaluate(() => 'sync' in ServiceWorkerRegistration.prototype)).toBe(false);
  await queueZip(page, await at.zipOf('by-sw.zip', 60 * MB));
  await card(page, 'by-sw.zip').getByText('Sent', { exact: true }).waitFor();
  expect(senders()).toEqual(['sw']);
  await arrived('by-sw.zip');
});

test('Background Fetch finishes an upload alone, its page closed', async () => {
  const page = await openWith('fetch');
  at.line.pace(4 * MB);
  await queueZip(page, await at.zipOf('by-fetch.zip', 60 * MB));
  await eventually('the first request', () => at.line.heard.some(({ by }) => by === 'fetch'));
  await closeApp(at.tablet.context, at.line.url);
  at.line.pace(null);
  await arrived('by-fetch.zip');
  expect(senders()).toEqual(['fetch']);
  // The service worker has learned of it, and let the bytes go.
  const later = await openApp(at.tablet.context, `${at.line.url}/queue`);
  await card(later, 'by-fetch.zip').getByText('Sent', { exact: true }).waitFor();
});

test('a tablet whose page cannot be seen any more hands over to the browser, and looks on when it is seen again', async () => {
  const page = await openWith('all');
  at.line.pace(4 * MB);
  await queueZip(page, await at.zipOf('hidden.zip', 110 * MB));
  await eventually('the page to send', () => chunksIn(at.line.heard).some(({ by }) => by === 'page'));
  const show = (state: 'hidden' | 'visible') =>
    page.evaluate((now) => {
      Object.defineProperty(document, 'visibilityState', { get: () => now, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  // The page has enough left to send until the browser begins.
  at.line.pace(MB);
  await show('hidden');
  await eventually('the browser to send', () => at.line.heard.some(({ by }) => by === 'fetch'));
  const handed = at.line.heard.length;
  await show('visible');
  at.line.pace(null);
  await card(page, 'hidden.zip').getByText('Sent', { exact: true }).waitFor();
  await arrived('hidden.zip');
  const since = chunksIn(at.line.heard.slice(handed));
  expect([...new Set(since.map(({ by }) => by))]).toEqual(since.length > 0 ? ['fetch'] : []);
});
