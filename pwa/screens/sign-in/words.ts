// Words of signing in and of passwords.
import { define, fill, plural } from '../../ui/language.ts';

export const signInWords = define('signIn', {
  signIn: 'Sign in',
  again: 'Sign in again',
  busy: 'Signing in …',
  username: 'User name',
  password: 'Password',
  notNow: 'Not now',
  typeBoth: 'Type your user name and your password.',
  unreachable: 'The server cannot be reached. Signing in needs the network once; what is queued stays safe.',
  wrong: 'User name or password is wrong.',
  safeHere: plural({
    one: '{n} upload is safe on this device.',
    other: '{n} uploads are safe on this device.',
  }),
  chooseOwn: 'Choose your own password',
  change: 'Change your password',
  whyOwn: 'Somebody else made your account. Until the password is yours alone, the server waits.',
  whyChange: 'You stay signed in here; everywhere else the new password is asked for.',
  present: 'Present password',
  next: 'New password',
  nextAgain: 'New password again',
  changing: 'Changing …',
  changeIt: 'Change it',
  changed: 'Your password was changed.',
  typePresent: 'Type your present password.',
  typeNext: 'Type a new password.',
  tooShort: fill('Use at least {n} characters.'),
  differ: 'The two new passwords differ.',
  needsNetwork: 'The server cannot be reached. Try again with a network.',
});
export type SignInWords = typeof signInWords;
