// The launcher's children by name: each with a log in the data folder, noted beside the lock while it lives, started
// again when it dies, and ended by the next launcher when this one was killed.
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { DataLock } from './data-lock.ts';
import { isRunning } from './data-lock.ts';
import type { Supervised } from './supervise.ts';
import { supervise } from './supervise.ts';

/** What a process that reads pages is started with: megabytes its heap may reach before it is swept whole. V8 counts rasters,
 *  which die young, as old memory: from its small start it would sweep at every fifth page, and at 300 dpi at every one. */
export const READER_FLAGS = ['--initial-old-space-size=64'];

/** What the API is started with. V8 counts what comes from the line as old memory as well, and swept its whole heap twelve
 *  times a second while a fast upload landed; the pieces are freed by small sweeps, so more room for the young is only memory. */
export const API_FLAGS = ['--initial-old-space-size=96', '--max-semi-space-size=4'];

/**
 * What API and workers find in their environment, over `env` where that says nothing. glibc keeps what each thread has freed
 * for that thread: pages decoded by four threads, and chunks written by others, left some 40 MB in every process that
 * nobody else could use. Two stores are one for the main thread and one for all others. Other C libraries do not look at it.
 */
export const childEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  MALLOC_ARENA_MAX: '2',
  NODE_ENV: 'production',
  ...env,
});

/** API and workers finish the request or the page in hand; a page takes well under a second. */
export const GRACE_MS = 8000;
/** Redis writes and syncs its file. */
export const REDIS_GRACE_MS = 15_000;
/** Ends in a row of a process that has not been up once: then trying again does not mend it. */
const PATIENCE = 4;
/** A log longer than this, in bytes, is put aside when its process starts. */
const LONGEST_LOG = 20 * 2 ** 20;

export interface Nursery {
  dataDir: string;
  /** null: processes that share the folder with a launcher elsewhere are not noted */
  lock: DataLock | null;
  say(line: string): void;
  /** a child runs under a new pid */
  started(name: string, pid: number): void;
  giveUp(why: string): void;
}

/** @returns a file descriptor for a child's output, and the file's name */
function openLog(dataDir: string, name: string): { file: string; fd: number } {
  const folder = path.join(dataDir, 'logs');
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name.replace(' ', '-')}.log`);
  if ((fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LONGEST_LOG) fs.renameSync(file, `${file}.old`);
  return { file, fd: fs.openSync(file, 'a', 0o600) };
}

const tailOf = (file: string, lines: number): string =>
  // There is none when it was the log that could not be opened.
  fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '';

/** Starts a child and keeps it running. `isUp`: it has worked at least once, so it is worth any number of tries. */
export function keep(
  nursery: Nursery,
  name: string,
  spawn: (log: number) => ChildProcess,
  isUp: () => boolean,
): Supervised {
  let log = '';
  return supervise({
    spawn() {
      const { file, fd } = openLog(nursery.dataDir, name);
      log = file;
      try {
        return spawn(fd);
      } finally {
        fs.closeSync(fd);
      }
    },
    onStart(pid) {
      nursery.lock?.note(name, pid);
      nursery.started(name, pid);
    },
    onEnd(how, nextMs) {
      nursery.lock?.note(name, null);
      const where = path.relative('.', log);
      if (nextMs !== null)
        nursery.say(`${name} ended (${how}), starting it again in ${nextMs / 1000} s; log: ${where}`);
      else nursery.giveUp(`${tailOf(log, 12)}\n${name} does not start (${how}): the lines above and ${where} say why.`);
    },
    keepTrying: (failures) => isUp() || failures < PATIENCE,
  });
}

async function endOrphan(lock: DataLock, name: string, pid: number, graceMs: number): Promise<void> {
  const until = Date.now() + graceMs;
  if (isRunning(pid)) process.kill(pid, 'SIGTERM');
  while (isRunning(pid) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  lock.note(name, null);
}

/** Ends what a killed launcher left running, Redis last. Most are ending already: their channel to it has closed. */
export async function endOrphans(lock: DataLock): Promise<void> {
  const isRedis = (orphan: { name: string }): boolean => orphan.name === 'redis';
  const others = lock.orphans.filter((orphan) => !isRedis(orphan));
  await Promise.all(others.map(({ name, pid }) => endOrphan(lock, name, pid, GRACE_MS)));
  for (const { name, pid } of lock.orphans.filter(isRedis)) await endOrphan(lock, name, pid, REDIS_GRACE_MS);
}
