// The launcher: starts a private Redis, the API and the workers, starts again what dies, and ends all of it in order.
// What the API and the workers do is theirs (api.ts, worker.ts); they hear from here through the environment and IPC.

import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { needFreePort, needRedis, needWritableFolder } from './before-start.ts';
import type { Nursery } from './children.ts';
import { API_FLAGS, childEnvironment, endOrphans, GRACE_MS, keep, READER_FLAGS, REDIS_GRACE_MS } from './children.ts';
import { demoLogin, runDemo } from './cli/demo.ts';
import type { Config } from './config.ts';
import { ConfigError, loadConfig } from './config.ts';
import type { DataLock } from './data-lock.ts';
import { lockDataFolder } from './data-lock.ts';
import { listenForInterrupts } from './interrupts.ts';
import { endOrphanedRedis, placePrivateRedis, redisAnswers } from './private-redis.ts';
import { Refusal } from './refusal.ts';
import type { Supervised } from './supervise.ts';

const ROLES = ['all', 'api', 'worker'] as const;
type Role = (typeof ROLES)[number];
interface Options {
  role: Role;
  demo: boolean;
  /** with `demo`: end when it has ended */
  exit: boolean;
}
const USAGE = 'Usage: node dist/server/main.js [all|api|worker] [--demo] [--exit]';

/** What the API says over IPC when it listens; `firstAdmin` only when it has just made one. */
const Ready = v.object({
  ready: v.literal(true),
  port: v.number(),
  firstAdmin: v.optional(v.object({ username: v.string(), password: v.string() })),
});
type Ready = v.InferOutput<typeof Ready>;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
/** Whoever started the launcher with a channel is told what a person would read. */
const tell = (message: object): void => {
  if (process.connected) process.send?.(message);
};

function readArguments(args: string[]): Options {
  const named = ROLES.find((role) => role === args[0]);
  const flags = named ? args.slice(1) : args;
  const unknown = flags.find((flag) => flag !== '--demo' && flag !== '--exit');
  const demo = flags.includes('--demo');
  const exit = flags.includes('--exit');
  if (unknown !== undefined) throw new Refusal(`${unknown} is not known. ${USAGE}`);
  if (demo && (named ?? 'all') !== 'all') throw new Refusal(`--demo goes with all. ${USAGE}`);
  if (exit && !demo) throw new Refusal(`--exit goes with --demo. ${USAGE}`);
  return { role: named ?? 'all', demo, exit };
}

/** Where a browser on this machine finds it. */
function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** The password goes to the screen, once, and into no file. */
function greet(config: Config, url: string, firstAdmin: Ready['firstAdmin'], demo: boolean): void {
  say(`Sheaf runs at ${url} with its data in ${config.dataDir}. Ctrl-C ends it.`);
  // The demo is the first to sign in: it changes the password, and tells where it keeps the new one.
  if (!firstAdmin || (demo && config.adminPassword === null)) return;
  if (config.adminPassword !== null) say(`The first admin is ${firstAdmin.username}, with the password you chose.`);
  else
    say(
      `First admin: user name ${firstAdmin.username}, password ${firstAdmin.password} (shown only this once; you choose your own when you sign in)`,
    );
}

/** Takes the data folder for this launcher alone, and ends what a killed one left there. */
async function takeDataFolder(dataDir: string): Promise<DataLock> {
  const lock = lockDataFolder(dataDir);
  if ('heldBy' in lock) {
    const who = lock.heldBy === 0 ? 'Another Sheaf' : `Another Sheaf (process ${lock.heldBy})`;
    throw new Refusal(
      `${who} runs on the data folder ${dataDir}: stop it, or choose another folder with SHEAF_DATA=folder.`,
    );
  }
  await endOrphans(lock);
  return lock;
}

async function run(config: Config, env: NodeJS.ProcessEnv, { role, demo, exit }: Options): Promise<number> {
  // What this and its children write is for this user alone: scans, answers, password hashes.
  process.umask(0o077);
  const interrupts = listenForInterrupts();
  /** what has been started, undone from the last to the first */
  const undo: (() => void | Promise<void>)[] = [];
  let failure: Refusal | null = null;
  let exitCode = 0;
  let childEnv = childEnvironment(env);
  const nursery: Nursery = {
    dataDir: config.dataDir,
    lock: null,
    say,
    started: (name, pid) => tell({ child: { name, pid } }),
    giveUp(why) {
      failure ??= new Refusal(why);
      interrupts.interrupt();
    },
  };

  /** A compiled file beside this one, in a process group of its own so that Ctrl-C reaches the launcher alone. */
  const forkBeside = (
    file: string,
    log: number,
    more: NodeJS.ProcessEnv = {},
    flags: readonly string[] = [],
  ): ChildProcess => {
    const output = role === 'all' ? log : 'inherit';
    return fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      env: { ...childEnv, ...more },
      detached: true,
      execArgv: ['--enable-source-maps', ...flags],
      stdio: ['ignore', output, output, 'ipc'],
    });
  };

  const startRedis = async (): Promise<void> => {
    const place = placePrivateRedis(config.dataDir, config.redisServer);
    await endOrphanedRedis(place);
    place.remember();
    let up = false;
    const redis = keep(
      nursery,
      'redis',
      (log) => place.spawn(log),
      () => up,
    );
    undo.push(async () => {
      await redis.stop(REDIS_GRACE_MS);
      place.forget();
    });
    up = await redisAnswers(place, () => interrupts.first.aborted);
    childEnv = { ...childEnv, SHEAF_REDIS_SOCKET: place.socket };
  };

  /** null: interrupted before it was ready */
  const startApi = (children: Supervised[]): Promise<Ready | null> =>
    new Promise((resolve) => {
      let port = config.port;
      let up = false;
      const spawn = (log: number): ChildProcess => {
        const child = forkBeside('./api.js', log, { PORT: String(port) }, API_FLAGS);
        child.on('message', (message) => {
          const said = v.safeParse(Ready, message);
          if (!said.success) return;
          if (up) say('api is back');
          up = true;
          port = said.output.port;
          resolve(said.output);
        });
        return child;
      };
      children.push(keep(nursery, 'api', spawn, () => up));
      void interrupts.happened.then(resolve);
    });

  const startWorkers = (children: Supervised[]): void => {
    for (let n = 1; n <= config.workers; n++) {
      const spawn = (log: number): ChildProcess => forkBeside('./worker.js', log, {}, READER_FLAGS);
      children.push(keep(nursery, `worker ${n}`, spawn, () => true));
    }
  };

  const stopAll = async (children: Supervised[]): Promise<void> => {
    const insist = (): void => {
      for (const child of children) child.insist();
    };
    const stopping = Promise.all(children.map((child) => child.stop(GRACE_MS)));
    if (interrupts.second.aborted) insist();
    else interrupts.second.addEventListener('abort', insist);
    await stopping;
  };

  try {
    needWritableFolder(config.dataDir);
    if (role === 'all') {
      const lock = await takeDataFolder(config.dataDir);
      nursery.lock = lock;
      undo.push(() => lock.release());
    } else if (config.redis === null) {
      throw new Refusal('Set REDIS_URL: an API and workers that are started apart meet in a Redis that you run.');
    }
    if (role !== 'worker') await needFreePort(config.host, config.port, nursery.lock?.afterKill ? 5000 : 0);
    await needRedis(config);
    if (config.redis === null) await startRedis();

    const children: Supervised[] = [];
    undo.push(() => stopAll(children));
    // The API brings the database to the present schema before it says that it is ready; the workers come after.
    const ready = role === 'worker' || interrupts.first.aborted ? null : await startApi(children);
    if (role !== 'api' && !interrupts.first.aborted) startWorkers(children);
    if (ready) {
      const url = urlOf(config.host, ready.port);
      greet(config, url, ready.firstAdmin, demo);
      tell({ ready: true, url, ...(ready.firstAdmin ? { firstAdmin: ready.firstAdmin } : {}) });
      if (demo) {
        const login = demoLogin(config, ready.firstAdmin ?? null);
        const right = await Promise.race([
          runDemo({ url, login, exit, signal: interrupts.first }),
          interrupts.happened,
        ]);
        if (exit) exitCode = right === true ? 0 : 1;
      }
    }
    if (!exit) await interrupts.happened;
  } finally {
    for (const step of undo.reverse()) await step();
    if (process.connected) process.disconnect();
  }
  if (failure) throw failure;
  return exitCode;
}

/** Runs until it is told to end. @returns the exit code */
export async function main(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  try {
    return await run(loadConfig(env), env, readArguments(args));
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

const startedAs = process.argv[1];
if (startedAs !== undefined && realpathSync(startedAs) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
