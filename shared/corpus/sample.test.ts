import { expect, test } from 'vitest';
import { seeded } from './random.ts';
import { sampleBatch } from './sample.ts';

const batch = sampleBatch({ seed: 1, covers: 3, sheets: 51, questions: 150 });

test('a batch has its covers before their sheets, in file order', () => {
  expect(batch.pages).toHaveLength(54);
  expect(batch.pages.map(({ name }) => name)).toEqual([...batch.pages.map(({ name }) => name)].sort());
  expect(batch.pages.filter(({ kind }) => kind === 'cover').map(({ task_id }) => task_id)).toEqual(
    batch.tasks.map(({ task_id }) => task_id),
  );
  let task = '';
  for (const page of batch.pages) {
    if (page.kind === 'cover') task = page.task_id;
    expect(page.task_id).toBe(task);
  }
  for (const { task_id } of batch.tasks) expect(task_id).toMatch(/^\d{8}$/);
});

test('no two sheets are alike: rolls and answers differ, some are blank, some double', () => {
  const truths = batch.pages.flatMap(({ truth }) => (truth ? [truth] : []));
  expect(truths).toHaveLength(51);
  expect(new Set(truths.map(({ roll }) => roll)).size).toBe(51);
  expect(new Set(truths.map(({ answers }) => answers.join())).size).toBe(51);
  for (const { roll, answers } of truths) {
    expect(roll).toMatch(/^\d{8}$/);
    expect(answers).toHaveLength(150);
  }
  const all = truths.flatMap(({ answers }) => answers);
  expect(all.filter((answer) => answer === '').length).toBeGreaterThan(0.01 * all.length);
  expect(all.filter((answer) => answer.includes('|')).length).toBeGreaterThan(0.004 * all.length);
});

test('the same seed gives the same batch and the same pixels, another seed another', () => {
  const again = sampleBatch({ seed: 1, covers: 3, sheets: 51, questions: 150 });
  expect(again.tasks).toEqual(batch.tasks);
  expect(again.pages.map(({ truth }) => truth)).toEqual(batch.pages.map(({ truth }) => truth));
  expect(again.pages[1]!.draw(60).data.join()).toBe(batch.pages[1]!.draw(60).data.join());
  expect(sampleBatch({ seed: 2, covers: 3, sheets: 51, questions: 150 }).pages[1]!.truth).not.toEqual(
    batch.pages[1]!.truth,
  );
});

test('chance keeps to its bounds and its mean', () => {
  const random = seeded(9);
  const draws = Array.from({ length: 4000 }, () => random.normal());
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  expect(Math.abs(mean)).toBeLessThan(0.06);
  expect(Math.abs(variance - 1)).toBeLessThan(0.08);
  for (let i = 0; i < 1000; i++) expect(random.int(7)).toBeLessThan(7);
});
