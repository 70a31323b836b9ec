import { expect, test } from 'vitest';
import { createShortcuts } from './shortcuts.ts';

const press = (key: string, more = {}) => ({ key, ctrl: false, inField: false, at: 0, ...more });

test('two keys in a row are one shortcut, unless they are slow or typed into a field', () => {
  const type = createShortcuts(['g b', '/', 'mod+k', 'b']);
  expect([type(press('g')), type(press('b', { at: 500 }))]).toEqual([null, 'g b']);
  expect([type(press('g')), type(press('b', { at: 5_000 }))]).toEqual([null, 'b']);
  expect([type(press('g', { inField: true })), type(press('/', { inField: true }))]).toEqual([null, null]);
  expect(type(press('K', { ctrl: true, inField: true }))).toBe('mod+k');
});
