// The Redis that Sheaf starts for itself: in the data folder, on a unix socket that only its owner may open, every
// write in an append-only file, nothing ever evicted.

import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** sockaddr_un holds 108 bytes on Linux and 104 on macOS, with a zero at the end. */
const LONGEST_SOCKET_PATH = 100;
/** BullMQ's scripts need 6.2. */
const OLDEST = [6, 2] as const;

export interface PrivateRedis {
  socket: string;
  /** the socket of the launcher before, when that one was killed */
  before: string | null;
  /** before the first start */
  remember(): void;
  /** after the last end */
  forget(): void;
  spawn(log: number): ChildProcess;
}

/** Why `program` cannot be the private Redis, or null when it can. */
export function whyNoRedis(program: string): string | null {
  const run = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (run.error || run.status !== 0) {
    return `${program} is not on this machine: type \`sudo apt-get install redis-server\`, or set REDIS_URL to a Redis that you run.`;
  }
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(run.stdout) ?? [];
  const [oldestMajor, oldestMinor] = OLDEST;
  if (Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor)) return null;
  return `${program} is version ${major}.${minor}, and Sheaf needs ${OLDEST.join('.')} or newer: install a newer one, or set REDIS_URL.`;
}

/** Sends one command without arguments; null when nobody answers at the socket. */
export function askRedis(socket: string, command: string, timeoutMs = 1000): Promise<string | null> {
  return new Promise((resolve) => {
    const connection = net.connect(socket);
    let answer = '';
    connection.setTimeout(timeoutMs, () => connection.destroy());
    connection.on('error', () => undefined); // `close` follows
    connection.on('close', () => resolve(answer === '' ? null : answer));
    connection.on('data', (bytes) => {
      answer += bytes.toString('latin1');
      if (answer.includes('\r\n')) connection.end();
    });
    connection.write(`${command}\r\n`);
  });
}

/** Chooses where this life's socket is. A path that does not fit into the data folder goes into a fresh temporary
 *  folder, and is remembered, so that the next launcher finds a Redis that was left running. */
export function placePrivateRedis(dataDir: string, program: string): PrivateRedis {
  const folder = path.join(dataDir, 'redis');
  fs.mkdirSync(folder, { recursive: true });
  const memo = path.join(folder, 'socket-path');
  const before = fs.existsSync(memo) ? fs.readFileSync(memo, 'utf8') : null;
  const near = path.join(folder, 'redis.sock');
  const fits = Buffer.byteLength(near) <= LONGEST_SOCKET_PATH;
  const socket = fits ? near : path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'sheaf-')), 'redis.sock');

  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: folder,
    daemonize: 'no',
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  return {
    socket,
    before,
    remember: () => fs.writeFileSync(memo, socket),
    forget() {
      if (!fits) fs.rmSync(path.dirname(socket), { recursive: true, force: true });
      fs.rmSync(memo, { force: true });
    },
    spawn: (log) =>
      spawn(
        program,
        Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
        {
          // Its own process group: Ctrl-C reaches the launcher alone, which stops Redis last.
          detached: true,
          stdio: ['ignore', log, log],
        },
      ),
  };
}

/** A Redis that a killed launcher left behind saves what it has and ends: two on one folder would spoil its file. */
export async function endOrphanedRedis({ before }: PrivateRedis): Promise<void> {
  if (before === null) return;
  for (let tries = 0; tries < 100; tries++) {
    if ((await askRedis(before, 'PING')) === null) return;
    // SHUTDOWN answers by closing; while the file is still being loaded it is refused, and asked again.
    await askRedis(before, 'SHUTDOWN');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`the Redis at ${before} does not end`);
}

/** Resolves to true once it answers; false when `gaveUp` became true first. A long file takes its time to load. */
export async function redisAnswers(redis: PrivateRedis, gaveUp: () => boolean): Promise<boolean> {
  while (!gaveUp()) {
    if ((await askRedis(redis.socket, 'PING'))?.startsWith('+PONG')) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
