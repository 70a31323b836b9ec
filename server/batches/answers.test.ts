import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { storeExam } from '../../e2e/support/stored-exam.ts';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import { dropStrayAnswers, storeAnswers } from './answers.ts';

let folder: string;
let db: Database;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sheaf-answers-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  await storeExam(db, { seed: 1, sheets: 3, packet: 3, questions: 40, booklets: 1, batch_no: 7, answersIn: folder });
});
afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

const file = async (...rows: [sheet: number, question: number, value: string][]): Promise<string> => {
  const name = path.join(folder, 'rows.csv');
  await writeFile(name, rows.map(([sheet, question, value]) => `${sheet},${question},"${value}",1,""\n`).join(''));
  return name;
};
const stored = async (batch_no: number): Promise<string[]> =>
  (
    await db.sql
      .selectFrom('answers')
      .selectAll()
      .where('sheet_id', '>=', batch_no * 1_000_000)
      .where('sheet_id', '<', (batch_no + 1) * 1_000_000)
      .orderBy('sheet_id')
      .orderBy('question')
      .execute()
  ).map(({ sheet_id, question, value }) => `${sheet_id % 1_000_000}.${question} ${value}`);

test('[P1] answers stored twice are there once, in place of what was there before', async () => {
  const first = await file([8_000_000, 1, 'A'], [8_000_000, 2, 'B'], [8_000_900, 1, 'C'], [8_999_999, 1, 'E']);
  expect(await storeAnswers(db, { batch_no: 8 }, first)).toBe(4);
  const second = await file([8_000_000, 1, 'A'], [8_000_700, 1, 'D']);
  for (let run = 0; run < 2; run++) {
    expect(await storeAnswers(db, { batch_no: 8 }, second)).toBe(2);
    expect(await stored(8)).toEqual(['0.1 A', '700.1 D']);
  }
});

test('answers that cannot be stored leave those that were there', async () => {
  const before = await stored(7);
  const twice = await file([7_000_001, 1, 'A'], [7_000_001, 1, 'A']);
  await expect(storeAnswers(db, { batch_no: 7 }, twice)).rejects.toThrow();
  expect(before).toHaveLength(3 * 40);
  expect(await stored(7)).toEqual(before);
});

test('[P1] answers that a crash has left of no batch go at the next start, and no others', async () => {
  await storeAnswers(db, { batch_no: 6 }, await file([6_000_000, 1, 'A'], [6_999_999, 3, 'B']));
  await storeAnswers(db, { batch_no: 9 }, await file([9_500_000, 1, 'A']));
  const before = await stored(7);
  await dropStrayAnswers(db);
  expect(await stored(6)).toEqual([]);
  expect(await stored(8)).toEqual([]);
  expect(await stored(9)).toEqual([]);
  expect(await stored(7)).toEqual(before);
});
