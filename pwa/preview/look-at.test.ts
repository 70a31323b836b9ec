import { expect, test } from 'vitest';
import { type Looked, leftToServer, previewOf, twinsOf } from './look-at.ts';

/** `1` cover of task 1, `?` a cover nobody can read, `s` sheet, `u` one upside down, `x` failed, `_` blank. */
const looked = (line: string): Looked[] =>
  [...line].map((c, page_index) => ({
    page_index,
    name: `${page_index}.jpg`,
    kind: c === 's' || c === 'u' ? 'sheet' : c === 'x' ? null : c === '_' ? 'blank' : 'cover',
    task_id: /\d/.test(c) ? `0000000${c}` : null,
    orientation: c === 'u' ? 180 : 0,
    reason: c === 'x' ? 'damaged' : null,
  }));
const odd = (line: string) =>
  previewOf(looked(line), null, new Map(), new Map()).odd.map(({ what, pages }) => [what, pages]);

test('what is odd is told with its pages, what a person must decide first', () => {
  expect(odd('s1su_x?ss')).toEqual([
    ['cover-unread', [6]],
    ['before-cover', [0]],
    ['unreadable', [5]],
    ['turned', [3]],
    ['blank', [4]],
  ]);
  expect(odd('1ss2s')).toEqual([]);
});

test('[R3] a person’s word makes the groups that the server will make of it', () => {
  const groups = (settled: Parameters<typeof previewOf>[2]) =>
    previewOf(looked('1ss?ss'), null, settled, new Map()).groups.map(({ task_id, sheets, state }) => [
      task_id,
      sheets,
      state,
    ]);
  expect(groups(new Map())).toEqual([
    ['00000001', 2, 'ok'],
    [null, 2, 'unreadable-cover'],
  ]);
  expect(groups(new Map([[3, { what: 'task', task_id: '00000002' }]]))[1]).toEqual(['00000002', 2, 'ok']);
  expect(groups(new Map([[3, { what: 'join' }]]))).toEqual([['00000001', 4, 'ok']]);
});

test('[R3] a page that only the server can open is said to be that, and nothing is claimed of what follows it', () => {
  const pages = looked('1ssss2s').map(
    (page): Looked => (page.page_index === 3 ? { ...leftToServer(3, '3.pdf', 'several') } : page),
  );
  const { groups, odd, counted_until } = previewOf(pages, null, new Map(), new Map());
  expect(
    groups.map(({ task_id, sheets, failed_sheets, on_server, state }) => [
      task_id,
      sheets,
      failed_sheets,
      on_server,
      state,
    ]),
  ).toEqual([
    ['00000001', 2, 0, 0, 'ok'],
    [null, 1, 0, 1, 'ask-server'],
    ['00000002', 1, 0, 0, 'ok'],
  ]);
  expect(odd).toEqual([{ what: 'on-server', pages: [3] }]);
  // Its pages move all that comes behind it.
  expect(counted_until).toBe(3);
});

test('the same bytes twice are told by checksum and length', () => {
  const entry = (crc32: number, size = 9) => ({ crc32, size });
  expect([...twinsOf([entry(1), entry(2), entry(1), entry(1, 8)])]).toEqual([[2, 0]]);
});
