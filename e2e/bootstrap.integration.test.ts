// What `node bootstrap.mjs` says on machines that Sheaf cannot run on as they are.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, temporaryFolder } from './support/places.ts';

function bootstrap(args: string[], { node = [] as string[], env = {} as NodeJS.ProcessEnv } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, path.join(ROOT, 'bootstrap.mjs'), ...args], {
    env: { ...process.env, REDIS_URL: '', SHEAF_REDIS_SERVER: '', ...env },
    encoding: 'utf8',
  });
  return { status, stdout, lines: stderr.trim().split('\n') };
}

test('an old Node is told which one is needed', () => {
  const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.4" } })';
  const { status, stdout, lines } = bootstrap(['start'], {
    node: ['--import', `data:text/javascript,${encodeURIComponent(older)}`],
  });
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(lines).toEqual([expect.stringMatching(/needs Node 20\.19 or newer and this is 18\.20\.4/)]);
});

test('a machine without Redis and without apt is told what to install', () => {
  const folder = temporaryFolder();
  try {
    const { status, lines } = bootstrap(['start'], { env: { PATH: folder } });
    expect(status).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^Redis.* missing.*install redis-server, then try again\.$/)]);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('an unknown command is told the known ones', () => {
  const { status, lines } = bootstrap(['strat']);
  expect(status).toBe(1);
  expect(lines).toEqual([expect.stringContaining('demo|start|dev|check|test')]);
});

test('whoever asks for help is told the commands, and nothing is installed', () => {
  const { status, stdout } = bootstrap(['demo', '--help']);
  expect(status).toBe(0);
  expect(stdout).toContain('demo|start|dev|check|test');
});
