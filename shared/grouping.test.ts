import { expect, test } from 'vitest';
import { groupPages, type PageSeen, type Settled } from './grouping.ts';

/** A batch as a line: `1`, `2` covers of task 1…, `?` a cover nobody can read, `s` sheet, `d` damaged sheet, `x` failed,
 *  `_` blank. */
const pages = (line: string): PageSeen[] =>
  [...line].map((c, page_index) => {
    if (c === 's') return { page_index, kind: 'sheet', cover_task: null };
    if (c === 'd') return { page_index, kind: 'damaged-sheet', cover_task: null };
    if (c === 'x') return { page_index, kind: null, cover_task: null };
    if (c === '_') return { page_index, kind: 'blank', cover_task: null };
    return { page_index, kind: 'cover', cover_task: c === '?' ? null : `0000000${c}` };
  });

/** `task@first:sheets/failed` a group, with its state when a person must look. */
const told = (line: string, typed: string | null = null, settled: [number, Settled][] = []): string[] =>
  groupPages(pages(line), typed, new Map(settled)).map(
    (g) => `${g.task_id ?? '-'}@${g.first_page}:${g.sheets}/${g.failed_sheets}${g.state === 'ok' ? '' : ` ${g.state}`}`,
  );

test('a cover opens a group, up to the next cover', () => {
  expect(told('1ss2s')).toEqual(['00000001@0:2/0', '00000002@3:1/0']);
});

test('[R3] an unreadable cover opens a group of its own, held for a person', () => {
  expect(told('1ss?ss2s')).toEqual(['00000001@0:2/0', '-@3:2/0 unreadable-cover', '00000002@6:1/0']);
});

test('sheets before the first cover are held, not lost', () => {
  expect(told('ss1s')).toEqual(['-@0:2/0 no-cover', '00000001@2:1/0']);
});

test('[P2] a damaged sheet, or a failed page behind which nothing is at stake, is a failed sheet of its group', () => {
  expect(told('1sds')).toEqual(['00000001@0:3/1']);
  expect(told('1sx2s')).toEqual(['00000001@0:2/1', '00000002@3:1/0']);
  expect(told('1sxd_')).toEqual(['00000001@0:3/2']);
});

test('[R3] a failed page may have been a cover: what follows it up to the next cover is held', () => {
  expect(told('1sxss2s')).toEqual(['00000001@0:1/0', '-@2:3/1 maybe-cover', '00000002@5:1/0']);
});

test('one failed page after another is one question; with a sheet between them they are two', () => {
  expect(told('1sxxs')).toEqual(['00000001@0:1/0', '-@2:3/2 maybe-cover']);
  expect(told('1sxsxs')).toEqual(['00000001@0:1/0', '-@2:2/1 maybe-cover', '-@4:2/1 maybe-cover']);
});

test('the same task twice is two groups of that task', () => {
  expect(told('1s1s')).toEqual(['00000001@0:1/0', '00000001@2:1/0']);
});

test('a person gives a group its task, and that stays when its cover is read after all', () => {
  const said: [number, Settled][] = [[2, { what: 'task', task_id: '00000007' }]];
  expect(told('1s?ss', null, said)).toEqual(['00000001@0:1/0', '00000007@2:2/0']);
  expect(told('1s2ss', null, said)).toEqual(['00000001@0:1/0', '00000007@2:2/0']);
});

test('a person joins a group to the one before it: what failed was a sheet, what was read no cover', () => {
  expect(told('1sxss', null, [[2, { what: 'join' }]])).toEqual(['00000001@0:4/1']);
  expect(told('1s1s', null, [[2, { what: 'join' }]])).toEqual(['00000001@0:2/0']);
});

test('a person splits a group where a cover is missing, and sets sheets aside', () => {
  const said: [number, Settled][] = [
    [2, { what: 'task', task_id: '00000002' }],
    [3, { what: 'set-aside' }],
  ];
  expect(told('1sss', null, said)).toEqual(['00000001@0:1/0', '00000002@2:1/0', '-@3:1/0 set-aside']);
  expect(told('ssss', '00000009', said)).toEqual(['00000009@0:2/0', '00000002@2:1/0', '-@3:1/0 set-aside']);
});

test('a person corrects the task that was typed for all', () => {
  expect(told('ss', '00000009', [[0, { what: 'task', task_id: '00000008' }]])).toEqual(['00000008@0:2/0']);
});

test('blank pages belong to nobody', () => {
  expect(told('_1s_s_')).toEqual(['00000001@1:2/0']);
});

test('a typed task holds for every page, covers or not', () => {
  expect(told('ss1s', '12345678')).toEqual(['12345678@0:3/0']);
});

test('a cover without sheets is a group of none', () => {
  expect(told('12s')).toEqual(['00000001@0:0/0', '00000002@1:1/0']);
});
