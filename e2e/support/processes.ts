// What Sheaf's processes have used, as Linux counts it: time of the API and the workers, memory of the private Redis too.
import { readFile } from 'node:fs/promises';
import type { Sheaf } from './sheaf.ts';

const ours = (sheaf: Sheaf): [name: string, pid: number][] =>
  [...sheaf.pids].filter(([name]) => name === 'api' || name.startsWith('worker'));

/** Seconds of user and system time of one process, from clock ticks: 100 a second on Linux. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The same of all of ours together. */
export async function cpuSeconds(sheaf: Sheaf): Promise<number> {
  let seconds = 0;
  for (const [, pid] of ours(sheaf)) seconds += await cpuSecondsOf(pid);
  return seconds;
}

/** The most memory each of them ever had, in MB, by name. */
export async function peakRss(sheaf: Sheaf): Promise<Record<string, number>> {
  const peaks: Record<string, number> = {};
  for (const [name, pid] of sheaf.pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    peaks[name] = Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024);
  }
  return peaks;
}
