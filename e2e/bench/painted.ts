// `bench -- painted [--seconds 30]`: a batch's screen in real Chromium while sheets are done at the pace of the production
// batch of old. A step is as old as its transaction; it is painted in the frame in which the item feed shows its last row as
// read. Server, Redis, browser and the one who appends share the machine's cores.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { briefConnection } from '../../server/adapters/redis.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import { createAnnounce } from '../../server/progress/announce.ts';
import { append } from '../../server/progress/log.ts';
import { OpenUploadAnswer } from '../../shared/protocol/upload.ts';
import { DESKTOP, openApp, openTablet, signIn } from '../browser.ts';
import { startRedis } from '../support/servers.ts';
import { startSheaf } from '../support/sheaf.ts';
import { PACE, SHEETS_A_STEP, step } from './stream.ts';

/** Sheets before the measured ones: the screen is there when it shows them. */
const WARM = 10 * SHEETS_A_STEP;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** When which sheet was first shown as read: [epoch ms, number of the newest]. */
type Seen = [at: number, newest: number][];

/** Looks at every frame, and takes the time when the next one begins: then this one is on the screen. */
const watch = (): void => {
  const seen: Seen = [];
  Object.assign(globalThis, { benchSeen: seen });
  let newest = 0;
  const look = (): void => {
    let now = newest;
    for (const row of document.querySelectorAll<HTMLElement>('.feed-row.read'))
      now = Math.max(now, Number(row.dataset.item));
    requestAnimationFrame(() => {
      if (now > newest) {
        newest = now;
        seen.push([Date.now(), now]);
      }
      look();
    });
  };
  look();
};

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '30' }, json: { type: 'boolean' } },
  });
  const server = await startRedis();
  const sheaf = await startSheaf({ env: { REDIS_URL: server.url } });
  const redis = briefConnection({ url: server.url });
  const db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  const browser = await openTablet(sheaf.url, { viewport: DESKTOP });
  try {
    const client = await sheaf.client();
    const { batch_id } = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
      client_upload_id: randomUUID(),
      upload_type: 'zip_with_qr',
      name: 'watched.zip',
      size: 2 ** 20,
    });
    const announce = createAnnounce(redis);
    let sheets = 0;
    const next = async (): Promise<{ at: number; last: number }> => {
      const at = Date.now();
      announce(await db.write((tx) => append(tx, batch_id, step(sheets))));
      sheets += SHEETS_A_STEP;
      return { at, last: sheets };
    };
    const page = await openApp(browser.context, sheaf.url);
    await signIn(page, sheaf.admin);
    await page.getByText('watched.zip').first().click();
    await page.locator('#feed-title').waitFor();
    while (sheets < WARM) await next();
    await page.locator(`.feed-row.read[data-item="${sheets}"]`).waitFor({ timeout: 60_000 });
    await page.evaluate(watch);

    const steps: { at: number; last: number }[] = [];
    const began = performance.now();
    for (const from = sheets; performance.now() - began < Number(values.seconds) * 1000; ) {
      steps.push(await next());
      await sleep(Math.max(0, ((sheets - from) / PACE) * 1000 - (performance.now() - began)));
    }
    const wall = (performance.now() - began) / 1000;
    await page.locator(`.feed-row.read[data-item="${sheets}"]`).waitFor({ timeout: 60_000 });
    await sleep(500);
    const seen = await page.evaluate(() => (globalThis as unknown as { benchSeen: Seen }).benchSeen);
    const ages = steps
      .map(({ at, last }) => (seen.find(([, newest]) => newest >= last)?.[0] ?? Number.NaN) - at)
      .sort((a, b) => a - b);
    if (ages.some(Number.isNaN)) throw new Error('a step was never painted');
    const percentile = (p: number): number =>
      ages[Math.min(ages.length - 1, Math.floor(ages.length * p))] ?? Number.NaN;
    return {
      steps: steps.length,
      sheets_per_s: Math.round(((steps.length * SHEETS_A_STEP) / wall) * 10) / 10,
      painted_p50_ms: percentile(0.5),
      painted_p95_ms: percentile(0.95),
      painted_worst_ms: ages.at(-1),
    };
  } finally {
    await browser.close();
    redis.disconnect();
    await db.close();
    await sheaf.stop();
    await server.stop();
  }
}
