// biome-ignore-all lint/performance/useDomNodeTextContent: what a person sees is asked for, not what the document holds
// The office in the app, in real Chromium: a key is pasted without a network and published by a second person, a batch
// that nobody had made a task for gets its scores, a user comes and goes, and everybody can use all of it.
import type { Locator, Page } from 'playwright-core';
import * as v from 'valibot';
import { beforeAll, expect, test } from 'vitest';
import { type Client, signIn as signInClient } from '../server/cli/client.ts';
import { KeyAnswer, TaskAnswer } from '../shared/protocol/key.ts';
import { keyCsv } from '../shared/scoring/paste.ts';
import { appSuite } from './app-suite.ts';
import { DESKTOP, openApp, openTablet, signIn, syncSays, TABLET } from './browser.ts';
import { complaintsAt } from './support/axe.ts';
import { type Exam, packZip } from './support/exam.ts';
import { eventually } from './support/places.ts';

const AnyObject = v.looseObject({});
const CENTRE = 'North centre';
const PASSWORD = 'a pencil of graphite';
const suite = appSuite({ seed: 9, sheets: 6, announced: false });
beforeAll(async () => {
  await suite.client.call(AnyObject, 'POST', '/api/centres', { centre_id: CENTRE, name: CENTRE });
});
const found: string[] = [];

async function supervisor(username: string): Promise<Client> {
  const user = { username, password: PASSWORD, role: 'supervisor', centres: [CENTRE], must_change_password: false };
  await suite.client.call(AnyObject, 'POST', '/api/users', user);
  return signInClient(suite.sheaf.url, username, PASSWORD);
}

/** Writes down what axe finds: by day on a tablet, by night on a desktop. */
async function look(page: Page, screen: string): Promise<void> {
  for (const [colorScheme, viewport] of [
    ['light', TABLET],
    ['dark', DESKTOP],
  ] as const) {
    // Colours that are on their way from one theme to the other are nobody's.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    found.push(...(await complaintsAt(page, `${screen}, ${colorScheme}, ${viewport.width}`, viewport)));
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(TABLET);
}

const holds = (field: Locator, value: string) =>
  eventually(`a field with ${value}`, async () => (await field.inputValue()) === value);

const place = (page: Page, name: string) =>
  page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }).click();

async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'sign out' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User name').waitFor();
}

test('a key pasted without a network arrives as a draft, the second supervisor publishes it, and waiting sheets get scores', async () => {
  const sue = await supervisor('sue');
  await supervisor('sam');
  const [{ task_id, key }] = suite.exam.tasks as [Exam['tasks'][number]];
  const sent = await sue.send(await packZip(suite.exam.scans), { name: 'early.zip', upload_type: 'zip_with_qr' });

  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, { username: 'sue', password: PASSWORD });
  expect(await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Users' }).count()).toBe(0);
  await place(page, 'Answer keys');
  await page.getByText('No answer keys yet.').waitFor();
  await look(page, 'no keys');
  suite.line.cut();
  // The browser says so too, and the app asks at once instead of at its next knock.
  await suite.tablet.context.setOffline(true);
  await syncSays(page, 'Offline since');

  // Typed wrong first, and told so while nothing but this tablet knows of it.
  await page.getByRole('link', { name: 'New key' }).click();
  await page.getByLabel('Name of the key').fill('spring');
  await page.getByLabel('Answers as text').fill('1. B\n2. F\n4. A or C\nhello there');
  await page.getByRole('button', { name: 'Read into the grid' }).click();
  await page.getByText('Line 4 cannot be read').waitFor();
  await page.getByLabel('Sheet').selectOption(suite.exam.template_id);
  await page.getByText('question 2: option F of A–E.').waitFor();
  await holds(page.getByLabel('Question 4', { exact: true }), 'A / C');
  await look(page, 'new key with problems');
  await page.getByLabel('Answers as text').fill(keyCsv(key));
  await page.getByRole('button', { name: 'Read into the grid' }).click();
  await page.getByText('40 questions read.').waitFor();
  const cell = page.getByLabel('Booklet A, question 1', { exact: true });
  await holds(cell, key.answers.A?.[0] ?? '');
  await cell.fill('bonus');
  await page.getByLabel('Booklet A, question 2', { exact: true }).focus();
  await cell.fill(key.answers.A?.[0] ?? '');
  await page.getByText('No problem found.').waitFor();
  await page.getByRole('button', { name: 'Save draft' }).click();
  await page.getByText('Kept on this device.').waitFor();
  await look(page, 'key that waits');
  await page.reload();
  await holds(cell, key.answers.A?.[0] ?? '');
  await place(page, 'Answer keys');
  await page.locator('[data-key=spring]').getByText('Not sent yet').waitFor();

  suite.line.mend();
  await suite.tablet.context.setOffline(false);
  await page.locator('[data-key=spring]').getByText('Draft 1').waitFor();
  const draft = await sue.call(KeyAnswer, 'GET', '/api/answer-keys/spring');
  expect(draft).toMatchObject({ version: 1, rev: 1, state: 'draft', content: { answers: key.answers } });
  await look(page, 'keys');

  // A task for the number that the covers carry: until then its sheets are read, and held.
  await sue.waitForBatch(sent.batch_id, 180_000);
  await place(page, 'Batches');
  await page.getByRole('link', { name: 'early.zip' }).click();
  await page.locator('.results').getByText('task not known').nth(5).waitFor();
  await page.getByText(`Task ${task_id} does not exist yet: 6 sheets wait for it.`).waitFor();
  await page
    .getByRole('link', { name: `Make task ${task_id}` })
    .first()
    .click();
  await page.getByRole('heading', { name: 'New task' }).waitFor();
  expect(await page.getByLabel('Task id').inputValue()).toBe(task_id);
  await place(page, 'Tasks');
  await page.getByText('No tasks yet.').waitFor();
  await page.getByRole('link', { name: 'New task' }).click();
  await page.getByRole('button', { name: 'Make this task' }).click();
  await page.getByText('A task id has exactly 8 digits.').waitFor();
  await look(page, 'new task with complaints');
  await page.getByLabel('Task id').fill(task_id);
  await page.getByLabel('Exam').fill('Spring exam');
  await page.getByLabel('Centre').fill(CENTRE);
  await page.getByLabel('Sheet', { exact: true }).selectOption(suite.exam.template_id);
  await page.getByLabel('Answer key').selectOption('spring');
  await page.getByRole('button', { name: 'Make this task' }).click();
  const row = page.locator(`[data-task="${task_id}"]`);
  await row.waitFor();
  await eventually('the task on the server', async () => (await sue.request('GET', `/api/tasks/${task_id}`)).ok);
  await look(page, 'tasks');
  await place(page, 'Answer keys');
  await page.getByRole('link', { name: 'spring' }).click();
  await page.getByText('You edited this draft last').waitFor();
  await place(page, 'Batches');
  await page.getByRole('link', { name: 'early.zip' }).click();
  await page.locator('.results').getByText('no key yet').first().waitFor();
  await signOut(page);

  await signIn(page, { username: 'sam', password: PASSWORD });
  await place(page, 'Answer keys');
  await page.getByRole('link', { name: 'spring' }).click();
  await page.getByLabel('Pass mark').fill('20');
  await page.getByRole('button', { name: 'Show the impact' }).click();
  await page.getByText('6 of 6').waitFor();
  await look(page, 'impact of a draft');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByRole('dialog').getByText('6 sheets of 6').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click();
  await page.getByText('Published 1', { exact: true }).waitFor();
  await look(page, 'published key');
  await place(page, 'Batches');
  await page.getByRole('link', { name: 'early.zip' }).click();
  await page.locator('.results tbody tr').nth(5).waitFor();
  // The server scores them again beside what it answers, and the tablet is told when it has.
  await eventually(
    'scores of all six',
    async () => (await page.locator('.results').getByText('no key yet').count()) === 0,
  );
  expect(await page.locator('.results tbody tr').count()).toBe(6);
});

test('a task that somebody else changed meanwhile is refused, kept, shown with the difference, and sent when a person says so', async () => {
  const base = { exam: 'Spring exam', centre: CENTRE, template_id: suite.exam.template_id, key_id: null };
  await suite.client.call(TaskAnswer, 'POST', '/api/tasks', { task_id: '11112222', ...base, packet: 'P-1' });
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await place(page, 'Tasks');
  await page.getByRole('link', { name: '11112222' }).click();
  suite.line.cut();
  await page.getByLabel('Packet').fill('P-2');
  await page.getByRole('button', { name: 'Save task' }).click();
  await page.locator('[data-task="11112222"]').getByText('Not sent yet').waitFor();
  await suite.client.call(TaskAnswer, 'PATCH', '/api/tasks/11112222', { packet: 'P-3' });
  await signOut(page);
  suite.line.mend();
  await signIn(page, suite.sheaf.admin);
  await page.getByText('1 needs attention').waitFor();
  await place(page, 'Tasks');
  await page.getByRole('link', { name: '11112222' }).click();
  await page.getByText('Somebody else has changed task 11112222').waitFor();
  await page.getByText('packet P-2, not P-3').waitFor();
  await look(page, 'refused task');
  await page.getByRole('button', { name: 'Send mine' }).click();
  await eventually(
    'the packet on the server',
    async () => (await suite.client.call(TaskAnswer, 'GET', '/api/tasks/11112222')).packet === 'P-2',
  );
  await page.getByText('Somebody else has changed').waitFor({ state: 'hidden' });
});

test('a user is made, signs in, is signed out from afar, and is disabled', async () => {
  const page = await openApp(suite.tablet.context, suite.line.url);
  await signIn(page, suite.sheaf.admin);
  await place(page, 'Users');
  await page.locator('[data-user=admin]').waitFor();
  await page.getByRole('link', { name: 'New user' }).click();
  await page.getByLabel('User name').fill('olga');
  await page.getByLabel('First password').fill('short');
  await page.getByRole('button', { name: 'Make this user' }).click();
  await page.getByText('use at least 10 characters').waitFor();
  await look(page, 'new user with a complaint');
  await page.getByLabel('First password').fill(PASSWORD);
  await page.getByLabel('Another centre').fill('East centre');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('button', { name: 'Make this user' }).click();
  await page.locator('[data-user=olga]').getByText('Operator').waitFor();
  await look(page, 'users');

  const theirs = await openTablet(suite.line.url);
  try {
    const own = await openApp(theirs.context, suite.line.url);
    await own.getByLabel('User name').fill('olga');
    await own.getByLabel('Password').fill(PASSWORD);
    await own.getByRole('button', { name: 'Sign in' }).click();
    await own.getByLabel('Present password').fill(PASSWORD);
    await own.getByLabel('New password', { exact: true }).fill('quiet river under stones');
    await own.getByLabel('New password again').fill('quiet river under stones');
    await own.getByRole('button', { name: 'Change it' }).click();
    await own.getByText('No batches yet.').waitFor();
    expect(await own.getByRole('link', { name: 'Answer keys' }).count()).toBe(0);

    await page.getByRole('link', { name: 'olga' }).click();
    await page.getByLabel('Role', { exact: true }).selectOption('reviewer');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Looks over doubtful sheets').waitFor();
    await page.locator('.device-list li').first().waitFor();
    await look(page, 'user');
    await page.getByRole('button', { name: 'Sign out Chrome on Linux' }).click();
    await page.getByText('Signed in nowhere.').waitFor();
    await own.reload();
    await own.getByText('Your session has ended.').waitFor();

    await own.getByRole('button', { name: 'Sign in' }).click();
    await own.getByLabel('Password').fill('quiet river under stones');
    await own.getByRole('button', { name: 'Sign in' }).click();
    await syncSays(own, 'Online');
    await page.getByRole('button', { name: 'Disable this user' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('button', { name: 'Let them sign in again' }).waitFor();
    await own.reload();
    await own.getByText('Your session has ended.').waitFor();
    await own.getByRole('button', { name: 'Sign in' }).click();
    await own.getByLabel('Password').fill('quiet river under stones');
    await own.getByRole('button', { name: 'Sign in' }).click();
    await own.getByRole('alert').waitFor();
  } finally {
    await theirs.close();
  }
  await place(page, 'Users');
  await page.locator('[data-user=olga]').getByText('Disabled').waitFor();
});

test('axe found nothing on any of these screens', () => {
  expect(found).toEqual([]);
});
