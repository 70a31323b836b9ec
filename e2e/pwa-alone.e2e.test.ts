// The service worker on its own, without developer tools: attached to, it would never be put to sleep, and a journey
// could pass that no tablet can make. What is queued is queued under Playwright; then the browser is quit, and a bare
// Chromium is started on the same profile with no page of ours.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { card, openApp, openTablet, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import { announceExam, drawExam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';
import { startBare, unlock } from './support/tablet.ts';

let folder: string;
let sheaf: Sheaf;
let line: Line;

beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf();
  line = await openLine(sheaf.url);
});
afterAll(async () => {
  await line.close();
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('[U2] queued without a network and sent after the browser was quit, with no page and no developer tools', async () => {
  const client = await sheaf.client();
  const exam = await drawExam({ seed: 3, covers: 1, sheets: 6, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  const zip = path.join(folder, 'alone.zip');
  fs.writeFileSync(zip, await packZip([...exam.scans, { name: 'notes.bin', bytes: Buffer.alloc(60 * 2 ** 20, 1) }]));

  const profile = path.join(folder, 'profile');
  const tablet = await openTablet(line.url, { profile });
  const page = await openApp(tablet.context, line.url);
  await signIn(page, sheaf.admin);
  line.cut();
  await tablet.context.setOffline(true);
  await syncSays(page, 'Offline since');
  await queueZip(page, zip);
  await card(page, 'alone.zip').getByText('Safe on this device', { exact: true }).waitFor();
  await tablet.close();

  line.mend();
  line.heard.length = 0;
  const bare = startBare(profile);
  try {
    await eventually('the first bytes', () => chunksIn(line.heard).length > 0);
    const batch = await eventually('the end of the batch', async () =>
      (await client.call(BatchList, 'GET', '/api/batches')).items.find(({ status }) => status === 'completed'),
    );
    await eventually('its results on the tablet', () =>
      line.heard.some(({ path, status }) => path.includes(`${batch.batch_id}/sheets`) && status === 200),
    );
    await bare.rests();
    expect(line.heard.filter(({ path }) => path === '/' || path.startsWith('/assets'))).toEqual([]);
  } finally {
    await bare.quit();
  }

  line.cut();
  unlock(profile);
  const later = await openTablet(line.url, { profile });
  const reading = await later.context.newPage();
  await reading.goto(line.url);
  await reading.getByRole('link', { name: 'alone.zip' }).click();
  await reading.getByText('All 6 sheets were read').waitFor();
  await reading.locator('.results tbody tr').nth(5).waitFor();
  expect(await reading.locator('.results tbody tr').count()).toBe(6);
  await later.close();
});
