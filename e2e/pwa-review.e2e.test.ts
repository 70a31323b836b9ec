// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// Review in real Chromium: two reviewers, both without a network, decide about the same batch while its key changes; what
// they did meets, and nothing is lost. And a hundred doubtful marks by the keyboard alone, and by fingers alone.
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeJpeg } from '../server/adapters/decode.ts';
import { type Client, signIn as signInClient } from '../server/cli/client.ts';
import { type SamplePage, sampleBatch } from '../shared/corpus/sample.ts';
import type { GrayImage } from '../shared/omr/image.ts';
import { GroupList, SheetList, type SheetRow } from '../shared/protocol/batch.ts';
import { KeyAnswer, type KeyContent, PublishAnswer, type TaskAnswer } from '../shared/protocol/key.ts';
import type { SheetLine } from '../shared/protocol/sync.ts';
import { correctionsOf, pageOf, viewSheet } from '../shared/sheet-line.ts';
import { DESKTOP, goByKeys, openApp, openTablet, signIn, syncSays, TABLET } from './browser.ts';
import { type Line, openLine } from './line.ts';
import { complaintsAt } from './support/axe.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, type Exam, packZip, type ZipEntry } from './support/exam.ts';
import { eventually } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const CENTRE = 'North centre';
const PASSWORD = 'a pencil of graphite';
const AnyObject = v.looseObject({});

interface Device {
  browser: Browser;
  line: Line;
  page: Page;
}
let sheaf: Sheaf;
let admin: Client;
let sue: Client;
let sample: ReturnType<typeof sampleBatch>;
/** the same sheets three times: for the journey, the keyboard and the fingers */
let batch: Record<'journey' | 'keys' | 'touch', string>;
const devices: Device[] = [];

/** The middle of the page slides sideways by 2 mm, as behind a fold: the engine calls no answer on it sure. */
function slid({ width, height, data }: GrayImage): GrayImage {
  const moved = data.slice();
  for (let y = Math.floor(height * 0.4); y < height * 0.7; y++)
    moved.copyWithin(y * width + 12, y * width, (y + 1) * width - 12);
  return { width, height, data: moved };
}

/** The cover, three sheets that lay badly and two that did not. */
async function scan(page: SamplePage, i: number): Promise<ZipEntry> {
  const image = page.draw(150);
  return { name: page.name, bytes: await encodeJpeg(i >= 1 && i <= 3 ? slid(image) : image, 80) };
}

async function device(username: string, viewport: { width: number; height: number }): Promise<Device> {
  const line = await openLine(sheaf.url);
  const browser = await openTablet(line.url, { viewport });
  const page = await openApp(browser.context, line.url);
  await signIn(page, { username, password: PASSWORD });
  const opened = { browser, line, page };
  devices.push(opened);
  return opened;
}

beforeAll(async () => {
  sheaf = await startSheaf();
  admin = await sheaf.client();
  await admin.call(AnyObject, 'POST', '/api/centres', { centre_id: CENTRE, name: CENTRE });
  sample = sampleBatch({ seed: 12, covers: 1, sheets: 5, questions: 40 });
  const exam: Exam = { tasks: sample.tasks, template_id: sample.template.id, scans: [] };
  await announceExam(admin, exam);
  for (const [username, role] of [
    ['sue', 'supervisor'],
    ['rea', 'reviewer'],
    ['rob', 'reviewer'],
  ]) {
    const user = { username, password: PASSWORD, role, centres: [CENTRE], must_change_password: false };
    await admin.call(AnyObject, 'POST', '/api/users', user);
  }
  const entries = await Promise.all(sample.pages.map(scan));
  sue = await signInClient(sheaf.url, 'sue', PASSWORD);
  const send = async (name: string, list: readonly ZipEntry[]): Promise<string> => {
    const sent = await sue.send(await packZip(list), { name, upload_type: 'zip_with_qr' });
    await sue.waitForBatch(sent.batch_id, 180_000);
    return sent.batch_id;
  };
  batch = {
    journey: await send('journey.zip', entries),
    keys: await send('keys.zip', entries),
    // Its cover was not scanned.
    touch: await send('touch.zip', entries.slice(1)),
  };
});
afterAll(async () => {
  for (const { browser, line } of devices) {
    await browser.close();
    await line.close();
  }
  await sheaf?.stop();
});

async function cut({ line, browser, page }: Device): Promise<void> {
  line.cut();
  // The browser says so too, and the app asks at once instead of at its next knock.
  await browser.context.setOffline(true);
  await syncSays(page, 'Offline since');
}
async function mend({ line, browser }: Device): Promise<void> {
  line.mend();
  await browser.context.setOffline(false);
}

/** Within the page: a screen is opened as a link would. */
async function open(page: Page, where: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, where);
}

/** One of a few that are all in view. */
const choose = (page: Page, name: string) => page.getByRole('radio', { name, exact: true }).tap();

/** `<sheet id> <field> <why>` of what is looked at. */
const lookedAt = async (page: Page): Promise<string> =>
  (await page.locator('.review-panel').getAttribute('data-doubt')) ?? '';

/** Does something that ends with another field being looked at. */
async function onward(page: Page, how: () => Promise<unknown>): Promise<string> {
  const before = await lookedAt(page);
  await how();
  await page.waitForFunction(
    (was) => document.querySelector('.review-panel')?.getAttribute('data-doubt') !== was,
    before,
  );
  return lookedAt(page);
}
/** A finger on what is seen, which must be large enough for one. */
async function tap(page: Page, selector: string): Promise<void> {
  const target = page.locator(selector);
  await eventually(`${selector} of 44 pixels`, async () => {
    const box = await target.boundingBox();
    return box !== null && Math.min(box.width, box.height) >= 44;
  });
  await target.tap();
}

const sheetsOf = async (id: string): Promise<SheetRow[]> =>
  (await admin.call(SheetList, 'GET', `/api/batches/${id}/sheets?limit=100`)).items;

interface Stored {
  lines: SheetLine[];
  waiting: number;
  keys: { key_id: string; published: { version: number; content: KeyContent }[] }[];
  tasks: v.InferOutput<typeof TaskAnswer>[];
}
/** What a device has of a batch in its own store. */
const stored = (page: Page, id: string): Promise<Stored> =>
  page.evaluate(async (scope) => {
    const ask = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const names = (await indexedDB.databases()).map(({ name }) => name ?? '');
    const db = await ask(
      indexedDB.open(names.find((name) => name.startsWith('sheaf-') && name !== 'sheaf-queue') ?? ''),
    );
    const all = async (store: string) => ask(db.transaction(store).objectStore(store).getAll());
    const feed = (await all('feeds')).find((one: { scope: string }) => one.scope === scope);
    const parts = (await all('parts')).filter(
      (part: { scope: string; generation: number }) => part.scope === scope && part.generation === feed?.generation,
    );
    const found = {
      lines: parts.flatMap((part: { lines: SheetLine[] }) => part.lines),
      waiting: (await all('outbox')).length,
      keys: await all('keys'),
      tasks: await all('tasks'),
    };
    db.close();
    return found;
  }, `batch:${id}`) as Promise<Stored>;

/** Scores as the device works them out by itself from what it has: page index and score. */
function scoresOn({ lines, keys, tasks }: Stored): string[] {
  const known = new Map(tasks.map((task) => [task.task_id, task]));
  return lines.flatMap((line) => {
    const view = viewSheet(line, [], (task_id) => {
      const task = known.get(task_id);
      const key = keys
        .find(({ key_id }) => key_id === task?.key_id)
        ?.published.sort((a, b) => b.version - a.version)[0];
      return task && { key: key?.content ?? null, template_id: task.template_id };
    });
    return view ? [`${pageOf(line)}: ${view.result?.score}`] : [];
  });
}

const found: string[] = [];
async function look(page: Page, screen: string): Promise<void> {
  const viewport = page.viewportSize() ?? TABLET;
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    found.push(...(await complaintsAt(page, `${screen}, ${colorScheme}`, viewport)));
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(viewport);
}

test('[S3] two reviewers without a network, one batch, one key that changes: all meets, one conflict is shown and settled', async () => {
  const rea = await device('rea', DESKTOP);
  const rob = await device('rob', TABLET);
  // Kept from the list of batches: neither has opened a sheet of it.
  for (const { page } of [rea, rob]) {
    await open(page, '/review');
    await page.getByRole('button', { name: 'Keep journey.zip on this device' }).click();
    await page.locator(`[data-batch="${batch.journey}"]`).getByText('On this device').waitFor();
    await open(page, `/batches/${batch.journey}`);
    await page.locator('[data-keeping=whole]').waitFor();
  }
  await Promise.all([cut(rea), cut(rob)]);

  const key_id = `key-${sample.tasks[0]?.task_id}`;
  const key = await admin.call(KeyAnswer, 'GET', `/api/answer-keys/${key_id}`);
  const content: KeyContent = { ...key.content, marks: { correct: 2, wrong: 0, blank: 0 } };
  await admin.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id, content });
  await sue.call(PublishAnswer, 'POST', `/api/answer-keys/${key_id}/publish`);

  for (const { page } of [rea, rob]) {
    await open(page, `/review/${batch.journey}`);
    await choose(page, 'By page');
    await eventually('the first field of the first sheet', async () => / roll doubt$/.test(await lookedAt(page)));
    // The picture is on the device as well.
    await page.locator('.review-snippet img').waitFor();
  }
  // Rea: the roll number and the variant as read, then three answers.
  const sheet = (await lookedAt(rea.page)).split(' ')[0] ?? '';
  await onward(rea.page, () => rea.page.keyboard.press('Space'));
  expect(await onward(rea.page, () => rea.page.keyboard.press('Space'))).toBe(`${sheet} q1 doubt`);
  const right = sample.tasks[0]?.key.answers[sample.pages[1]?.truth?.variant ?? '']?.[0] ?? '';
  const wrong = right === 'A' ? 'B' : 'A';
  await onward(rea.page, () => rea.page.keyboard.press(wrong));
  // What came of it is said at once, without anybody having been asked.
  const scoreAfter = async (value: string): Promise<number> => {
    const said = rea.page.locator('.review-last', { hasText: `Question 1, page 2: ${value}.` });
    return Number(await said.locator('[data-score]').getAttribute('data-score'));
  };
  const worse = await scoreAfter(wrong);
  await onward(rea.page, () => rea.page.keyboard.press('z'));
  await onward(rea.page, () => rea.page.keyboard.press(right));
  expect(await scoreAfter(right)).toBeGreaterThan(worse);
  await rea.page.getByLabel('Note').fill('a clear mark');
  await onward(rea.page, () => rea.page.locator('[data-option=C]').click());
  await onward(rea.page, () => rea.page.keyboard.press('-'));
  // Rob: the same answer otherwise, the same answer alike, another one, and the last of another sheet.
  await onward(rob.page, () => rob.page.keyboard.press('ArrowRight'));
  expect(await onward(rob.page, () => rob.page.keyboard.press('ArrowRight'))).toBe(`${sheet} q1 doubt`);
  await onward(rob.page, () => rob.page.keyboard.press(wrong));
  expect(await onward(rob.page, () => rob.page.keyboard.press('c'))).toBe(`${sheet} q3 doubt`);
  await onward(rob.page, () => rob.page.keyboard.press('ArrowRight'));
  await onward(rob.page, () => rob.page.keyboard.press('d'));
  for (let i = 0; i < 5; i++) await onward(rob.page, () => rob.page.keyboard.press('ArrowLeft'));
  const other = await lookedAt(rob.page);
  expect(other).not.toContain(sheet);
  await onward(rob.page, () => rob.page.keyboard.press('e'));
  // The next field is looked at before the last one is written down.
  await eventually('what rea did, kept', async () => (await stored(rea.page, batch.journey)).waiting >= 5);
  await eventually('what rob did, kept', async () => (await stored(rob.page, batch.journey)).waiting === 4);

  await mend(rea);
  await eventually('what rea did, on the server', async () => (await stored(rea.page, batch.journey)).waiting === 0);
  await mend(rob);
  await eventually('what rob did, on the server', async () => (await stored(rob.page, batch.journey)).waiting === 0);
  const story = async (page: Page): Promise<string[]> =>
    (await stored(page, batch.journey)).lines
      .flatMap((line) =>
        correctionsOf(line).map((one) => `${one.field} ${one.value} ${one.username} ${one.reason ?? ''}`.trim()),
      )
      // What was undone may have been on its way already: then it was said, and taken back.
      .filter((line) => line !== `q1 ${wrong} rea` && line !== 'q1 null rea');
  await eventually(
    'every decision on both devices',
    async () => (await story(rea.page)).length === 9 && (await story(rob.page)).length === 9,
  );
  const truth = sample.pages[1]?.truth;
  expect((await story(rea.page)).slice(2)).toEqual([
    `q1 ${right} rea`,
    'q2 C rea a clear mark',
    'q3  rea',
    `q1 ${wrong} rob`,
    'q2 C rob',
    'q4 D rob',
    `${other.split(' ')[1]} E rob`,
  ]);
  expect((await story(rea.page))[1]).toBe(`variant ${truth?.variant} rea`);

  // The conflict comes first, with both values and both names, and a person settles it.
  await open(rea.page, '/review');
  await open(rea.page, `/review/${batch.journey}`);
  await eventually('the conflict first', async () => (await lookedAt(rea.page)) === `${sheet} q1 conflict`);
  await rea.page.getByText('Two people disagree').waitFor();
  const said = (n: number) => rea.page.locator(`[data-take="${n}"]`).innerText();
  expect([await said(1), await said(2)].map((words) => words.split('\n')[0])).toEqual([
    `rea says ${right}`,
    `rob says ${wrong}`,
  ]);
  await look(rea.page, 'a conflict');
  await onward(rea.page, () => rea.page.keyboard.press('1'));
  const doubtful = async (page: Page) => (await stored(page, batch.journey)).lines.map((line) => line[22]);
  await eventually('the conflict settled on both devices', async () => {
    const [one, two] = await Promise.all([doubtful(rea.page), doubtful(rob.page)]);
    // 42 fields less roll, variant, q1, q2, q3 and q4; and one less on the last sheet.
    return one.join() === '0,36,42,41,0,0' && two.join() === one.join();
  });

  // The server scores by the new key beside all of this, and tells the devices when it has.
  await eventually('every page by the new key, here and there', async () =>
    (await stored(rob.page, batch.journey)).lines.slice(1).every((line) => line[15] === `${key_id}@2`),
  );
  const server = (await sheetsOf(batch.journey)).map((row) => `${row.page_index}: ${row.score}`).sort();
  expect(scoresOn(await stored(rea.page, batch.journey))).toEqual(server);
  expect(scoresOn(await stored(rob.page, batch.journey))).toEqual(server);

  const Entries = v.object({
    items: v.array(v.looseObject({ before: v.unknown(), after: v.unknown(), username: v.nullable(v.string()) })),
  });
  const { items } = await admin.call(Entries, 'GET', '/api/audit?action=correction.append');
  const About = v.looseObject({ sheet_id: v.number(), field: v.string(), value: v.nullable(v.string()) });
  const told = items.flatMap((entry) => {
    const before = v.parse(About, entry.before);
    if (String(before.sheet_id) !== sheet || before.field !== 'q1') return [];
    return [
      `${entry.username}: ${before.value} → ${v.parse(v.looseObject({ value: v.nullable(v.string()) }), entry.after).value}`,
    ];
  });
  const read = (await stored(rea.page, batch.journey)).lines[1]?.[12].split(' ')[0];
  // Oldest first, from where rea's last word on it was.
  expect(told.reverse().slice(-3)).toEqual([
    `rea: ${read} → ${right}`,
    `rob: ${right} → ${wrong}`,
    `rea: ${right} → ${right}`,
  ]);
});

test('a second reader is not shown what was read or decided, and what they say counts', async () => {
  const [rea, rob] = devices as [Device, Device];
  await open(rob.page, '/review');
  await open(rob.page, `/review/${batch.journey}`);
  await choose(rob.page, 'Second reading');
  await eventually('a second reading', async () => / second$/.test(await lookedAt(rob.page)));
  expect(await rob.page.locator('.review-panel').innerText()).not.toMatch(/Read as|\d% sure|\brea\b/);
  await look(rob.page, 'a second reading');
  await choose(rob.page, 'By page');
  await eventually('the variant', async () => {
    if (/ variant second$/.test(await lookedAt(rob.page))) return true;
    await onward(rob.page, () => rob.page.keyboard.press('ArrowRight'));
    return false;
  });
  const [sheet] = (await lookedAt(rob.page)).split(' ');
  const truth = sample.pages[1]?.truth?.variant ?? '';
  await onward(rob.page, () => rob.page.keyboard.press(truth === 'A' ? 'b' : 'a'));
  await eventually('the second reader’s word, on the first reader’s device', async () =>
    (await stored(rea.page, batch.journey)).lines
      .flatMap(correctionsOf)
      .some(({ field, username }) => field === 'variant' && username === 'rob'),
  );
  await open(rea.page, '/review');
  await open(rea.page, `/review/${batch.journey}`);
  await eventually(
    'that they disagree, on the first reader’s screen',
    async () => (await lookedAt(rea.page)) === `${sheet} variant conflict`,
  );
  await onward(rea.page, () => rea.page.keyboard.press('1'));
});

/** Whose sheet it is, and of which booklet: accepted as read, for without a booklet a sheet has no score. */
const isWhose = (field: string | undefined): boolean => field === 'roll' || field === 'variant';

test('a hundred doubtful marks by the keyboard alone', async () => {
  const [{ page }] = devices as [Device];
  await open(page, '/');
  await page.getByRole('heading', { name: 'Batches' }).waitFor();
  await goByKeys(page, 'g r', 'Review');
  await page.locator(`[data-batch="${batch.keys}"]`).waitFor();
  for (let i = 0; i < 60; i++) {
    if (await page.evaluate(() => document.activeElement?.textContent === 'keys.zip')) break;
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  const left = page.locator('.review-left');
  await page.locator('.review-left[data-left="126"]').waitFor();
  await left.getByText(/126 left; expect at most \d+ wrong in 10,000 after them/).waitFor();
  await onward(page, () => page.keyboard.press('s'));
  await onward(page, () => page.keyboard.press('u'));
  await page.getByText('1 waits for a supervisor').waitFor();
  await onward(page, () => page.keyboard.press('z'));
  for (let i = 0; i < 100; i++) {
    const [, field] = (await lookedAt(page)).split(' ');
    const key = isWhose(field) ? 'Space' : (['Space', 'b', '3', '-', 'd'][i % 5] ?? 'Space');
    await onward(page, () => page.keyboard.press(key));
  }
  await page.locator('.review-left[data-left="26"]').waitFor();
  await eventually('a hundred decisions on the server', async () => {
    const { lines, waiting } = await stored(page, batch.keys);
    const decided = lines
      .flatMap(correctionsOf)
      .filter(({ field, value }) => !field.startsWith('ask:') && value !== null);
    return waiting === 0 && decided.length === 100;
  });
  expect((await sheetsOf(batch.keys)).reduce((sum, { doubtful }) => sum + doubtful, 0)).toBe(26);
});

test('a hundred doubtful marks by fingers alone, and a group without a cover gets its task, without a network', async () => {
  const [, rob] = devices as [Device, Device];
  const { page } = rob;
  await page.locator('nav > a[href="/review"]').tap();
  await page.locator(`[data-batch="${batch.touch}"]`).getByText('1 group without a task').waitFor({ timeout: 90_000 });
  await page.getByRole('button', { name: 'Keep touch.zip on this device' }).tap();
  await page.locator(`[data-batch="${batch.touch}"]`).getByText('On this device').waitFor();
  // Its pictures are on the device too.
  await open(page, `/batches/${batch.touch}`);
  await page.locator('[data-keeping=whole]').waitFor();
  await page.locator('nav > a[href="/review"]').tap();
  await page.getByRole('link', { name: 'touch.zip' }).tap();
  await page.locator('.review-left[data-left="126"]').waitFor();
  await cut(rob);
  // Look-alikes first: all but one of those that are shown are right.
  await choose(page, 'Look-alikes');
  const first = page.locator('.alike-one').first();
  await first.locator('img').waitFor();
  const many = await page.locator('.alike-one').count();
  await first.tap();
  await page.locator('.alike-one[aria-pressed=true]').waitFor();
  await look(page, 'look-alikes');
  await tap(page, '[data-act=all-right]');
  await page.locator(`.review-left[data-left="${126 - (many - 1)}"]`).waitFor();
  await choose(page, 'One by one');
  for (let i = many - 1; i < 100; i++) {
    const [, field] = (await lookedAt(page)).split(' ');
    const how = isWhose(field)
      ? '[data-act=accept]'
      : ['[data-act=accept]', '[data-option=B]', '[data-act=blank]'][i % 3];
    await onward(page, () => tap(page, how ?? '[data-act=accept]'));
    if (i % 20 !== 0) continue;
    await onward(page, () => tap(page, '[data-act=undo]'));
    await onward(page, () => tap(page, '[data-act=accept]'));
  }
  await page.locator('.review-left[data-left="26"]').waitFor();
  await look(page, 'one by one');

  // Nothing is promised of sheets that have no score, and the tab says that something waits there.
  expect(await page.locator('.review-left').innerText()).not.toContain('at most');
  await choose(page, 'Groups and pages 1');
  const group = page.locator('[data-group="0"]');
  await group.getByText('before the first cover').waitFor();
  await look(page, 'groups that wait');
  const task = sample.tasks[0]?.task_id ?? '';
  await group.getByLabel('Task of these sheets').fill(task);
  await group.getByRole('button', { name: 'Give this task' }).tap();
  await group.getByText('Not sent yet').waitFor();
  await mend(rob);
  await eventually('the group in its place', async () => {
    const { items } = await admin.call(GroupList, 'GET', `/api/batches/${batch.touch}/groups`);
    return items.length === 1 && items[0]?.state === 'ok' && items[0].task_id === task && items[0].settled === 'task';
  });
  await eventually('a score of each of its sheets', async () =>
    (await sheetsOf(batch.touch)).every(({ score }) => score !== null),
  );
  expect((await sheetsOf(batch.touch)).reduce((sum, { doubtful }) => sum + doubtful, 0)).toBe(26);
});

test('axe found nothing on any of these screens', () => {
  expect(found).toEqual([]);
});
