import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import { groupsToRead, pagesAJob } from './read-pages.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sheaf-groups-'));
let db: Database;
let batches = 0;

beforeAll(async () => {
  db = await openSqlite(path.join(folder, 'test.sqlite'));
  await db.migrate();
});
afterAll(async () => {
  await db.close();
  fs.rmSync(folder, { recursive: true });
});

/** A batch whose pages are in these states. */
async function batchOf(states: readonly string[]): Promise<{ batch_id: string; total_pages: number }> {
  batches += 1;
  const batch_id = `b${batches}`;
  const page = {
    name: '',
    file_offset: 0,
    file_end: 1,
    compressed_size: 1,
    size: 1,
    method: 0,
    crc32: null,
    part: null,
  };
  const told = { kind: null, attempts: 0, started_at: null, finished_at: null, duration_ms: null, error_message: null };
  const place = { group_index: null, task_id: null };
  const rows = states.map((state, page_index) => ({
    ...page,
    ...told,
    ...place,
    sheet_id: batches * 1_000_000 + page_index,
    batch_id,
    page_index,
    state,
  }));
  await db.write((tx) => db.insertNew(tx, 'pages', rows));
  return { batch_id, total_pages: states.length };
}

test('[P1] every page is dealt to exactly one job, and the same way each time', async () => {
  for (const total of [1, 4, 5, 63, 64, 65, 515]) {
    const batch = await batchOf(Array.from({ length: total }, () => 'waiting'));
    const dealt = await groupsToRead(db, batch);
    expect(await groupsToRead(db, batch)).toEqual(dealt);
    const pages = dealt.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    expect(pages).toEqual(Array.from({ length: total }, (_, i) => i));
    expect(dealt.map(({ place }) => place)).toEqual(dealt.map((_, i) => i));
  }
});

test('a group goes out while it holds an unread page, and not before all of it has landed', async () => {
  const state = fc.constantFrom('absent', 'waiting', 'reading', 'done', 'done', 'failed');
  await fc.assert(
    fc.asyncProperty(fc.array(state, { minLength: 1, maxLength: 90 }), async (states) => {
      const size = pagesAJob(states.length);
      const expected: number[] = [];
      for (let first = 0; first < states.length; first += size) {
        const group = states.slice(first, first + size);
        if (!group.includes('absent') && (group.includes('waiting') || group.includes('reading'))) expected.push(first);
      }
      expect((await groupsToRead(db, await batchOf(states))).map(({ first }) => first)).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});

test('a small batch is shared by many workers, a big one is not cut to crumbs', () => {
  expect(54 / pagesAJob(54)).toBeGreaterThanOrEqual(8);
  expect(11_515 / pagesAJob(11_515)).toBeLessThan(400);
});
