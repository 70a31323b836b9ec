// Numbers, sizes and times as people read them. 1 MB is 2^20 bytes, as everywhere in Sheaf.
import { GB, MB } from '../../shared/protocol/upload.ts';

const whole = new Intl.NumberFormat('en');
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSeconds = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

export const count = (n: number): string => whole.format(n);
export const plural = (n: number, word: string): string => `${whole.format(n)} ${word}${n === 1 ? '' : 's'}`;

export function bytes(n: number): string {
  if (n >= GB) return `${one.format(n / GB)} GB`;
  if (n >= MB) return `${one.format(n / MB)} MB`;
  return `${whole.format(Math.ceil(n / 1024))} KB`;
}

const sameDay = (a: Date, b: Date): boolean => a.toDateString() === b.toDateString();

/** `10:42` today, `3 Feb, 10:42` before. */
export function when(at: number | string, now: number): string {
  const date = new Date(at);
  return sameDay(date, new Date(now)) ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}
export const timeOfDay = (at: string): string => clockSeconds.format(new Date(at));

export function ago(at: number | string, now: number): string {
  const seconds = Math.max(0, (now - new Date(at).getTime()) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), 'minute');
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), 'hour');
  return relative.format(-Math.round(seconds / 86_400), 'day');
}

/** `8.4 s`, `2 min 5 s`, `1 h 12 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds > 0 && seconds < 0.05) return '< 0.1 s';
  if (seconds < 10) return `${one.format(seconds)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A forecast pretends to no more precision than it has. */
export function roughly(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 50) return 'less than a minute';
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${plural(Math.max(1, minutes), 'minute')}`;
  return `about ${one.format(minutes / 60)} hours`;
}
