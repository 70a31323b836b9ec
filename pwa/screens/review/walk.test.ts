import { expect, test } from 'vitest';
import type { Doubt } from './queue.ts';
import { comeBack, currentOf, heard, leave, listOf, START, skip, step } from './walk.ts';

const doubt = (key: string): Doubt => ({ key }) as Doubt;
const sort = (all: Doubt[]): Doubt[] => all.sort((a, b) => (a.key < b.key ? -1 : 1));
const stored = ['a', 'b', 'c', 'd'].map(doubt);
const keys = (list: readonly Doubt[]): string => list.map(({ key }) => key).join('');

test('what is decided here is gone at once, and the next one is looked at', () => {
  let walk = step(stored, START, 1);
  expect(currentOf(stored, walk)?.key).toBe('b');
  walk = leave(stored, walk, ['b']);
  const list = listOf(stored, walk, sort);
  expect([keys(list), currentOf(list, walk)?.key]).toEqual(['acd', 'c']);
  // The last one leads back to the first that is left.
  walk = leave(list, step(list, walk, 1), ['d']);
  expect(currentOf(listOf(stored, walk, sort), walk)?.key).toBe('a');
});

test('several go at once, and nothing is left in the end', () => {
  const walk = leave(stored, START, ['a', 'b', 'c', 'd']);
  const list = listOf(stored, walk, sort);
  expect([list, currentOf(list, walk)]).toEqual([[], null]);
});

test('what is skipped comes last', () => {
  let walk = skip(stored, START);
  let list = listOf(stored, walk, sort);
  expect([keys(list), currentOf(list, walk)?.key]).toEqual(['bcda', 'b']);
  walk = skip(list, walk);
  list = listOf(stored, walk, sort);
  expect([keys(list), currentOf(list, walk)?.key]).toEqual(['cdab', 'c']);
});

test('what is undone is back in its place before the store shows it, and looked at', () => {
  const decided = leave(stored, step(stored, START, 1), ['b']);
  const told = stored.filter(({ key }) => key !== 'b');
  const undone = comeBack(heard(decided, told), [doubt('b')]);
  const list = listOf(told, undone, sort);
  expect([keys(list), currentOf(list, undone)?.key]).toEqual(['abcd', 'b']);
  expect(heard(undone, stored).back).toEqual([]);
});

test('a new question to a field that was decided here is seen when the store has caught up', () => {
  const walk = leave(stored, START, ['a']);
  expect(heard(walk, stored)).toBe(walk);
  const caught = heard(walk, stored.slice(1));
  expect(keys(listOf(stored, caught, sort))).toBe('abcd');
});

test('what somebody else decides under one’s eyes gives way to what stands in its place', () => {
  const walk = step(stored, START, 1);
  expect(currentOf([doubt('a'), doubt('c')], walk)?.key).toBe('c');
});
