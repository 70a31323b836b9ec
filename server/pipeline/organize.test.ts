import { expect, test } from 'vitest';
import { groupPages, type PageSeen } from './organize.ts';

/** A batch as a line: `1`, `2` covers of task 1…, `?` a cover nobody can read, `s` sheet, `x` failed, `_` blank. */
const pages = (line: string): PageSeen[] =>
  [...line].map((c, page_index) => {
    if (c === 's') return { page_index, kind: 'sheet', cover_task: null };
    if (c === 'x') return { page_index, kind: null, cover_task: null };
    if (c === '_') return { page_index, kind: 'blank', cover_task: null };
    return { page_index, kind: 'cover', cover_task: c === '?' ? null : `0000000${c}` };
  });

/** `task@first:sheets/failed` a group, with its state when a person must look. */
const told = (line: string, typed: string | null = null): string[] =>
  groupPages(pages(line), typed).map(
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

test('[P2] a failed page counts as a failed sheet of its group', () => {
  expect(told('1sxs')).toEqual(['00000001@0:3/1']);
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
