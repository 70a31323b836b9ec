import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type DataLock, isRunning, lockDataFolder } from './data-lock.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sheaf-test-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function take(): DataLock {
  const lock = lockDataFolder(folder);
  if ('heldBy' in lock) throw new Error(`held by ${lock.heldBy}`);
  return lock;
}

test('a folder has one launcher at a time; the second learns who has it', () => {
  const first = take();
  expect(lockDataFolder(folder)).toEqual({ heldBy: process.pid });
  first.release();
  take().release();
});

test('after a release there is nothing left to end', () => {
  const first = take();
  first.note('api', process.pid);
  first.release();
  const second = take();
  expect(second).toMatchObject({ afterKill: false, orphans: [] });
  second.release();
});

test('notes that cannot be written end nobody, and are written when they can be', async () => {
  const lock = take();
  // Whatever the reason: here the place of the new notes is taken.
  const inTheWay = path.join(folder, 'processes.json.new');
  fs.mkdirSync(inTheWay);
  lock.note('api', process.pid);
  const notes = (): unknown => JSON.parse(fs.readFileSync(path.join(folder, 'processes.json'), 'utf8')).children;
  expect(notes()).toEqual({});
  fs.rmdirSync(inTheWay);
  await vi.waitFor(() => expect(notes()).toMatchObject({ api: { pid: process.pid } }), 120_000);
  lock.release();
});

/** Notes as a launcher leaves them that was killed: the lock is gone with it, the notes are not. */
const killedLauncherNoted = (children: Record<string, number>): void => {
  const lock = take();
  for (const [name, pid] of Object.entries(children)) lock.note(name, pid);
  const notes = fs.readFileSync(path.join(folder, 'processes.json'));
  lock.release();
  fs.writeFileSync(path.join(folder, 'processes.json'), notes);
};

test('the launcher after a killed one is told what still runs, and not what has ended', async () => {
  const running = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const ending = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 200)'], { stdio: 'ignore' });
  try {
    await Promise.all([once(running, 'spawn'), once(ending, 'spawn')]);
    killedLauncherNoted({ redis: running.pid!, api: ending.pid! });
    await once(ending, 'exit');
    const lock = take();
    expect(lock.afterKill).toBe(true);
    expect(lock.orphans).toEqual([{ name: 'redis', pid: running.pid }]);
    lock.release();
  } finally {
    running.kill('SIGKILL');
  }
});

test('another process that has been given the same id since is not taken for an orphan', () => {
  const file = path.join(folder, 'processes.json');
  const stranger = { pid: process.pid, started: 'in another life' };
  fs.writeFileSync(file, JSON.stringify({ launcher: stranger, children: { api: stranger } }));
  const lock = take();
  expect(lock.orphans).toEqual([]);
  lock.release();
});

test('notes that were cut short do not keep Sheaf from starting', () => {
  fs.writeFileSync(path.join(folder, 'processes.json'), '{"launcher":{"pi');
  take().release();
});

test('a process that has ended does not run', () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  expect(isRunning(pid)).toBe(false);
  expect(isRunning(process.pid)).toBe(true);
});
