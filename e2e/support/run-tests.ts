// All checks in one go: types, lint, the web build, then vitest with the servers it needs. The last line is always
// `N passed, N failed`.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, temporaryFolder } from './places.ts';
import type { TestServer } from './servers.ts';
import { startMariaDb, startRedis } from './servers.ts';
import { type Tally, tallyOf } from './tally.ts';

const PROJECTS = ['unit', 'integration', 'e2e'];
const tool = (...parts: string[]): string => path.join(ROOT, 'node_modules', ...parts);

interface Run {
  code: number;
  output: string;
}

function runNode(args: string[], show: boolean, signal: AbortSignal, env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    });
    const stop = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', stop);
    child.stdout?.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.stderr?.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.once('error', (error) => (output += error.message));
    child.once('close', (code) => {
      signal.removeEventListener('abort', stop);
      resolve({ code: code ?? 1, output });
    });
  });
}

/** A check without tests of its own: quiet when it passes, named in `failures` when not. */
async function check(name: string, args: string[], failures: string[], signal: AbortSignal): Promise<Tally> {
  const started = Date.now();
  const { code, output } = await runNode(args, false, signal);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
  if (code === 0) return { passed: 1, failed: 0 };
  process.stdout.write(`${output.trimEnd()}\n`);
  failures.push(name);
  return { passed: 0, failed: 1 };
}

async function vitest(projects: string[], filters: string[], signal: AbortSignal): Promise<Tally> {
  const folder = temporaryFolder();
  const servers: TestServer[] = [];
  try {
    const env: NodeJS.ProcessEnv = {};
    if (projects.some((project) => project !== 'unit')) {
      const [mariadb, redis] = await Promise.all([startMariaDb(), startRedis()]);
      servers.push(mariadb, redis);
      env.TEST_MARIADB_URL = mariadb.url;
      env.TEST_REDIS_URL = redis.url;
    }
    if (signal.aborted) return { passed: 0, failed: 1 };
    const report = path.join(folder, 'report.json');
    const { code } = await runNode(
      [
        tool('vitest', 'vitest.mjs'),
        'run',
        ...projects.flatMap((project) => ['--project', project]),
        '--passWithNoTests',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...filters,
      ],
      true,
      signal,
      env,
    );
    return tallyOf(fs.existsSync(report) ? fs.readFileSync(report, 'utf8') : null, code);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param args project names (all when none is given), then file filters. @returns the exit code */
export async function runTests(args: string[]): Promise<number> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupted.abort());
  const { signal } = interrupted;

  const named = args.filter((arg) => PROJECTS.includes(arg));
  const filters = args.filter((arg) => !PROJECTS.includes(arg));
  const projects = named.length > 0 ? named : PROJECTS;
  const tallies: Tally[] = [];
  const failures: string[] = [];
  const steps: (() => Promise<Tally>)[] = [
    () => check('types', [tool('typescript', 'bin', 'tsc'), '-b'], failures, signal),
    () => check('lint', [tool('@biomejs', 'biome', 'bin', 'biome'), 'check', '.'], failures, signal),
    () => vitest(projects, filters, signal),
  ];
  if (projects.includes('e2e')) {
    steps.splice(2, 0, () => check('web build', [tool('vite', 'bin', 'vite.js'), 'build'], failures, signal));
  }
  for (const step of steps) {
    if (signal.aborted) break;
    try {
      tallies.push(await step());
    } catch (error) {
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
      tallies.push({ passed: 0, failed: 1 });
    }
  }
  if (signal.aborted) tallies.push({ passed: 0, failed: 1 });
  // Far above by now: what vitest says stands between.
  if (failures.length > 0) process.stdout.write(`failed before the tests: ${failures.join(', ')}\n`);
  const sum = (of: keyof Tally): number => tallies.reduce((total, tally) => total + tally[of], 0);
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  return sum('failed') === 0 ? 0 : 1;
}
