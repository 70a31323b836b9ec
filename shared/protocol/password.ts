// What a password must be, told the same way on the device and on the server. Length is what counts; beyond it only
// what everybody tries first is refused.

export const PASSWORD_LENGTH = 10;
/** scrypt hashes any length; a megabyte of it is somebody trying something */
const LONGEST = 1000;

/** The commonest of leaked passwords that are long enough, and our own name: compared in lower case, with what people
 *  write instead of letters put back, and without the digits and signs they add at the end. */
const COMMON = new Set(
  `password passwort passwords passwordpassword contrasena administrator adminadmin qwerty qwertyui qwertyuiop qwertyqwerty
  qwertz qwertzuiop azerty azertyuiop asdfghjkl asdfasdf asdfghjklzxcvbnm zxcvbnm qazwsxedc qazwsx letmein letmeinplease
  welcome welcomehome iloveyou iloveyouforever changeme changemenow changeit default secret secretpassword topsecret
  football baseball basketball superman batman sunshine princess monkey dragon master shadow michael jessica charlie
  computer internet trustno whatever starwars pokemon liverpool abc abcd abcdef abcdefgh abcdefghij abcabcabc aaa
  examroom exam exams school teacher student sheaf sheafsheaf sheafadmin test testing testtest hello helloworld temp
  temporary guest user username login root rootroot toor pass`.split(/\s+/),
);
const INSTEAD: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '@': 'a',
  $: 's',
};

/** Runs along the keyboard or the digits, in either direction, and one character over and over. */
const isRun = (text: string): boolean => {
  const rows = '01234567890123456789 1q2w3e4r5t6y7u8i9o0p qwertyuiop asdfghjkl zxcvbnm abcdefghijklmnopqrstuvwxyz';
  const backwards = [...rows].reverse().join('');
  return rows.includes(text) || backwards.includes(text) || /^(.{1,4})\1+.{0,3}$/.test(text);
};

/** Why a password is refused, as a sentence that says what to do; null when it is good enough. */
export function passwordProblem(password: string, username: string): string | null {
  const given = password.normalize('NFKC');
  if ([...given].length < PASSWORD_LENGTH) return `use at least ${PASSWORD_LENGTH} characters`;
  if (given.length > LONGEST) return `use at most ${LONGEST} characters`;
  const lower = given.toLowerCase();
  const bare = lower.replace(/[^\p{L}]+$/u, '');
  const name = username.normalize('NFKC').toLowerCase();
  if (name !== '' && (lower === name || bare === name || lower.replaceAll(name, '').length < 3))
    return 'do not use the user name as the password';
  const letters = [...bare].map((letter) => INSTEAD[letter] ?? letter).join('');
  if (isRun(lower) || bare.length === 0 || COMMON.has(bare) || COMMON.has(letters))
    return 'this is one of the passwords that are tried first: use a few words that do not belong together';
  return null;
}
