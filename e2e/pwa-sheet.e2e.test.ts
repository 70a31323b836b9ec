// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// One page of a batch in real Chromium: looked at closely, corrected, and all of it again without a network from what was
// kept; and a tablet that two people share.
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeJpeg } from '../server/adapters/decode.ts';
import { ApiRefusal, type Client, signIn as signInClient } from '../server/cli/client.ts';
import { drawSheet } from '../shared/corpus/draw.ts';
import { turn } from '../shared/corpus/wear.ts';
import type { GrayImage } from '../shared/omr/image.ts';
import { SheetDetail } from '../shared/protocol/batch.ts';
import { MOST_SNIPPETS, SnippetList } from '../shared/protocol/snippet.ts';
import { builtIn } from '../shared/template/built-in.ts';
import { fieldBubbles, SNIPPET_PX_PER_MM, snippetBox } from '../shared/template/snippet-box.ts';
import { DESKTOP, openApp, openTablet, signIn } from './browser.ts';
import { type Line, openLine } from './line.ts';
import { complaintsAt } from './support/axe.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const DPI = 150;
const FORTY = builtIn('sheaf-40')!;
const CENTRE = 'North centre';
const PASSWORD = 'a pencil of graphite';
const AnyObject = v.looseObject({});

let sheaf: Sheaf;
let admin: Client;
let exam: Exam;
let batch: string;
/** sheet ids of the batch's pages, by their index */
let ids: string[];
let line: Line;
let tablet: Browser;

/** The page on which two marks of question 7 are nearly rubbed out. */
const FAINT = 2;
const ASKEW = 3;
const BROKEN = 5;

/** A mark that nobody can be sure of. */
function smudge(image: GrayImage, label: string, option: string): GrayImage {
  const data = image.data.slice();
  const scale = DPI / 25.4;
  const bubble = fieldBubbles(FORTY, label)?.bubbles.find((one) => one.bubble.option === option)?.bubble;
  if (!bubble) throw new Error(`no ${option} at ${label}`);
  const radius = (bubble.width / 2) * 0.8 * scale;
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) {
      if (x * x + y * y > radius * radius) continue;
      const at = Math.round(bubble.y * scale + y) * image.width + Math.round(bubble.x * scale + x);
      data[at] = Math.min(data[at] ?? 255, 190);
    }
  return { ...image, data };
}

beforeAll(async () => {
  sheaf = await startSheaf();
  admin = await sheaf.client();
  await admin.call(AnyObject, 'POST', '/api/centres', { centre_id: CENTRE, name: CENTRE });
  exam = await drawExam({ seed: 21, covers: 1, sheets: 5, questions: 40, dpi: DPI });
  await announceExam(admin, exam);
  const pages = await Promise.all(
    exam.scans.map(async ({ name, bytes, truth }, i) => {
      if (i === BROKEN) return { name, bytes: Buffer.from('no image') };
      if (!truth || (i !== FAINT && i !== ASKEW)) return { name, bytes };
      const answers = truth.answers.map((answer, k) => (i === FAINT && k === 6 ? '' : answer));
      const drawn = drawSheet(FORTY, { ...truth, answers, seed: 7 }, DPI);
      return { name, bytes: await encodeJpeg(i === ASKEW ? turn(drawn, 90) : smudge(drawn, 'q7', 'B'), 80) };
    }),
  );
  for (const [username, role] of [
    ['sara', 'supervisor'],
    ['rita', 'reviewer'],
    ['otto', 'operator'],
  ])
    await admin.call(AnyObject, 'POST', '/api/users', {
      username,
      password: PASSWORD,
      role,
      centres: [CENTRE],
      must_change_password: false,
    });
  // Whoever reviews sees the batches of their centre: the sender's.
  const sara = await signInClient(sheaf.url, 'sara', PASSWORD);
  const sent = await sara.send(await packZip(pages), { name: 'north.zip', upload_type: 'zip_with_qr' });
  batch = sent.batch_id;
  await admin.waitForBatch(batch, 180_000);
  const { items } = await admin.call(
    v.object({ items: v.array(v.looseObject({ sheet_id: v.string(), page_index: v.number() })) }),
    'GET',
    `/api/batches/${batch}/sheets`,
  );
  ids = [];
  for (const { sheet_id, page_index } of items) ids[page_index] = sheet_id;
});
afterAll(async () => {
  await sheaf?.stop();
});
beforeEach(async () => {
  line = await openLine(sheaf.url);
  tablet = await openTablet(line.url);
});
afterEach(async () => {
  await tablet?.close();
  await line?.close();
});

const detail = (index: number) => admin.call(SheetDetail, 'GET', `/api/batches/${batch}/sheets/${ids[index]}`);

/** Within the page: a screen is opened as a link would. */
async function open(page: Page, where: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, where);
}
const pagePath = (index: number): string => `/batches/${batch}/pages/${index + 1}`;
const scale = (page: Page): Promise<number> =>
  page.locator('.zoom-page').evaluate((element) => Number((element as HTMLElement).dataset.scale));
const place = (page: Page) =>
  page.locator('.zoom-page').evaluate((element) => {
    const { x, y } = element.getBoundingClientRect();
    return { x: Math.round(x), y: Math.round(y) };
  });

/** What is around the page may come after it and move it. */
async function atRest(page: Page): Promise<void> {
  let before = '';
  await eventually('a page that lies still', async () => {
    const now = JSON.stringify([await scale(page), await place(page)]);
    const still = now === before;
    before = now;
    if (!still) await new Promise((resolve) => setTimeout(resolve, 250));
    return still;
  });
}

test('snippets are cut upright from any scan, many in one answer, and refused like everything else', async () => {
  const of = `${ids[FAINT]}.q7.roll.q99,${ids[ASKEW]}.q1,${ids[BROKEN]}.q1,77000001.q1`;
  const { items } = await admin.call(SnippetList, 'GET', `/api/batches/${batch}/snippets?of=${of}`);
  expect(items.map(({ snippets, problem }) => [snippets.map(({ field }) => field).join(' '), problem])).toEqual([
    ['q7 roll', null],
    ['q1', null],
    ['', 'the page was not read as a sheet'],
    ['', 'the batch has no such sheet'],
  ]);
  expect([items[0]?.template, items[0]?.image_sha256]).toEqual(['sheaf-40@1', (await detail(FAINT)).image_sha256]);
  const bytes = items.flatMap(({ snippets }) => snippets.map(({ jpeg }) => Buffer.from(jpeg, 'base64')));
  expect(bytes.every((jpeg) => jpeg[0] === 0xff && jpeg[1] === 0xd8 && jpeg.length < 40_000)).toBe(true);
  const refused = (path: string) =>
    admin.call(AnyObject, 'GET', `/api/batches/${path}`).then(
      () => null,
      (error: unknown) => (error instanceof ApiRefusal ? error.problem.code : String(error)),
    );
  expect(await refused(`${batch}/snippets`)).toBe('VALIDATION_FAILED');
  const many = Array.from({ length: MOST_SNIPPETS + 1 }, (_, i) => `q${i + 1}`).join('.');
  expect(await refused(`${batch}/snippets?of=1.${many}`)).toBe('VALIDATION_FAILED');
  expect(await refused(`${batch}/snippets?of=..%2F1.q1`)).toBe('VALIDATION_FAILED');
  expect(await refused(`nothing/snippets?of=1.q1`)).toBe('NOT_FOUND');
});

test('looked at closely: keys, wheel, buttons and a tap; every shape lies on its bubble, also of a scan on its side', async () => {
  const page = await openApp(tablet.context, line.url);
  await page.setViewportSize(DESKTOP);
  await signIn(page, { username: 'rita', password: PASSWORD });
  await open(page, `/batches/${batch}`);
  await page.locator('.sheet-link').first().waitFor();
  await open(page, pagePath(FAINT));
  await page.locator('.overlay').waitFor();
  await atRest(page);
  const fitted = await scale(page);
  const box = page.locator('.zoom-box');
  await box.focus();
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  await eventually('a larger page', async () => (await scale(page)) > 1.5 * fitted);
  const before = await place(page);
  await page.keyboard.press('ArrowDown');
  await eventually('a page that moved', async () => (await place(page)).y < before.y);
  await page.keyboard.press('0');
  await eventually('all of the page', async () => Math.abs((await scale(page)) - fitted) < 1e-3);
  const frame = (await box.boundingBox())!;
  await page.mouse.move(frame.x + frame.width / 2, frame.y + frame.height / 2);
  await page.mouse.wheel(0, -900);
  await eventually('a page under the wheel', async () => (await scale(page)) > 1.5 * fitted);
  // What comes near is shown as it was scanned.
  await page.mouse.wheel(0, -900);
  await page.mouse.wheel(0, -900);
  await page.locator('.zoom-scan[data-px=scan]').waitFor();
  await page.getByRole('button', { name: 'Show all of it' }).click();
  await eventually('all of the page again', async () => Math.abs((await scale(page)) - fitted) < 1e-3);

  // A tap on a bubble opens its field; the shape over it is where the bubble is.
  for (const index of [ASKEW, FAINT]) {
    await open(page, pagePath(index));
    await page.locator(`.zoom-scan[alt="Scan of page ${index + 1}"]`).waitFor();
    await page.locator('.overlay .layer.read').waitFor();
    await box.evaluate((element) => element.scrollIntoView({ block: 'end' }));
    await atRest(page);
    const now = await scale(page);
    const at = await page.locator('.zoom-page').boundingBox();
    const bubble = fieldBubbles(FORTY, 'q12')!.bubbles[2]!.bubble;
    const px = (DPI / 25.4) * now;
    await page.mouse.click(at!.x + bubble.x * px, at!.y + bubble.y * px);
    await page.locator('.field-editor[data-field=q12]').waitFor();
    await page.locator('.field-editor').getByRole('button', { name: 'Close' }).click();
  }
  // One frame for the one doubtful field, and a ring for each mark that was read.
  const { reading } = await detail(FAINT);
  if (reading?.kind !== 'sheet') throw new Error('not read as a sheet');
  const marks = reading.fields.reduce(
    (sum, { label, value }) =>
      sum +
      (label === 'roll' ? [...value].filter((c) => /\d/.test(c)).length : value.split('|').filter(Boolean).length),
    0,
  );
  await page.locator(`.layer.read[data-shapes="${marks}"]`).waitFor({ state: 'attached' });
  await page.locator('.layer.doubt[data-shapes="1"]').waitFor({ state: 'attached' });
  await page.getByLabel('Key', { exact: true }).check();
  await page.locator('.layer.key').waitFor({ state: 'attached' });
  expect(Number(await page.locator('.layer.key').getAttribute('data-shapes'))).toBeGreaterThanOrEqual(40);

  // The same in words.
  const rows = page.locator('.field-table tbody tr');
  await eventually('all fields in words', async () => (await rows.count()) === 42);
  const q7 = page.locator('.field-table tr[data-label=q7]');
  await q7
    .getByText(/doubtful/)
    .first()
    .waitFor();
  await page.keyboard.press('n');
  await page.getByRole('heading', { name: `Page ${FAINT + 2}`, exact: true }).waitFor();

  // Well made by day and night, on a phone, a tablet and a desk, with a field open.
  await page.locator('.field-table tr[data-label=q12]').getByRole('button').click();
  await page.locator('.field-editor[data-field=q12] .snippet img').waitFor();
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1440, 820, 360]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.evaluate(() => scrollTo(0, 0));
      found.push(...(await complaintsAt(page, `${colorScheme}, ${width}`, { width, height: 900 })));
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) found.push(`${colorScheme}, ${width}: ${wider} px wider than the screen`);
    }
  expect(found).toEqual([]);
});

test('kept offline: the doubtful field is seen and decided without a network, the score follows at once and holds', async () => {
  const page = await openApp(tablet.context, line.url);
  await signIn(page, { username: 'rita', password: PASSWORD });
  await open(page, `/batches/${batch}`);
  await page.getByRole('switch', { name: 'Keep for review offline' }).check();
  await page.locator('[data-keeping=whole]').waitFor();
  const before = await detail(FAINT);

  line.cut();
  await page.reload();
  await open(page, pagePath(FAINT));
  await page.locator('.overlay .layer.doubt').waitFor();
  await page.getByRole('button', { name: 'Show Question 7' }).click();
  const snippet = page.locator('.field-editor .snippet img');
  await snippet.waitFor();
  const cut = snippetBox(FORTY, 'q7')!;
  await eventually('a snippet of its full size', async () => {
    const width = await snippet.evaluate((image) => (image as HTMLImageElement).naturalWidth);
    return width === Math.round(cut.width * SNIPPET_PX_PER_MM);
  });
  const shown = page.locator('.score-fact dd');
  const score = () => shown.getAttribute('data-score');
  await eventually('the score as it was', async () => (await score()) === String(before.score));
  // Of what was read and the right answer one at least is not this one: the score cannot stay as it is.
  const seventh = before.answers.find(({ question }) => question === 7);
  expect(seventh?.accepted).toMatch(/^[A-E]$/);
  const right = seventh?.accepted ?? '';
  const wanted = seventh?.value === right ? (right === 'A' ? 'E' : 'A') : right;
  await page.getByRole('radio', { name: wanted, exact: true }).check({ force: true });
  await page.getByLabel('Why (may be left empty)').fill('seen under the lamp');
  await page.getByRole('button', { name: 'Save the decision' }).click();
  const here = await eventually('a score that follows', async () => {
    const now = await score();
    return now !== String(before.score) && now;
  });
  const entry = page.locator('.history-list li').first();
  await entry.getByText('not sent yet').waitFor();
  await eventually('what was decided, by whom and why', async () =>
    /Question 7[\s\S]*rita[\s\S]*seen under the lamp/.test(await entry.innerText()),
  );
  // A page of which nothing was kept says so, and the table stands all the same.
  await open(page, pagePath(1));
  await page.getByText('Not kept on this device.', { exact: false }).first().waitFor();
  await page.locator('.field-table tbody tr').nth(41).waitFor();
  // The page that failed is one to look at: it was kept as far as there was anything.
  await open(page, pagePath(BROKEN));
  await page.getByText('It could not be read', { exact: false }).waitFor();

  line.mend();
  await eventually('the decision on the server', async () => {
    const now = await detail(FAINT);
    return now.corrections.length === 1 && String(now.score) === here;
  });
  const { corrections } = await detail(FAINT);
  expect(corrections[0]).toMatchObject({ field: 'q7', value: wanted, username: 'rita', reason: 'seen under the lamp' });
  await open(page, pagePath(FAINT));
  await eventually('a history without a mark', async () => (await page.getByText('not sent yet').count()) === 0);
});

test('on a shared tablet nobody sees what another has kept, and settings count what is here', async () => {
  const page = await openApp(tablet.context, line.url);
  await signIn(page, { username: 'rita', password: PASSWORD });
  await open(page, `/batches/${batch}`);
  await page.getByRole('switch', { name: 'Keep for review offline' }).check();
  await page.locator('[data-keeping=whole]').waitFor();
  await open(page, '/settings');
  const kept = page.locator('.pictures-kept');
  await eventually('pictures in the settings', async () => /^[^\d]*[1-9]\d* (KB|MB)/.test(await kept.innerText()));
  await page.locator('.offline-batches', { hasText: 'north.zip' }).waitFor();
  const pictures = () =>
    page.evaluate(async () => {
      const names = (await indexedDB.databases())
        .map(({ name }) => name ?? '')
        .filter((name) => name !== 'sheaf-queue');
      const counts: number[] = [];
      for (const name of names) {
        const db = await new Promise<IDBDatabase>((resolve, reject) => {
          const asked = indexedDB.open(name);
          asked.onsuccess = () => resolve(asked.result);
          asked.onerror = () => reject(asked.error);
        });
        for (const store of ['pictures', 'picture_bytes'])
          counts.push(
            await new Promise<number>((resolve, reject) => {
              if (!db.objectStoreNames.contains(store)) return resolve(0);
              const asked = db.transaction(store).objectStore(store).count();
              asked.onsuccess = () => resolve(asked.result);
              asked.onerror = () => reject(asked.error);
            }),
          );
        db.close();
      }
      return counts.reduce((sum, n) => sum + n, 0);
    });
  await eventually('her pictures', async () => (await pictures()) > 4);
  await page.locator('.sign-out').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User name').waitFor();
  await eventually('nothing of hers on the device', async () => (await pictures()) === 0);

  // The browser's own cache holds none either: an operator who may not see the batch gets no picture of it.
  await signIn(page, { username: 'otto', password: PASSWORD });
  const cached = await page.evaluate(
    async ([id, sheet]) => {
      const answer = await fetch(`/api/batches/${id}/sheets/${sheet}/image?width=1200`, { cache: 'force-cache' });
      return answer.status;
    },
    [batch, ids[FAINT]],
  );
  expect(cached).toBe(401);
  line.cut();
  await open(page, pagePath(FAINT));
  await page.getByText('This batch is not on this device yet.').waitFor();
  expect(await page.locator('img').count()).toBe(0);
});
