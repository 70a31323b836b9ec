// `bench -- painted [--seconds 30]`: a batch's screen in real Chromium while sheets are done at the pace of the production
// batch of old. A step is as old as its transaction; it is painted in the frame in which the item feed shows its last row as
// read. Server, Redis, browser and the one who appends share the machine's cores.
import { parseArgs } from 'node:util';
import { DESKTOP, openApp, openTablet, signIn } from '../browser.ts';
import { BATCH_NAME, openWatched, SHEETS_A_STEP } from './watched.ts';

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
  const watched = await openWatched();
  const { sheaf, next } = watched;
  const browser = await openTablet(sheaf.url, { viewport: DESKTOP });
  try {
    const page = await openApp(browser.context, sheaf.url);
    const painted = (last: number): Promise<void> =>
      page.locator(`.feed-row.read[data-item="${last}"]`).waitFor({ timeout: 60_000 });
    await signIn(page, sheaf.admin);
    await page.getByText(BATCH_NAME).first().click();
    await page.locator('#feed-title').waitFor();
    let { last } = await next();
    while (last < WARM) ({ last } = await next());
    await painted(last);
    await page.evaluate(watch);

    const steps: { at: number; last: number }[] = [];
    const pace = await watched.keepOn(Number(values.seconds), (step) => steps.push(step));
    await painted(steps.at(-1)?.last ?? last);
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
      sheets_per_s: Math.round(pace * 10) / 10,
      painted_p50_ms: percentile(0.5),
      painted_p95_ms: percentile(0.95),
      painted_worst_ms: ages.at(-1),
    };
  } finally {
    await browser.close();
    await watched.stop();
  }
}
