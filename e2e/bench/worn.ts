// Worn pages for the benches that judge and that calibrate: seen by as many processes as there are cores, and what each
// came to kept in a file if one is named, so that hours of counting can be done in parts and go on after a break.
import { fork } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import os from 'node:os';
import { READER_FLAGS } from '../../server/children.ts';
import type { Level } from '../../shared/corpus/levels.ts';
import { ENGINE_VERSION } from '../../shared/omr/read-page.ts';
import type { SeenPage } from './worn-pages.ts';

export interface Errand {
  template: string;
  seed: number;
  dpi: number;
}

export interface Asked {
  levels: readonly Level[];
  /** of each level */
  pages: number;
  /** not begun after so many minutes */
  minutes: number;
  /** where what was seen is kept, a line a page; null keeps nothing */
  keep: string | null;
}

/** What a page came to, in numbers that are kept. */
export interface Tally<T> {
  level: Level;
  page: number;
  tally: T;
}

const LEVELS = [1, 2, 3] as const;

/** Options of both benches, and what they say. Throws when they say nothing that can be done. */
export const WORN_OPTIONS = {
  pages: { type: 'string', default: '200' },
  seed: { type: 'string' },
  levels: { type: 'string', default: '1,2,3' },
  keep: { type: 'string' },
  minutes: { type: 'string', default: 'Infinity' },
  json: { type: 'boolean' },
} as const;

export const askedBy = (values: { pages: string; levels: string; keep?: string; minutes: string }): Asked => {
  const [pages, minutes] = [Number(values.pages), Number(values.minutes)];
  const levels = LEVELS.filter((level) => values.levels.split(',').includes(String(level)));
  if (!Number.isInteger(pages) || pages < 1) throw new Error('--pages is a number from 1');
  if (levels.length === 0 || levels.join() !== values.levels) throw new Error('--levels is of 1,2,3');
  if (!(minutes > 0)) throw new Error('--minutes is a number above 0');
  return { pages, levels, minutes, keep: values.keep ?? null };
};

/**
 * Sees the pages that are not in the file yet. Tells on stderr how far it is.
 * @returns what every page came to, those of the file with them; fewer than were asked for when the minutes were over
 */
export const seeWorn = async <T>(
  errand: Errand,
  { levels, pages, minutes, keep }: Asked,
  tallyOf: (seen: SeenPage, level: Level) => T,
): Promise<Tally<T>[]> => {
  const kept = openKept<T>(keep, { ...errand, engine: ENGINE_VERSION });
  // level by level at each page, so that what is done when the minutes are over is in equal parts
  const wanted = Array.from({ length: pages }, (_, page) => levels.map((level) => ({ level, page }))).flat();
  const all = kept.before.filter(({ level, page }) => levels.includes(level) && page < pages);
  const known = new Set(all.map(({ level, page }) => `${level}/${page}`));
  const due = wanted.filter(({ level, page }) => !known.has(`${level}/${page}`));
  const began = performance.now();
  const over = began + minutes * 60_000;
  let [next, done] = [0, 0];
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(new URL('./worn-pages.js', import.meta.url), [JSON.stringify(errand)], {
        execArgv: READER_FLAGS,
      });
      const give = (): void => {
        const one = performance.now() < over ? due[next++] : undefined;
        if (one) child.send(one);
        else child.disconnect();
      };
      child.on('message', ({ level, seen }: { level: Level; seen: SeenPage }) => {
        const told = { level, page: seen.page, tally: tallyOf(seen, level) };
        kept.add(told);
        all.push(told);
        done++;
        if (done % 50 === 0) {
          const each = (performance.now() - began) / done;
          const left = Math.ceil((each * (due.length - done)) / 60_000);
          process.stderr.write(`${done} of ${due.length} pages, ${Math.round(each)} ms each, ${left} min left\n`);
        }
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a process ended with ${code}`))));
      give();
    });
  try {
    await Promise.all(Array.from({ length: Math.min(os.availableParallelism(), due.length) }, work));
  } finally {
    kept.close();
  }
  return all;
};

interface Kept<T> {
  before: Tally<T>[];
  add(one: Tally<T>): void;
  close(): void;
}

/** Throws when the file is of another errand: what is counted together must be of one kind. */
const openKept = <T>(file: string | null, kind: object): Kept<T> => {
  if (file === null) return { before: [], add: () => {}, close: () => {} };
  const head = `${JSON.stringify(kind)}\n`;
  let before: Tally<T>[] = [];
  const old = existsSync(file);
  if (old) {
    const text = readFileSync(file, 'utf8');
    if (!text.startsWith(head)) throw new Error(`${file} holds pages of another kind: ${text.split('\n')[0]}`);
    // a run that was ended may have left half a line
    const whole = text.lastIndexOf('\n') + 1;
    truncateSync(file, Buffer.byteLength(text.slice(0, whole)));
    before = text
      .slice(head.length, whole)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Tally<T>);
  }
  const handle = openSync(file, 'a');
  if (!old) writeSync(handle, head);
  return {
    before,
    add: (one) => {
      writeSync(handle, `${JSON.stringify(one)}\n`);
    },
    close: () => closeSync(handle),
  };
};
