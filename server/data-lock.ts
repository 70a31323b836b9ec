// One launcher a data folder. The lock is an operating system's file lock, taken through SQLite, so it ends with the
// process that holds it however that ends, and never has to be judged stale. Beside it, processes.json tells who was
// started, so that a launcher that comes after a killed one can end what was left behind.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import * as v from 'valibot';

const Process = v.object({ pid: v.number(), started: v.string() });
const Processes = v.object({ launcher: Process, children: v.record(v.string(), Process) });

export interface DataLock {
  /** true: the launcher before this one was killed, and `orphans` are what it left running */
  afterKill: boolean;
  orphans: { name: string; pid: number }[];
  /** `pid` null: the child called `name` has ended */
  note(name: string, pid: number | null): void;
  release(): void;
}

/** Tells one life of a process id from the next; null when no such process runs. */
function startOf(pid: number): string | null {
  try {
    if (process.platform === 'linux') {
      // Field 22, counted after the name, which is in brackets and may hold spaces: clock ticks since boot.
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z') return null;
      return `${fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`;
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}

export const isRunning = (pid: number): boolean => startOf(pid) !== null;

function readProcesses(file: string): v.InferOutput<typeof Processes> | null {
  try {
    return v.parse(Processes, JSON.parse(fs.readFileSync(file, 'utf8')));
  } catch {
    return null; // never written, or cut short by a power failure: then nothing is left to end either
  }
}

const SAVE_AGAIN_MS = 500;

/** Takes the data folder for this process. @returns the other launcher's pid when it is taken (0 when unknown) */
export function lockDataFolder(dataDir: string): DataLock | { heldBy: number } {
  const file = path.join(dataDir, 'processes.json');
  const handle = new Database(path.join(dataDir, 'launcher.lock'), { timeout: 0 });
  try {
    handle.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    handle.close();
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_BUSY') throw error;
    return { heldBy: readProcesses(file)?.launcher.pid ?? 0 };
  }

  const before = readProcesses(file);
  const orphans = Object.entries(before?.children ?? {})
    .filter(([, child]) => startOf(child.pid) === child.started)
    .map(([name, child]) => ({ name, pid: child.pid }));

  // Orphans stay noted until somebody notes that they ended: this launcher may be killed as well.
  const noted: v.InferOutput<typeof Processes> = {
    launcher: { pid: process.pid, started: startOf(process.pid) ?? '' },
    children: before?.children ?? {},
  };
  const save = (): void => {
    fs.writeFileSync(`${file}.new`, JSON.stringify(noted));
    fs.renameSync(`${file}.new`, file);
  };
  save();
  let again: NodeJS.Timeout | undefined;
  /** A disk that is full ends no launcher: what could not be noted is noted when there is room. */
  const saveSoon = (): void => {
    clearTimeout(again);
    try {
      save();
    } catch {
      again = setTimeout(saveSoon, SAVE_AGAIN_MS);
      again.unref();
    }
  };
  return {
    afterKill: before !== null,
    orphans,
    note(name, pid) {
      const started = pid === null ? null : startOf(pid);
      if (pid === null || started === null) delete noted.children[name];
      else noted.children[name] = { pid, started };
      saveSoon();
    },
    release() {
      clearTimeout(again);
      fs.rmSync(file, { force: true });
      handle.close();
    },
  };
}
