// Tasks and keys from outside, against a running Sheaf: a batch that comes before its tasks, two people who publish, an
// impact that is looked at first, and scores that follow.
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, signIn } from '../server/cli/client.ts';
import { parseCsv } from '../server/cli/csv.ts';
import { GroupList, SheetDetail, SheetList } from '../shared/protocol/batch.ts';
import {
  KeyAnswer,
  type KeyContent,
  KeyImpact,
  KeyPasted,
  KeyValidation,
  KeyVersions,
  PublishAnswer,
  TaskAnswer,
  TaskList,
} from '../shared/protocol/key.ts';
import { Problem } from '../shared/protocol/problem.ts';
import { scorer } from '../shared/scoring/score.ts';
import { drawExam, type Exam, packZip } from './support/exam.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const CENTRE = 'North centre';
const PASSWORD = 'a pencil of graphite';
let sheaf: Sheaf;
let admin: Client;
let [sue, sam]: Client[] = [];
let exam: Exam;
let batch_id: string;

const AnyObject = v.looseObject({});
async function supervisor(username: string): Promise<Client> {
  await admin.call(AnyObject, 'POST', '/api/users', {
    username,
    password: PASSWORD,
    role: 'supervisor',
    centres: [CENTRE],
    must_change_password: false,
  });
  return signIn(sheaf.url, username, PASSWORD);
}

beforeAll(async () => {
  sheaf = await startSheaf();
  admin = await sheaf.client();
  await admin.call(AnyObject, 'POST', '/api/centres', { centre_id: CENTRE, name: CENTRE });
  sue = await supervisor('sue');
  sam = await supervisor('sam');
  exam = await drawExam({ seed: 6, covers: 2, sheets: 8, questions: 40, dpi: 150 });
});
afterAll(async () => {
  await sheaf?.stop();
});

const refused = async (client: Client, method: string, path: string, body?: object) => {
  const response = await client.request(method, path, body);
  expect(response.ok).toBe(false);
  return v.parse(Problem, await response.json());
};
const sheets = async () =>
  (await admin.call(SheetList, 'GET', `/api/batches/${batch_id}/sheets?limit=100`)).items.filter(
    ({ status }) => status === 'read',
  );
const contentOf = (i: number): KeyContent => ({ ...exam.tasks[i]!.key, template_id: exam.template_id });

test('a batch whose tasks nobody has made is read to its end, and its sheets wait', async () => {
  const sent = await admin.send(await packZip(exam.scans), { name: 'early.zip', upload_type: 'zip_with_qr' });
  batch_id = sent.batch_id;
  const batch = await admin.waitForBatch(batch_id, 240_000);
  expect(batch).toMatchObject({ status: 'completed', failed_sheets: 0, total_sheets: 8 });
  expect((await sheets()).map(({ unscored, score }) => [unscored, score])).toEqual(Array(8).fill(['no-task', null]));
  const { items } = await admin.call(GroupList, 'GET', `/api/batches/${batch_id}/groups`);
  expect(items.map(({ state }) => state)).toEqual(['no-task', 'no-task']);
});

test('a key is typed in, told what is wrong with it, put right, and published by the other supervisor', async () => {
  const typed = `1. B\n2. F\n4. A or C\n41. E`;
  const pasted = await sue!.call(KeyPasted, 'POST', '/api/answer-keys/parse', {
    text: typed,
    template_id: exam.template_id,
  });
  expect(pasted.content?.answers).toMatchObject({ '': expect.arrayContaining(['B', 'F', 'A C', 'E']) });
  const said = pasted.problems.map(({ message }) => message);
  expect(said).toContain('Question 3 is missing, 41 is there.');
  expect(said).toContain('question 2: option F of A–E.');
  expect(said).toContain('question 41 of 40: the sheet has no such question.');

  const key_id = 'first';
  const wrong = contentOf(0);
  wrong.answers = { ...wrong.answers, A: ['F', ...wrong.answers.A!.slice(1)] };
  const draft = await sue!.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id, content: wrong });
  expect(draft).toMatchObject({ version: 1, state: 'draft', rev: 1 });
  expect(await sue!.call(KeyValidation, 'POST', `/api/answer-keys/${key_id}/validate`)).toMatchObject({
    publishable: false,
    problems: [{ code: 'option-unknown', variant: 'A', question: 1 }],
  });
  const edit = { content: contentOf(0), base_rev: 1 };
  expect(await sue!.call(KeyAnswer, 'PATCH', `/api/answer-keys/${key_id}`, edit)).toMatchObject({ rev: 2 });
  expect(await refused(sue!, 'POST', `/api/answer-keys/${key_id}/publish`)).toMatchObject({ code: 'SECOND_PERSON' });

  // the other supervisor knows of the key once a task of their centre goes by it; its sheets still wait
  const [{ task_id }] = exam.tasks as [Exam['tasks'][number]];
  const task = { task_id, exam: 'Spring', centre: CENTRE, template_id: exam.template_id, key_id };
  await sue!.call(TaskAnswer, 'POST', '/api/tasks', task);
  expect((await sheets()).filter((sheet) => sheet.task_id === task_id).map(({ unscored }) => unscored)).toEqual(
    Array(4).fill('no-key'),
  );
  const published = await sam!.call(PublishAnswer, 'POST', `/api/answer-keys/${key_id}/publish`, { rev: 2 });
  expect(published).toMatchObject({ version: 1, state: 'published', batches: 1, sheets: 4 });
});

test('scores are there at once, of that task alone, and equal what was drawn', async () => {
  const [first, second] = exam.tasks;
  for (const sheet of await sheets()) {
    if (sheet.task_id === second!.task_id) {
      expect(sheet).toMatchObject({ score: null, unscored: 'no-task' });
      continue;
    }
    const { truth } = exam.scans.find(({ name }) => name === sheet.name)!;
    const { roll, variant, answers } = truth!;
    const drawn = { roll, variant, values: answers, doubtful: 0, doubtful_unlisted: 1 };
    const { score, max_score, correct } = scorer(first!.key).score(drawn);
    expect(sheet).toMatchObject({ score, max_score, correct, unscored: null });
  }
});

test('the impact of the next version is what publishing it does, and the old version stays', async () => {
  const next = contentOf(0);
  next.items = Object.keys(next.answers).map((variant) => ({ variant, question: 1, kind: 'bonus' as const }));
  await sam!.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id: 'first', content: next });
  const impact = await sue!.call(KeyImpact, 'POST', '/api/answer-keys/first/versions/latest/impact', { cut_score: 20 });
  const before = new Map((await sheets()).map(({ sheet_id, score }) => [sheet_id, score]));
  await sue!.call(PublishAnswer, 'POST', '/api/answer-keys/first/publish');
  const after = (await sheets()).filter(({ score }) => score !== null);
  const moved = after.filter(({ sheet_id, score }) => score !== before.get(sheet_id));
  expect(impact).toMatchObject({ version: 2, sheets: 4, sheets_changed: moved.length });
  for (const { sheet_id, before: was, after: is } of impact.biggest_moves) {
    expect([was, is]).toEqual([before.get(sheet_id), after.find((sheet) => sheet.sheet_id === sheet_id)?.score]);
  }
  const detail = await admin.call(SheetDetail, 'GET', `/api/batches/${batch_id}/sheets/${after[0]!.sheet_id}`);
  expect(detail).toMatchObject({ key_version: 2 });
  expect(detail.answers[0]).toMatchObject({ outcome: 'bonus', points: 1 });
  const { items } = await sue!.call(KeyVersions, 'GET', '/api/answer-keys/first/versions');
  expect(items.map(({ version, state }) => [version, state])).toEqual([
    [2, 'published'],
    [1, 'published'],
  ]);
  expect((await sue!.call(KeyAnswer, 'GET', '/api/answer-keys/first/versions/1')).content).toEqual(contentOf(0));
  const csv = await sue!.text('/api/answer-keys/first/versions/2/export?format=csv');
  expect(parseCsv(csv).filter(({ kind }) => kind === 'bonus')).toHaveLength(Object.keys(next.answers).length);
  const again = await sue!.call(KeyPasted, 'POST', '/api/answer-keys/parse', { text: csv });
  expect(again.content?.answers).toEqual(next.answers);
});

test('a task that is made, found and changed takes its sheets along', async () => {
  const [, second] = exam.tasks;
  const { task_id } = second!;
  const task = { task_id, exam: 'Spring', centre: CENTRE, template_id: exam.template_id, key_id: null, packet: 'P-17' };
  const made = await sam!.call(TaskAnswer, 'POST', '/api/tasks', task);
  expect((await sam!.call(TaskList, 'GET', '/api/tasks?search=p-17')).items).toEqual([made]);
  // twice is once; over another it is refused
  expect(await sam!.call(TaskAnswer, 'POST', '/api/tasks', task)).toMatchObject({ packet: 'P-17' });
  expect(await refused(sam!, 'POST', '/api/tasks', { ...task, packet: 'P-18' })).toMatchObject({ code: 'CONFLICT' });
  await sue!.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id: 'second', content: contentOf(1) });
  // sue's own key; sam may not see it before a task of the centre names it
  expect(await refused(sam!, 'GET', '/api/answer-keys/second')).toMatchObject({ code: 'NOT_FOUND' });
  await sue!.call(TaskAnswer, 'PATCH', `/api/tasks/${task_id}`, { key_id: 'second', base_rev: made.rev });
  expect(await refused(sue!, 'PATCH', `/api/tasks/${task_id}`, { packet: null, base_rev: made.rev })).toMatchObject({
    code: 'CONFLICT',
  });
  await sam!.call(PublishAnswer, 'POST', '/api/answer-keys/second/publish');
  expect((await sheets()).every(({ score }) => score !== null)).toBe(true);
});
