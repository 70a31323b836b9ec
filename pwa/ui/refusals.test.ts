import { afterEach, expect, test } from 'vitest';
import { PROBLEMS } from '../../shared/protocol/problem.ts';
import { speak } from './language.ts';
import { refusal, refusalText } from './refusals.ts';

afterEach(() => speak('en'));

test('in English a refusal is what the server said, in Arabic its sentence stands above that', async () => {
  const detail = 'letter.zip ends before its directory.';
  expect(refusal('ZIP_REFUSED', detail)).toEqual({ words: detail, beneath: null });
  await speak('ar');
  expect(refusal('ZIP_REFUSED', detail)).toEqual({ words: 'لا يمكن قراءة ملف ZIP.', beneath: detail });
  expect(refusalText('ZIP_REFUSED', detail).split('\n')).toEqual(['لا يمكن قراءة ملف ZIP.', `\u2068${detail}\u2069`]);
});

test('every code the server knows has an Arabic sentence, and what it does not know is shown as it came', async () => {
  await speak('ar');
  for (const code of Object.keys(PROBLEMS))
    expect(refusal(code, 'x').words, code).toMatch(/^[^a-z]*\p{Script=Arabic}/u);
  expect(refusal('REJECTED', 'the archive is damaged')).toEqual({ words: 'the archive is damaged', beneath: null });
});
