// The servers of the real tier: one whole Sheaf and a second API process on the same data, on a small disk of their own
// that can be filled. Each of their processes can be killed; they come back as their launchers bring them back.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { eventually, isAlive, temporaryFolder } from '../support/places.ts';
import { type Sheaf, startSheaf } from '../support/sheaf.ts';
import type { Fault } from './plan.ts';

/** Small enough to be filled in a moment, and more than the floor that Sheaf keeps free. */
const DISK_MB = 640;
const PATIENCE_MS = 60_000;

export interface Site {
  dataDir: string;
  /** of the API processes that run at the moment; it changes when all was killed */
  urls(): string[];
  main(): Sheaf;
  /** false: nothing here can fill a disk */
  canFill: boolean;
  hurt(fault: Fault): Promise<void>;
  /** resolves when the disk that was filled last has room again */
  hasRoom(): Promise<void>;
  stop(): Promise<void>;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** A disk in memory, which takes root to mount. */
function mountDisk(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    say('NOT DONE: a disk that is full. It takes root (mount -t tmpfs); all other faults are played.');
    return false;
  }
}

export async function openSite(): Promise<Site> {
  const dataDir = temporaryFolder();
  const canFill = mountDisk(dataDir);
  const ballast = path.join(dataDir, 'ballast');
  let main: Sheaf;
  let second: Sheaf;
  const start = async (): Promise<void> => {
    main = await startSheaf({ dataDir, env: { SHEAF_WORKERS: '2' } });
    const socket = fs.readFileSync(path.join(dataDir, 'redis', 'socket-path'), 'utf8').trim();
    second = await startSheaf({ dataDir, args: ['api'], env: { SHEAF_REDIS_SOCKET: socket } });
  };
  await start();

  /** Kills a child when it runs, and resolves when a new one does. */
  const killChild = async (of: Sheaf, name: string): Promise<void> => {
    await eventually(`a ${name} to kill`, () => isAlive(of.pid(name)), PATIENCE_MS);
    const former = await of.kill(name);
    await eventually(`a new ${name}`, () => of.pid(name) !== former && isAlive(of.pid(name)), PATIENCE_MS);
  };
  const killAll = async (): Promise<void> => {
    for (const sheaf of [second, main]) {
      for (const name of ['launcher', ...sheaf.pids.keys()]) {
        // A child that is about to be started again has no process.
        if (isAlive(sheaf.pid(name))) await sheaf.kill(name);
      }
      await sheaf.ended;
    }
  };
  /** While it is full other things happen as well; only a start from nothing is spared it. */
  let full: Promise<void> = Promise.resolve();
  const fill = async (seconds: number): Promise<void> => {
    await full;
    const file = fs.openSync(ballast, 'w');
    const zeros = Buffer.alloc(2 ** 20);
    try {
      for (;;) fs.writeSync(file, zeros);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error;
    } finally {
      fs.closeSync(file);
    }
    full = sleep(seconds * 1000).then(() => fs.rmSync(ballast));
  };

  return {
    dataDir,
    canFill,
    urls: () => [main.url, second.url],
    main: () => main,
    async hurt({ kind, at, how }) {
      switch (kind) {
        case 'kill-api':
          return killChild(at < 0.6 ? main : second, 'api');
        case 'kill-worker':
          return killChild(main, at < 0.5 ? 'worker 1' : 'worker 2');
        case 'kill-redis':
          return killChild(main, 'redis');
        case 'flush-redis': {
          const redis = new Redis(fs.readFileSync(path.join(dataDir, 'redis', 'socket-path'), 'utf8').trim());
          redis.on('error', () => undefined);
          // It refuses that as well while the disk is full, or while it is being started again.
          const wiped = (): Promise<boolean> =>
            redis.flushall().then(
              () => true,
              () => false,
            );
          await eventually('a Redis to wipe', wiped, PATIENCE_MS).finally(() => redis.disconnect());
          return;
        }
        case 'power-cut':
          await full;
          await killAll();
          return start();
        case 'disk-full':
          return canFill ? fill(0.5 + how * 3) : undefined;
        default:
          throw new Error(`${kind} is not done to servers`);
      }
    },
    hasRoom: () => full,
    async stop() {
      await full;
      await second.stop();
      await main.stop();
      if (canFill) execFileSync('umount', [dataDir]);
      fs.rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
