// The demonstration as a person starts it: the launcher with --demo, from nothing to compared results.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually, isAlive, temporaryFolder } from './support/places.ts';
import { launchSheaf } from './support/sheaf.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = temporaryFolder();
});
afterEach(() => fs.rmSync(dataDir, { recursive: true, force: true }));

const env = { SHEAF_ADMIN_PASSWORD: undefined, SHEAF_WORKERS: '2' };
const demo = (...more: string[]) => launchSheaf({ dataDir, env, args: ['all', '--demo', ...more] });

test('the demo reads all its sheets right, twice on one data folder', async () => {
  for (const run of ['first', 'second']) {
    const launched = demo('--exit');
    expect(await launched.ended, `${run}: ${launched.output()}`).toEqual({ code: 0, signal: null });
    expect(launched.output()).toContain('51 sheets, 0 failed, all 7650 answers equal what was drawn');
    expect([...launched.pids.values()].filter(isAlive)).toEqual([]);
  }
  expect(fs.statSync(path.join(dataDir, 'demo-login')).mode & 0o777).toBe(0o600);
});

test('the demo on a folder whose password it was never told says what to do', async () => {
  const plain = launchSheaf({ dataDir, env });
  await plain.ready;
  plain.launcher.kill('SIGTERM');
  await plain.ended;

  const launched = demo('--exit');
  expect((await launched.ended).code).toBe(1);
  expect(launched.output()).toContain("does not know this data folder's admin password: set SHEAF_ADMIN_PASSWORD");
});

test('Ctrl-C in the middle of the demo ends every process at once', async () => {
  const launched = demo();
  await eventually('the sending', () => launched.output().includes('Sending'));
  launched.launcher.kill('SIGINT');
  expect((await launched.ended).code).toBe(0);
  expect([...launched.pids.values()].filter(isAlive)).toEqual([]);
});
