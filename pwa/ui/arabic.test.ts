import { afterEach, expect, test } from 'vitest';
import { mediaWords } from '../media/words.ts';
import { batchWords } from '../screens/batch/words.ts';
import { listWords } from '../screens/batches/words.ts';
import { heldWords } from '../screens/held-words.ts';
import { keyWords } from '../screens/keys/words.ts';
import { previewWords } from '../screens/new-batch/preview-words.ts';
import { newWords } from '../screens/new-batch/words.ts';
import { pendingWords } from '../screens/pending-words.ts';
import { queueWords } from '../screens/queue/words.ts';
import { reviewWords } from '../screens/review/words.ts';
import { sheetWords } from '../screens/sheet/words.ts';
import { signInWords } from '../screens/sign-in/words.ts';
import { taskWords } from '../screens/tasks/words.ts';
import { userWords } from '../screens/users/words.ts';
import { closedWords, settingsWords, shellWords } from '../screens/words.ts';
import { arabic } from './arabic.ts';
import { bytes, duration, roughly } from './format.ts';
import { speak } from './language.ts';
import { partWords } from './part-words.ts';
import { refusalWords } from './refusals.ts';

afterEach(() => speak('en'));

const said = {
  held: heldWords,
  media: mediaWords,
  sheet: sheetWords,
  batch: batchWords,
  batches: listWords,
  keys: keyWords,
  newBatch: newWords,
  preview: previewWords,
  pending: pendingWords,
  refusals: refusalWords,
  queue: queueWords,
  review: reviewWords,
  signIn: signInWords,
  tasks: taskWords,
  users: userWords,
  closed: closedWords,
  settings: settingsWords,
  shell: shellWords,
  parts: partWords,
};

/** Every name that any message asks for, so that all can be filled at once. */
const VALUES = Object.fromEntries(
  [...JSON.stringify(arabic).matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, `<${name}>`]),
);
type AnyMessage = string | ((...values: unknown[]) => string);
const sayAll = (): [string, string][] =>
  Object.entries(said).flatMap(([component, words]) =>
    Object.entries(words() as Record<string, AnyMessage>).flatMap(([key, message]) => {
      const counted = typeof arabic[component as keyof typeof arabic][key as never] === 'object';
      if (typeof message === 'string') return [[`${component}.${key}`, message] as [string, string]];
      const texts = counted ? [0, 1, 2, 5, 11, 100].map((n) => message(n, VALUES)) : [message(VALUES)];
      return texts.map((text) => [`${component}.${key}`, text] as [string, string]);
    }),
  );

test('every message is said in Arabic, in all six forms of a number, and none asks for what nobody gives', async () => {
  const english = new Map(sayAll());
  await speak('ar');
  for (const [key, text] of sayAll()) {
    expect(text, key).not.toMatch(/undefined|[{}]/);
    if (/[a-z]{4}/i.test(text.replace(/<\w+>/g, '')))
      expect(text, `${key} is still English`).not.toBe(english.get(key));
  }
  for (const words of Object.values(arabic).flatMap((component) => Object.values(component)))
    if (typeof words === 'object')
      expect(Object.keys(words).sort()).toEqual(['few', 'many', 'one', 'other', 'two', 'zero']);
});

test('numbers follow the rules of the language, and digits stay as they are printed on paper', async () => {
  expect([0, 1, 2, 11_404].map((n) => listWords().batches(n))).toEqual([
    '0 batches',
    '1 batch',
    '2 batches',
    '11,404 batches',
  ]);
  expect([roughly(193_000), duration(125_000)]).toEqual(['about 3 minutes', '2 min 5 s']);
  await speak('ar');
  expect([0, 1, 2, 5, 11, 11_404].map((n) => listWords().batches(n))).toEqual([
    'لا دفعات',
    'دفعة واحدة',
    'دفعتان',
    '5 دفعات',
    '11 دفعة',
    '11,404 دفعات',
  ]);
  expect(bytes(3 * 2 ** 20)).toBe('3 م.ب');
});

test('a name that runs the other way is kept together', async () => {
  await speak('ar');
  expect(shellWords().signOutAsk({ name: 'admin' })).toContain('\u2068admin\u2069');
});
