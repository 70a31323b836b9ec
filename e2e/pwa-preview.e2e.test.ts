// Looking into a batch on the device, in real Chromium: the engine reads what the server reads, a batch is corrected
// before it is sent, and the camera finds the task of a cover.
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { expect, test } from 'vitest';
import { decodeGray, encodeJpeg } from '../server/adapters/decode.ts';
import { drawBlank, drawCover } from '../shared/corpus/draw.ts';
import { type Level, wornSheet } from '../shared/corpus/levels.ts';
import { turn } from '../shared/corpus/wear.ts';
import type { GrayImage } from '../shared/omr/image.ts';
import { readPage } from '../shared/omr/read-page.ts';
import { GroupList } from '../shared/protocol/batch.ts';
import type { Reading } from '../shared/protocol/reading.ts';
import { BUILT_IN, COVER } from '../shared/template/built-in.ts';
import { appSuite } from './app-suite.ts';
import { card, chooseZip, openApp, signIn } from './browser.ts';
import { openBrowser } from './support/chromium.ts';
import { type Exam, packZip } from './support/exam.ts';
import { ROOT } from './support/places.ts';

const suite = appSuite({ seed: 12, covers: 2, sheets: 6 });

const jpeg = (image: GrayImage): Promise<Buffer> => encodeJpeg(image, 85);
const paper = (width: number, height: number): GrayImage => ({
  width,
  height,
  data: new Uint8Array(width * height).fill(250),
});

/** What a person is told of a page. How dark each bubble is differs by a level or two: each browser unpacks a JPEG in its own way. */
const told = (reading: Reading) =>
  reading.kind === 'sheet'
    ? {
        ...reading,
        fields: reading.fields.map(({ label, value, flags }) => ({ label, value, flags })),
        to_image: reading.to_image.length,
        fills: reading.fills.length,
        threshold: 0,
      }
    : reading;

test('[R1] the device reads every fixture as the server does: every choice, every flag', async () => {
  const [sheet] = BUILT_IN;
  if (!sheet) throw new Error('there is no built-in sheet');
  const fixtures: [string, Buffer][] = suite.exam.scans.slice(0, 4).map(({ name, bytes }) => [name, bytes]);
  for (const template of BUILT_IN)
    for (const level of [1, 2, 3] as Level[])
      fixtures.push([`${template.id} worn ${level}`, await jpeg(wornSheet(template, level, 7, 150).image)]);
  fixtures.push(['cover', await jpeg(drawCover('12345678', 150))]);
  fixtures.push(['cover upside down', await jpeg(turn(drawCover('12345678', 150), 180))]);
  fixtures.push(['cover without a code', await jpeg(drawBlank(COVER, null, 150))]);
  fixtures.push(['blank', await jpeg(paper(1240, 1754))]);
  fixtures.push(['not an image', Buffer.from('hello')]);

  const bundle = await build({
    configFile: false,
    root: ROOT,
    logLevel: 'error',
    build: {
      write: false,
      lib: { entry: path.join(ROOT, 'pwa', 'preview', 'page.ts'), formats: ['iife'], name: 'Preview' },
    },
  });
  const output = (Array.isArray(bundle) ? bundle[0] : bundle) as { output: { code: string }[] };
  const page = await suite.tablet.context.newPage();
  await page.goto(suite.sheaf.url);
  // By the debugger: the page's own policy lets no script in.
  await page.evaluate(`${output.output[0]?.code ?? ''}; globalThis.Preview = Preview; undefined`);
  for (const [name, bytes] of fixtures) {
    const decoded = await decodeGray(bytes);
    const server: Reading | null = decoded.ok ? readPage(decoded.image, BUILT_IN) : null;
    const device = (await page.evaluate(async (base64) => {
      const { Preview } = globalThis as unknown as {
        Preview: { lookAtPage(file: Blob, entry: null): Promise<{ reading: unknown }> };
      };
      const file = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]);
      return (await Preview.lookAtPage(file, null)).reading;
    }, bytes.toString('base64'))) as Reading;
    if (server) expect(told(device), name).toEqual(told(server));
    else expect(device.kind, name).toBe('foreign');
  }
});

const groupCard = (page: Page, first: number) => page.locator(`[data-group="${first}"]`);
const odd = (page: Page, what: string) => page.locator(`[data-odd="${what}"]`);

test('a batch is looked into, corrected by hand, and the server groups it as the person said', async () => {
  const [first, second] = suite.exam.tasks as [Exam['tasks'][number], Exam['tasks'][number]];
  const scan = (name: string) => suite.exam.scans.find((page) => page.name === name)?.bytes ?? Buffer.alloc(0);
  const [cover, ...sheets] = suite.exam.scans
    .filter(({ task_id }) => task_id === first.task_id)
    .map(({ name }) => name);
  const [, ...others] = suite.exam.scans.filter(({ task_id }) => task_id === second.task_id).map(({ name }) => name);
  const upside = await decodeGray(scan(sheets[1] ?? ''));
  if (!upside.ok) throw new Error(upside.reason);
  const entries = [
    ['a-stray.jpg', scan(sheets[2] ?? '')],
    ['b-cover.jpg', scan(cover ?? '')],
    ['c.jpg', scan(sheets[0] ?? '')],
    ['d.jpg', await jpeg(turn(upside.image, 180))],
    ['e-again.jpg', scan(sheets[0] ?? '')],
    ['f-blank.jpg', await jpeg(paper(1240, 1754))],
    ['g-cover-without-code.jpg', await jpeg(drawBlank(COVER, null, 150))],
    ['h.jpg', scan(others[0] ?? '')],
    ['i.jpg', scan(others[1] ?? '')],
    ['j-broken.jpg', Buffer.from('hello')],
  ] as const;
  const file = path.join(suite.folder, 'to-be-corrected.zip');
  fs.writeFileSync(file, await packZip(entries.map(([name, bytes]) => ({ name, bytes }))));

  const page = await openApp(suite.tablet.context, suite.sheaf.url);
  await signIn(page, suite.sheaf.admin);
  await chooseZip(page, file);
  await page.locator('.preview[data-state=done]').waitFor();
  await page.getByText('All 10 pages looked at').waitFor();
  await groupCard(page, 1).getByText('Before the first cover').waitFor();
  await groupCard(page, 2).getByText(`Task ${first.task_id}`).waitFor();
  await groupCard(page, 2).getByText('3 sheets').waitFor();
  await groupCard(page, 7).getByText('Cover not readable').waitFor();
  await odd(page, 'turned').getByText('1 page is upside down').waitFor();
  await odd(page, 'duplicate').getByText('1 page is there twice').waitFor();
  await odd(page, 'blank').getByText('1 blank page').waitFor();
  await odd(page, 'unreadable').getByText('1 page cannot be read').waitFor();
  await odd(page, 'cover-unread').waitFor();

  await groupCard(page, 7).getByLabel('Task id of the group from page 7').fill(second.task_id);
  await groupCard(page, 7).getByRole('button', { name: 'Set', exact: true }).click();
  await groupCard(page, 7).getByText(`Task ${second.task_id}`).waitFor();
  await groupCard(page, 1).getByRole('button', { name: 'Set aside' }).click();
  await groupCard(page, 1).getByText('corrected by you').waitFor();
  await odd(page, 'cover-unread').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await card(page, 'to-be-corrected.zip').getByText('Sent', { exact: true }).waitFor();
  await card(page, 'to-be-corrected.zip').getByRole('link', { name: 'Open batch' }).click();
  await page.waitForURL('**/batches/*');
  const id = decodeURIComponent(new URL(page.url()).pathname.split('/').at(-1) ?? '');
  await suite.client.waitForBatch(id, 180_000);
  const { items } = await suite.client.call(GroupList, 'GET', `/api/batches/${id}/groups`);
  expect(items.map(({ first_page, task_id, state }) => [first_page, task_id, state])).toEqual([
    [0, null, 'set-aside'],
    [1, first.task_id, 'ok'],
    [6, second.task_id, 'ok'],
  ]);
});

test('a look is stopped by hand, and rests while nobody looks at the app', async () => {
  const file = path.join(suite.folder, 'long.zip');
  const pages = Array.from({ length: 160 }, (_, i) => ({
    name: `${String(i).padStart(3, '0')}.jpg`,
    bytes: suite.exam.scans[i % suite.exam.scans.length]?.bytes ?? Buffer.alloc(0),
  }));
  fs.writeFileSync(file, await packZip(pages));
  const page = await openApp(suite.tablet.context, suite.sheaf.url);
  await signIn(page, suite.sheaf.admin);
  await chooseZip(page, file);
  await page.locator('.preview [data-group="1"]').waitFor();
  await page.getByRole('button', { name: 'Stop looking' }).click();
  await page.locator('.preview[data-state=stopped]').waitFor();
  await page.locator('.preview .hint', { hasText: 'Stopped.' }).first().waitFor();
  await page.getByRole('button', { name: 'Queue this batch' }).click();
  await page.getByRole('heading', { name: 'Queue', exact: true }).waitFor();
});

test('the camera finds the task of a cover', async () => {
  // Chromium's fake camera plays a film of one picture: MJPEG, which is JPEGs one after the other.
  const cover = drawCover('14912345', 60);
  const width = cover.width - (cover.width % 2);
  const height = cover.height - (cover.height % 2);
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) data.set(cover.data.subarray(y * cover.width, y * cover.width + width), y * width);
  const film = path.join(suite.folder, 'cover.y4m');
  const gray = Buffer.alloc((width * height) / 2, 128);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), Buffer.from(data), gray]);
  fs.writeFileSync(
    film,
    Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`), frame, frame]),
  );
  const browser = await openBrowser({
    viewport: { width: 820, height: 1180 },
    touch: true,
    args: [
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${film}`,
    ],
  });
  try {
    const page = await openApp(browser.context, suite.sheaf.url);
    await signIn(page, suite.sheaf.admin);
    await page.getByRole('link', { name: 'New batch' }).first().click();
    await page.getByRole('radio', { name: 'ZIP for one task' }).check();
    await page.getByLabel('Task id').fill('1234 5678 9');
    expect(await page.getByLabel('Task id').inputValue()).toBe('12345678');
    await page.getByText('more were left out').waitFor();
    await page.getByRole('button', { name: 'Scan a cover' }).click();
    await page.waitForFunction(
      () => (document.getElementById('task-id') as HTMLInputElement | null)?.value === '14912345',
    );
    await page.locator('dialog').waitFor({ state: 'detached' });
  } finally {
    await browser.close();
  }
});
