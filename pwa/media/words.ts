// Words of pictures, wherever they are shown.
import { define, fill } from '../ui/language.ts';

export const mediaWords = define('media', {
  loading: 'Loading …',
  away: 'Not kept on this device. It is shown here when the server can be reached.',
  none: fill('There is no picture: {why}.'),
});
export type MediaWords = typeof mediaWords;
