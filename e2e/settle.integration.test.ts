// Pages that nobody can place, from outside: what is held, how a person settles it, and that only what is affected is done
// again, also when pages are read again afterwards.
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { GroupList, type GroupRow, SheetList, type SheetRow } from '../shared/protocol/batch.ts';
import { TaskAnswer } from '../shared/protocol/key.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
let exam: Exam;
let batch_id: string;
const OTHER = '77000001';

beforeAll(async () => {
  sheaf = await startSheaf();
  client = await sheaf.client();
  exam = await drawExam({ seed: 4, covers: 3, sheets: 9, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  await client.call(TaskAnswer, 'POST', '/api/tasks', {
    task_id: OTHER,
    exam: 'Spring exam',
    centre: 'North centre',
    template_id: 'sheaf-60',
    key_id: `key-${exam.tasks[0]!.task_id}`,
  });
  const [first, , third] = exam.scans.filter(({ kind }) => kind === 'cover');
  // The first cover was not scanned, the third broke on its way.
  const entries = exam.scans
    .filter((scan) => scan !== first)
    .map((scan) => (scan === third ? { ...scan, bytes: scan.bytes.subarray(0, 2000) } : scan));
  const sent = await client.send(await packZip(entries), { name: 'held.zip', upload_type: 'zip_with_qr' });
  batch_id = sent.batch_id;
  await client.waitForBatch(batch_id, 240_000);
});
afterAll(async () => {
  await sheaf?.stop();
});

const groups = async (): Promise<GroupRow[]> =>
  (await client.call(GroupList, 'GET', `/api/batches/${batch_id}/groups`)).items;
const sheets = async (): Promise<SheetRow[]> =>
  (await client.call(SheetList, 'GET', `/api/batches/${batch_id}/sheets?limit=100`)).items;
const told = (rows: readonly GroupRow[]): string[] =>
  rows.map(({ task_id, sheets, state }) => `${task_id ?? '-'} ${sheets} ${state}`);
const settle = async (group: GroupRow | undefined, form: object): Promise<GroupRow[]> => {
  const address = `/api/batches/${batch_id}/groups/${group?.group_id}/settle`;
  return (await client.call(GroupList, 'POST', address, form)).items;
};
const newestAudit = async (action: string): Promise<Record<string, unknown>> => {
  const Entries = v.looseObject({ items: v.array(v.looseObject({ action: v.string(), after: v.unknown() })) });
  const { items } = await client.call(Entries, 'GET', `/api/audit?action=${action}`);
  return items.find((entry) => entry.action === action)?.after as Record<string, unknown>;
};

test('[R3] sheets without a cover, and behind a page that may have been one, are held and scored by nobody’s key', async () => {
  const [, two] = exam.tasks;
  expect(told(await groups())).toEqual(['- 3 no-cover', `${two!.task_id} 3 ok`, '- 4 maybe-cover']);
  const unplaced = (await sheets()).filter(({ task_id }) => task_id === null);
  expect(unplaced).toHaveLength(7);
  for (const sheet of unplaced) expect(sheet.score).toBeNull();
  expect((await client.status(batch_id)).status).toBe('completed_with_errors');
});

test('a person gives each its task: its sheets score, and no other result is written again', async () => {
  const [one, two, three] = exam.tasks;
  const [first] = await groups();
  await settle(first, { what: 'task', task_id: one!.task_id });
  // They were scored with the decision itself: for the whole batch nothing was left to write.
  expect(await newestAudit('batch.rescore')).toMatchObject({ changed: 0, sheets: 9 });
  const last = (await groups()).at(-1);
  const after = await settle(last, { what: 'task', task_id: three!.task_id });
  expect(told(after)).toEqual([`${one!.task_id} 3 ok`, `${two!.task_id} 3 ok`, `${three!.task_id} 4 ok`]);
  expect(after.map(({ settled }) => settled)).toEqual(['task', null, 'task']);
  const truth = new Map(exam.scans.map((scan) => [scan.name, scan]));
  for (const sheet of (await sheets()).filter(({ status }) => status === 'read')) {
    expect(sheet.task_id, sheet.name).toBe(truth.get(sheet.name)?.task_id);
    expect(sheet.score, sheet.name).not.toBeNull();
  }
  expect(await newestAudit('correction.append')).toMatchObject({ value: three!.task_id });
});

test('what a person said outlives that the pages are read again', async () => {
  const before = told(await groups());
  await client.request('POST', `/api/batches/${batch_id}/reprocess`, { what: 'failed' });
  await client.waitForBatch(batch_id, 240_000);
  expect(told(await groups())).toEqual(before);
});

test('a group is split, joined, set aside, and all of it taken back', async () => {
  const [one, two, three] = exam.tasks.map(({ task_id }) => task_id);
  const [first] = await groups();
  const split = await settle(first, { what: 'set-aside', from_page: first!.first_page + 2 });
  expect(told(split).slice(0, 2)).toEqual([`${one} 2 ok`, '- 1 set-aside']);
  const joined = await settle(split[2], { what: 'join' });
  expect(told(joined)).toEqual([`${one} 2 ok`, '- 4 set-aside', `${three} 4 ok`]);
  const back = await settle(joined[1], { what: 'as-read' });
  expect(told(back)).toEqual([`${one} 3 ok`, `${two} 3 ok`, `${three} 4 ok`]);
});

test('the same task twice says so, and a sheet printed for another template is scored by no key', async () => {
  const [one, two] = exam.tasks.map(({ task_id }) => task_id);
  const rows = await groups();
  const twice = await settle(rows[1], { what: 'task', task_id: one });
  expect(twice[1]?.notes).toEqual(['same-task']);
  await settle(twice[1], { what: 'task', task_id: OTHER });
  const group_id = twice[1]?.group_id;
  for (const sheet of (await sheets()).filter((row) => row.group_id === group_id))
    expect(sheet).toMatchObject({ score: null, unscored: 'other-template', task_id: OTHER });
  const back = await settle(twice[1], { what: 'as-read' });
  expect(back[1]).toMatchObject({ task_id: two, settled: null, notes: [] });
});

test('what cannot be is refused, by name', async () => {
  const rows = await groups();
  const refused = async (group_id: string | undefined, form: object): Promise<string> => {
    const answer = await client.request('POST', `/api/batches/${batch_id}/groups/${group_id}/settle`, form);
    return `${answer.status} ${((await answer.json()) as { detail: string }).detail}`;
  };
  expect(await refused(rows[0]?.group_id, { what: 'join' })).toMatch(/^409 .*first/);
  expect(await refused(rows[0]?.group_id, { what: 'set-aside', from_page: 99 })).toMatch(/^422 .*pages 0 to 2/);
  expect(await refused(rows[0]?.group_id, { what: 'task', task_id: '12' })).toMatch(/^422 .*8 digits/);
  expect(await refused('1-99', { what: 'as-read' })).toMatch(/^404 /);
});
