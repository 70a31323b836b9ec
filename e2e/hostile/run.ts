// Hostile files through the built command line, all in one process: what became of each, and how much memory it took.
import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT, temporaryFolder } from '../support/places.ts';
import { hostileFiles } from './files.ts';

export interface HostileRun {
  files: number;
  /** pages that were read, by what they were read as */
  read: Record<string, number>;
  failed: number;
  /** files of which the command said nothing */
  unsaid: string[];
  /** failures without a reason */
  unnamed: string[];
  exit_code: number | null;
  seconds: number;
  /** the longest wait for a page, and of which kind its file is */
  slowest: { ms: number; kind: string };
  /** of the process, at most; null where /proc does not say */
  most_memory_mb: number | null;
}

interface Line {
  file: string;
  ok: boolean;
  reason?: string;
  reading?: { kind: string };
}

/** @param special every how many of the specially made files are taken */
export const runHostile = async (count: number, seed: number, special = 1): Promise<HostileRun> => {
  const folder = temporaryFolder();
  try {
    const kinds = new Map<string, string>();
    for await (const { kind, extension, bytes } of hostileFiles(count, seed, special)) {
      const name = `${String(kinds.size).padStart(5, '0')}.${extension}`;
      await fs.writeFile(path.join(folder, name), bytes);
      kinds.set(name, kind);
    }
    return await readAll(folder, kinds);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
};

const readAll = async (folder: string, kinds: ReadonlyMap<string, string>): Promise<HostileRun> => {
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'dist', 'server', 'cli', 'omr.js'), 'read', '--json', folder],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let most: number | null = null;
  const look = async (): Promise<void> => {
    const status = await fs.readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const peak = /VmHWM:\s+(\d+) kB/.exec(status);
    if (peak) most = Math.max(most ?? 0, Number(peak[1]) / 1024);
  };
  const looking = setInterval(() => void look(), 100);
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const run: HostileRun = {
    files: kinds.size,
    read: {},
    failed: 0,
    unsaid: [],
    unnamed: [],
    exit_code: null,
    seconds: 0,
    slowest: { ms: 0, kind: '' },
    most_memory_mb: null,
  };
  const said = new Set<string>();
  let last = performance.now();
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    const name = path.basename(line.file).replace(/#\d+$/, '');
    said.add(name);
    const ms = Math.round(performance.now() - last);
    last = performance.now();
    if (ms > run.slowest.ms) run.slowest = { ms, kind: kinds.get(name) ?? '' };
    if (!line.ok) {
      run.failed++;
      if (!line.reason) run.unnamed.push(kinds.get(name) ?? name);
    } else {
      const kind = line.reading?.kind ?? 'nothing';
      run.read[kind] = (run.read[kind] ?? 0) + 1;
    }
  }
  run.exit_code = await ended;
  clearInterval(looking);
  run.unsaid = [...kinds].filter(([name]) => !said.has(name)).map(([, kind]) => kind);
  run.seconds = Math.round((performance.now() - started) / 100) / 10;
  run.most_memory_mb = most === null ? null : Math.round(most);
  return run;
};
