import { expect, test } from 'vitest';
import { passwordProblem } from './password.ts';

test.each([
  ['is short', 'a b c d e'],
  ['is among the commonest', 'password123'],
  ['is a common one in other letters', 'P4$$w0rd2026!'],
  ['runs along the keyboard', 'qwertyuiop'],
  ['runs back along the digits', '9876543210'],
  ['is nothing but digits', '20261122093015'],
  ['is one letter', 'aaaaaaaaaaaa'],
  ['repeats itself', 'abcabcabcabc'],
  ['is the user name and a number', 'maria.lopez2026'],
  ['is the user name in capitals', 'MARIA.LOPEZ'],
])('a password that %s is refused', (_, password) => {
  expect(passwordProblem(password, 'maria.lopez')).toMatch(
    /^(use at least 10|do not use the user name|this is one of)/,
  );
});

test.each(['quiet river under stones', 'Xk7#pW2!qZ', 'пароль на завтра', 'áéíóú ñandú 7', '正しい馬の電池ホッチキス'])(
  '%s will do',
  (password) => {
    expect(passwordProblem(password, 'maria.lopez')).toBeNull();
  },
);

test('length is counted in what a person sees, whichever way it was typed', () => {
  // ten letters, each of two code units
  expect(passwordProblem('𝒶𝓀𝓏𝓆𝓅𝓌𝓎𝓇𝓉𝓋', 'x')).toBeNull();
  // nine letters, written with separate accents as eighteen code points
  expect(passwordProblem('a\u0301e\u0301i\u0301o\u0301u\u0301n\u0303a\u0301e\u0301i\u0301', 'x')).toContain(
    'at least 10',
  );
});
