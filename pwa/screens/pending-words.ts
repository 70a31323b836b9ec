// Words about edits that the server has not taken.
import { define, fill } from '../ui/language.ts';

export const pendingWords = define('pending', {
  refused: 'Refused',
  notSent: 'Not sent yet',
  CONFLICT: 'Yours is kept. Compare, then send yours in its place or take the server’s.',
  FORBIDDEN: 'Yours is kept. Ask an admin for the right and send it again, or discard it.',
  VALIDATION_FAILED: 'Yours is kept. Put it right below and save it, or discard it.',
  NOT_FOUND: 'Yours is kept. Ask who can see it, or discard it.',
  other: 'Yours is kept. Send it again, or discard it.',
  takeTheirs: 'Take the server’s',
  discardMine: 'Discard mine',
  sendMine: 'Send mine',
  sendAgain: 'Send again',
  kept: 'Kept on this device. It is sent by itself as soon as the server can be reached.',
  discardTitle: 'Discard your changes?',
  discardThem: 'Discard them',
  discardWords: fill('What you changed of {name} and the server does not have is deleted from this device.'),
});
export type PendingWords = typeof pendingWords;
