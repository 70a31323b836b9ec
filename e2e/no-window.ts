// `npm run -s no-window -- sync|fetch`: an upload that takes more than three minutes arrives while no page of Sheaf is open
// and no developer tools are attached, which would keep a service worker alive. Too long for the tests; what it prints is
// kept in docs/no-window-upload.md. The short version is pwa-alone.e2e.test.ts.
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BatchList } from '../shared/protocol/batch.ts';
import { MB } from '../shared/protocol/upload.ts';
import { closeApp, openApp, openTablet, queueZip, signIn, syncSays } from './browser.ts';
import { chunksIn, type Heard, openLine } from './line.ts';
import { announceExam, differences, drawExam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { startSheaf } from './support/sheaf.ts';
import { createTablet, startBare } from './support/tablet.ts';

/** 1.5 MB/s carry 360 MB in four minutes: more than one `sync` event lives. */
const SIZE = 360 * MB;
const RATE = 1.5 * MB;
/** A second `sync` comes five minutes after the first one ended. */
const LONGEST_MS = 20 * 60_000;

const way = process.argv[2];
if (way !== 'sync' && way !== 'fetch') {
  process.stderr.write('Which way? npm run -s no-window -- sync|fetch\n');
  process.exit(2);
}

const began = Date.now();
const say = (words: string): void => {
  const seconds = ((Date.now() - began) / 1000).toFixed(0).padStart(4);
  process.stdout.write(`${seconds} s  ${words}\n`);
};

const folder = temporaryFolder();
const profile = path.join(folder, 'profile');
const sheaf = await startSheaf();
const line = await openLine(sheaf.url);
const parts = (): Heard[] => line.heard.filter(({ path }) => path === '/api/batches/upload-chunk');
try {
  const client = await sheaf.client();
  const exam = await drawExam({ seed: 5, covers: 1, sheets: 8, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  const zip = path.join(folder, 'long.zip');
  fs.writeFileSync(zip, await packZip([...exam.scans, { name: 'notes.bin', bytes: randomBytes(SIZE) }]));
  const sha256 = createHash('sha256').update(fs.readFileSync(zip)).digest('hex').slice(0, 16);
  say(`a ZIP of ${(fs.statSync(zip).size / MB).toFixed(1)} MB, SHA-256 ${sha256}…, line paced to ${RATE / MB} MB/s`);

  const tablet = await openTablet(line.url, { profile });
  say(`Chromium ${tablet.context.browser()?.version() ?? ''} under Playwright`);
  const page = await openApp(tablet.context, `${line.url}/?senders=${way === 'sync' ? 'sw' : 'fetch'}`);
  await signIn(page, sheaf.admin);
  if (way === 'sync') {
    line.cut();
    await tablet.context.setOffline(true);
    await syncSays(page, 'Offline since');
  } else {
    line.pace(RATE);
  }
  await queueZip(page, zip);
  await page.locator('[data-step=queued], [data-step=waiting]').waitFor({ timeout: 120_000 });
  say('staged: every chunk durable in IndexedDB');
  if (way === 'fetch') {
    await eventually('the hand-over', () => parts().some(({ by }) => by === 'fetch'), 120_000);
    say('handed over to Background Fetch, which has begun');
    await closeApp(tablet.context, line.url);
  }
  await tablet.close();
  say('browser quit');

  line.pace(RATE);
  line.mend();
  const before = line.heard.length;
  const quitAt = Date.now();
  const bare = startBare(profile);
  say('bare Chromium on the same profile, one tab: about:blank');
  const told = new Set<Heard>();
  let lastAt = Date.now();
  const watch = setInterval(() => {
    for (const part of parts()) {
      // Without an answer it is under way, or was cut off.
      if (part.status === null || told.has(part) || part.at < quitAt) continue;
      if (part.at - lastAt > 30_000) say(`… nothing was sent for ${Math.round((part.at - lastAt) / 1000)} s`);
      told.add(part);
      lastAt = Date.now();
      say(`part ${told.size} by ${part.by}: ${part.status}`);
    }
  }, 500);
  try {
    const batch = await eventually(
      'the end of the batch',
      async () =>
        (await client.call(BatchList, 'GET', '/api/batches')).items.find(({ status }) => status === 'completed'),
      LONGEST_MS,
    );
    const wrong = await differences(client, batch.batch_id, exam);
    const since = line.heard.slice(before);
    const pages = since.filter(({ path }) => path === '/' || path.startsWith('/assets'));
    const moved = chunksIn(since);
    const seconds = Math.round((Date.now() - quitAt) / 1000);
    say(
      `batch completed, ${seconds} s after the browser was quit; ${moved.length} parts since, by ${[...new Set(moved.map(({ by }) => by))].join(', ')}`,
    );
    say(
      `requests for a page of Sheaf since then: ${pages.length}; results that differ from what was drawn: ${wrong.length}`,
    );
    if (pages.length > 0 || wrong.length > 0) process.exitCode = 1;
  } finally {
    clearInterval(watch);
    await bare.quit();
  }

  line.pace(null);
  const later = createTablet(line.url, profile);
  const queued = await eventually(
    'the tablet to know',
    async () => {
      const all = await later.queued();
      return all.every(({ at }) => at === 'sent') ? all : null;
    },
    60_000,
  );
  say(`opened again: the queue says ${queued.map(({ at, stored }) => `${at}, ${stored} chunks kept`).join('; ')}`);
  await later.close();
} finally {
  await line.close();
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}
