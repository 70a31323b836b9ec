// The built Sheaf under test, run by its own launcher in a data folder of its own, and hurt from outside: any of its
// processes can be killed by name.
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import type { Client } from '../../server/cli/client.ts';
import { signIn } from '../../server/cli/client.ts';
import { eventually, isAlive, ROOT, temporaryFolder } from './places.ts';

export const ADMIN_PASSWORD = 'test admin password';
const LAUNCHER = path.join(ROOT, 'dist', 'server', 'main.js');

/** What the launcher tells whoever started it with a channel. */
const Told = v.union([
  v.object({ child: v.object({ name: v.string(), pid: v.number() }) }),
  v.object({
    ready: v.literal(true),
    url: v.string(),
    firstAdmin: v.optional(v.object({ username: v.string(), password: v.string() })),
  }),
]);

export interface SheafOptions {
  /** added to a clean environment: PORT 0, one worker, the admin's password chosen; undefined takes a variable away */
  env?: Record<string, string | undefined>;
  /** kept by `stop` when it is given */
  dataDir?: string;
  args?: string[];
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A launcher that runs, whether or not it will ever be ready. */
export interface Launched {
  dataDir: string;
  launcher: ChildProcess;
  /** names as the launcher prints them: api, redis, worker 1 … */
  pids: ReadonlyMap<string, number>;
  /** all it has printed so far */
  output(): string;
  ended: Promise<Ended>;
  ready: Promise<{ url: string; admin: { username: string; password: string } }>;
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(SHEAF_|TEST_|VITEST|HOST$|PORT$|REDIS_URL$|DATABASE_URL$|NODE_ENV$|NODE_OPTIONS$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

/** Starts the launcher and does not wait. */
export function launchSheaf({ env = {}, dataDir = temporaryFolder(), args = ['all'] }: SheafOptions = {}): Launched {
  if (!fs.existsSync(LAUNCHER)) throw new Error('Sheaf is not built: npm run build');
  const pids = new Map<string, number>();
  let output = '';
  const launcher = fork(LAUNCHER, args, {
    cwd: ROOT,
    env: {
      ...cleanEnvironment(),
      PORT: '0',
      SHEAF_DATA: dataDir,
      SHEAF_WORKERS: '1',
      SHEAF_ADMIN_PASSWORD: ADMIN_PASSWORD,
      ...env,
    },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  launcher.stdout?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  launcher.stderr?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const ended = new Promise<Ended>((resolve) => {
    launcher.once('close', (code, signal) => resolve({ code, signal }));
  });
  const ready = new Promise<Awaited<Launched['ready']>>((resolve, reject) => {
    launcher.on('message', (message) => {
      const told = v.parse(Told, message);
      if ('child' in told) pids.set(told.child.name, told.child.pid);
      else resolve({ url: told.url, admin: told.firstAdmin ?? { username: 'admin', password: ADMIN_PASSWORD } });
    });
    void ended.then(({ code, signal }) => reject(new Error(`Sheaf ended (${signal ?? code}) and said:\n${output}`)));
  });
  ready.catch(() => undefined); // a test that expects a refusal never awaits it
  return { dataDir, launcher, pids, output: () => output, ended, ready };
}

export interface Sheaf extends Launched {
  url: string;
  admin: { username: string; password: string };
  pid(name: string): number;
  /** `launcher` or a child by its name. Resolves when that process is gone. */
  kill(name: string, signal?: NodeJS.Signals): Promise<number>;
  /** Resolves to the new pid when a child called `name` runs that is not `formerPid`. */
  restarted(name: string, formerPid: number): Promise<number>;
  /** signed in as the first admin */
  client(): Promise<Client>;
  /** Asks all of it to end, and removes the data folder when it was made here. */
  stop(): Promise<Ended>;
}

/** Starts Sheaf and resolves when its API answers. */
export async function startSheaf(options: SheafOptions = {}): Promise<Sheaf> {
  const launched = launchSheaf(options);
  const { url, admin } = await launched.ready;
  const pid = (name: string): number => {
    const found = name === 'launcher' ? launched.launcher.pid : launched.pids.get(name);
    if (found === undefined) throw new Error(`no process is called ${name}: ${[...launched.pids.keys()].join(', ')}`);
    return found;
  };
  return {
    ...launched,
    url,
    admin,
    pid,
    async kill(name, signal = 'SIGKILL') {
      const victim = pid(name);
      process.kill(victim, signal);
      await eventually(`the end of ${name}`, () => !isAlive(victim));
      return victim;
    },
    restarted: (name, formerPid) =>
      eventually(`a new ${name}`, () => {
        const now = launched.pids.get(name);
        return now !== undefined && now !== formerPid && isAlive(now) ? now : null;
      }),
    client: () => signIn(url, admin.username, admin.password),
    async stop() {
      launched.launcher.kill('SIGTERM');
      const ended = await launched.ended;
      if (options.dataDir === undefined) fs.rmSync(launched.dataDir, { recursive: true, force: true });
      return ended;
    },
  };
}
