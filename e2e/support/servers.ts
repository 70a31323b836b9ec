// A private MariaDB and a private Redis for tests, on loopback, gone with their folders when the tests end. A test
// file makes a database of its own in the one, and uses a number of its own in the other.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import mysql from 'mysql2/promise';
import { freePort, temporaryFolder } from './places.ts';

export interface TestServer {
  url: string;
  pid: number;
  /** kills it, as a power failure of its process does, and starts it over the same data; resolves when it answers */
  restart(): Promise<void>;
  /** ends it and removes its folder */
  stop(): Promise<void>;
}

const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

/** Starts a program that is a server, and resolves when `answers` does not throw any more. */
async function startServer(
  program: string,
  args: string[],
  { folder, url, answers }: { folder: string; url: string; answers(): Promise<void> },
): Promise<TestServer> {
  const log = path.join(folder, 'server.log');
  let child: ChildProcess | null = null;
  let ended: Promise<void> = Promise.resolve();
  const lastResort = (): void => void child?.kill('SIGKILL');
  process.once('exit', lastResort);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child?.kill(signal);
    const timer = setTimeout(lastResort, 10_000);
    await ended;
    clearTimeout(timer);
  };
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    process.off('exit', lastResort);
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const start = async (): Promise<void> => {
    const output = fs.openSync(log, 'a');
    const started = spawn(program, args, {
      env: { ...process.env, PATH },
      detached: true, // Ctrl-C is for the tests, which then end this
      stdio: ['ignore', output, output],
    });
    fs.closeSync(output);
    child = started;
    ended = new Promise<void>((resolve) => {
      started.once('exit', () => resolve());
      started.once('error', () => resolve());
    });
    for (const until = Date.now() + 180_000; ; ) {
      try {
        return await answers();
      } catch (cause) {
        if (started.exitCode === null && started.pid !== undefined && Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          continue;
        }
        const said = fs.readFileSync(log, 'utf8').slice(-2000);
        await stop();
        throw new Error(`${program} does not start:\n${said}`, { cause });
      }
    }
  };
  await start();
  return {
    url,
    get pid() {
      return child?.pid ?? 0;
    },
    async restart() {
      await end('SIGKILL');
      await start();
    },
    stop,
  };
}

/** MariaDB with `local_infile` on, as the bulk load needs it. The user in `url` may create databases; `url` names none.
 *  What is committed outlives the server's process, but not the machine's power: these data die with the tests. */
export async function startMariaDb(): Promise<TestServer> {
  const folder = temporaryFolder();
  const data = path.join(folder, 'data');
  const password = randomBytes(12).toString('hex');
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  const init = path.join(folder, 'init.sql');
  fs.writeFileSync(
    init,
    `CREATE USER sheaf@'127.0.0.1' IDENTIFIED BY '${password}';\nGRANT ALL ON *.* TO sheaf@'127.0.0.1' WITH GRANT OPTION;\n`,
  );
  const install = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'];
  // A temporary folder of its own: MariaDB clears the shared one of tables that another is just using.
  const env = { ...process.env, PATH, TMPDIR: folder };
  execFileSync('mariadb-install-db', [...install, ...asRoot], { env, stdio: 'pipe' });
  // Only now: what is free is free for a moment, and the installation takes many.
  const port = await freePort();
  const url = `mysql://sheaf:${password}@127.0.0.1:${port}/`;
  return startServer(
    'mariadbd',
    [
      '--no-defaults',
      ...asRoot,
      `--datadir=${data}`,
      `--tmpdir=${folder}`,
      `--socket=${path.join(folder, 'sock')}`,
      `--pid-file=${path.join(folder, 'pid')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--local-infile=1',
      '--innodb-flush-log-at-trx-commit=2',
      '--character-set-server=utf8mb4',
      `--init-file=${init}`,
    ],
    {
      folder,
      url,
      async answers() {
        const connection = await mysql.createConnection(url);
        await connection.end();
      },
    },
  );
}

/** Redis without persistence; `noeviction` as in production. */
export async function startRedis(): Promise<TestServer> {
  const folder = temporaryFolder();
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'];
  return startServer('redis-server', [...settings, '--maxmemory-policy', 'noeviction', '--databases', '64'], {
    folder,
    url,
    async answers() {
      const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
      redis.on('error', () => undefined); // connect() rejects with it
      try {
        await redis.connect();
        await redis.ping();
      } finally {
        redis.disconnect();
      }
    },
  });
}
