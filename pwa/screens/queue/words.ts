// Words of the upload queue.
import { define, fill, plural } from '../../ui/language.ts';

export const queueWords = define('queue', {
  title: 'Queue',
  newBatch: 'New batch',
  others: plural({
    one: '{n} upload of another user is kept on this {device} too.',
    other: '{n} uploads of another user are kept on this {device} too.',
  }),
  empty: 'Nothing is waiting to be sent.',
  emptyWords: 'Batches that you queue stay here until the server has verified every byte.',
  arrived: 'Arrived',
  zipCovers: 'ZIP with cover sheets',
  zipTask: 'ZIP for one task',
  imagesTask: 'Images for one task',
  task: fill('task {id}'),
  queued: fill('queued {when}'),
  tryAgain: 'Try again',
  sendNow: 'Send now',
  openBatch: 'Open batch',
  clear: 'Clear',
  remove: 'Remove',
  clearNamed: fill('Clear {name}'),
  removeNamed: fill('Remove {name}'),
  removeAsk: 'Remove this upload?',
  removeIt: 'Remove it',
  removeWords: fill(
    '{size} that the server does not have will be deleted from this {device}. Make sure that you still have {name}.',
  ),
  removeNothing: fill('Nothing of it is only on this {device}. Make sure that you still have {name}.'),
  sameFiles: plural({ one: 'the same {n} file', other: 'the same {n} files' }),
  chunksSent: plural({ one: '{sent} of {n} chunk sent', other: '{sent} of {n} chunks sent' }),
  chunksSafe: fill('{sent}, {safe} safe'),
  sizes: fill('{sent} sent · {safe} safe · {all} in all'),
  chooseAgain: 'Choose the file again',
  checking: 'Checking …',
  chooseNamed: fill('Choose {name} again'),
  otherFile: fill('That is not the same file: {detail}.'),
});
export type QueueWords = typeof queueWords;
