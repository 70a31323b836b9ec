// Numbers, sizes and times as people read them, in the language of the app. 1 MB is 2^20 bytes, as everywhere in Sheaf.
import { GB, MB } from '../../shared/protocol/upload.ts';
import { define, fill, languageTag, plural } from './language.ts';

const units = define('units', {
  gb: fill('{n} GB'),
  mb: fill('{n} MB'),
  kb: fill('{n} KB'),
  tiny: '< 0.1 s',
  seconds: fill('{n} s'),
  minutes: fill('{m} min {s} s'),
  hours: fill('{h} h {m} min'),
  justNow: 'just now',
  soon: 'less than a minute',
  aboutMinutes: plural({ one: 'about {n} minute', other: 'about {n} minutes' }),
  aboutHours: fill('about {n} hours'),
});
export type Units = typeof units;

function createFormats(tag: string) {
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  return {
    whole: new Intl.NumberFormat(tag),
    one: new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }),
    two: new Intl.NumberFormat(tag, { maximumFractionDigits: 2 }),
    share: new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 }),
    clock: new Intl.DateTimeFormat(tag, clock),
    seconds: new Intl.DateTimeFormat(tag, { ...clock, second: '2-digit' }),
    day: new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short' }),
    relative: new Intl.RelativeTimeFormat(tag, { numeric: 'auto' }),
  };
}
const made = new Map<string, ReturnType<typeof createFormats>>();
/** Making one takes as long as a thousand uses of it. */
function formats(): ReturnType<typeof createFormats> {
  const tag = languageTag();
  let found = made.get(tag);
  if (!found) {
    found = createFormats(tag);
    made.set(tag, found);
  }
  return found;
}

export const count = (n: number): string => formats().whole.format(n);
export const points = (n: number): string => formats().two.format(n);
/** 0.4 as `40 %` */
export const share = (part: number): string => formats().share.format(part);

export function bytes(n: number): string {
  const { one, whole } = formats();
  if (n >= GB) return units().gb({ n: one.format(n / GB) });
  if (n >= MB) return units().mb({ n: one.format(n / MB) });
  return units().kb({ n: whole.format(Math.ceil(n / 1024)) });
}

const sameDay = (a: Date, b: Date): boolean => a.toDateString() === b.toDateString();

/** `10:42` today, `3 Feb, 10:42` before. */
export function when(at: number | string, now: number): string {
  const date = new Date(at);
  const { clock, day } = formats();
  return sameDay(date, new Date(now)) ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}
export const timeOfDay = (at: string): string => formats().seconds.format(new Date(at));

export function ago(at: number | string, now: number): string {
  const { relative } = formats();
  const seconds = Math.max(0, (now - new Date(at).getTime()) / 1000);
  if (seconds < 60) return units().justNow;
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), 'minute');
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), 'hour');
  return relative.format(-Math.round(seconds / 86_400), 'day');
}

/** `8.4 s`, `2 min 5 s`, `1 h 12 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds > 0 && seconds < 0.05) return units().tiny;
  if (seconds < 10) return units().seconds({ n: formats().one.format(seconds) });
  if (seconds < 60) return units().seconds({ n: Math.round(seconds) });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return units().minutes({ m: minutes, s: Math.round(seconds % 60) });
  return units().hours({ h: Math.floor(minutes / 60), m: minutes % 60 });
}

/** A forecast pretends to no more precision than it has. */
export function roughly(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 50) return units().soon;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return units().aboutMinutes(Math.max(1, minutes));
  return units().aboutHours({ n: formats().one.format(minutes / 60) });
}

/** `zip, task 12345678, 3 MB` */
/** Names with numbers in them as a person counts: sheaf-40 before sheaf-100. */
export const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

export const listed = (parts: readonly string[]): string => parts.filter((part) => part !== '').join(' · ');
