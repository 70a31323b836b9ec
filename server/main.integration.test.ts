// The launcher from outside: what it refuses, what it starts again, and that nothing is left when it ends.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, freePort, isAlive, temporaryFolder } from '../e2e/support/places.ts';
import { type Launched, launchSheaf, type Sheaf, type SheafOptions, startSheaf } from '../e2e/support/sheaf.ts';

let folder: string;
/** whoever is still there at a test's end is ended, whatever the test came to */
const running: Launched[] = [];
const launch = (options: SheafOptions): Launched => {
  const launched = launchSheaf({ dataDir: folder, ...options });
  running.push(launched);
  return launched;
};
const start = async (options: SheafOptions = {}): Promise<Sheaf> => {
  const sheaf = await startSheaf({ dataDir: folder, ...options });
  running.push(sheaf);
  return sheaf;
};

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  for (const { launcher, ended, pids } of running.splice(0)) {
    launcher.kill('SIGTERM');
    await ended;
    for (const pid of pids.values()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
  fs.rmSync(folder, { recursive: true, force: true });
});

const lines = (text: string): string[] => text.trim().split('\n');

const filesUnder = (place: string): string[] =>
  fs
    .readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

describe('what cannot be is refused in one clear sentence, and nothing is started', () => {
  async function refusal(options: SheafOptions): Promise<string> {
    const launched = launch(options);
    expect((await launched.ended).code).toBe(1);
    expect([...launched.pids.keys()]).toEqual([]);
    expect(lines(launched.output())).toHaveLength(1);
    return launched.output();
  }

  test('a busy port', async () => {
    const port = await freePort();
    const other = net.createServer().listen(port, '127.0.0.1');
    try {
      expect(await refusal({ env: { PORT: String(port) } })).toContain(`Port ${port} on 127.0.0.1 is in use`);
    } finally {
      other.close();
    }
  });

  test('a data folder that cannot be written', async () => {
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, '');
    expect(await refusal({ dataDir: path.join(file, 'data') })).toMatch(
      /data folder .* cannot be written .*SHEAF_DATA/,
    );
  });

  test('no Redis to start', async () => {
    const said = await refusal({ env: { SHEAF_REDIS_SERVER: '/nonexistent' } });
    expect(said).toMatch(/apt-get install redis-server.*REDIS_URL/);
  });

  test('a Redis of the operator that does not answer, its password not repeated', async () => {
    const said = await refusal({ env: { REDIS_URL: `redis://:secret@127.0.0.1:${await freePort()}` } });
    expect(said).toMatch(/No Redis answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/);
    expect(said).not.toContain('secret');
  });

  test('workers apart from the API without a Redis to meet in', async () => {
    expect(await refusal({ args: ['worker'] })).toContain('Set REDIS_URL');
  });

  test('an argument that means nothing', async () => {
    expect(await refusal({ args: ['all', '--demmo'] })).toContain('--demmo is not known');
  });

  test('an environment that does not fit, with all its problems', async () => {
    const launched = launch({ env: { PORT: 'eighty', SHEAF_WORKERS: 'many' } });
    expect((await launched.ended).code).toBe(1);
    expect(launched.output()).toMatch(/ {2}PORT: .*\n {2}SHEAF_WORKERS: /);
    expect([...launched.pids.keys()]).toEqual([]);
  });

  test('a second launcher on one data folder; the first does not notice', async () => {
    const first = await start();
    expect(await refusal({})).toMatch(new RegExp(`Another Sheaf \\(process ${first.pid('launcher')}\\) runs on`));
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  });
});

test('SIGTERM ends every process it started, and what Redis held is there at the next start', async () => {
  const sheaf = await start({ env: { SHEAF_WORKERS: '2' } });
  await eventually('both workers', () => sheaf.pids.has('worker 2'));
  const pids = [...sheaf.pids.values()];
  expect([...sheaf.pids.keys()].sort()).toEqual(['api', 'redis', 'worker 1', 'worker 2']);
  const redis = new Redis({ path: path.join(folder, 'redis', 'redis.sock') });
  await redis.set('note', 'kept');
  redis.disconnect();
  expect(await sheaf.stop()).toEqual({ code: 0, signal: null });
  expect(pids.filter(isAlive)).toEqual([]);

  await start();
  const again = new Redis({ path: path.join(folder, 'redis', 'redis.sock') });
  expect(await again.get('note')).toBe('kept');
  again.disconnect();
});

test('SIGTERM before it is ready ends every process as well', async () => {
  const launched = launch({});
  await eventually('the first process', () => launched.pids.size > 0);
  launched.launcher.kill('SIGTERM');
  expect(await launched.ended).toEqual({ code: 0, signal: null });
  expect([...launched.pids.values()].filter(isAlive)).toEqual([]);
});

test('the private Redis appends every write, evicts nothing, and opens no port', async () => {
  await start();
  const redis = new Redis({ path: path.join(folder, 'redis', 'redis.sock') });
  const setting = async (name: string): Promise<unknown> => ((await redis.config('GET', name)) as string[])[1];
  expect(await setting('appendonly')).toBe('yes');
  expect(await setting('appendfsync')).toBe('everysec');
  expect(await setting('maxmemory-policy')).toBe('noeviction');
  expect(await setting('port')).toBe('0');
  redis.disconnect();
  expect(fs.statSync(path.join(folder, 'redis', 'redis.sock')).mode & 0o077).toBe(0);
});

test('a data folder whose path is too long for a socket works, and leaves no socket behind', async () => {
  const dataDir = path.join(folder, 'x'.repeat(110));
  const sheaf = await start({ dataDir });
  const socket = fs.readFileSync(path.join(dataDir, 'redis', 'socket-path'), 'utf8');
  expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(100);
  expect((await fetch(`${sheaf.url}/healthz`)).status).toBe(200);
  await sheaf.stop();
  expect(fs.existsSync(path.dirname(socket))).toBe(false);
});

test.each(['worker 1', 'api', 'redis'])('a killed %s is started again, and says so in one line', async (name) => {
  const sheaf = await start();
  await eventually(name, () => sheaf.pids.has(name));
  const former = await sheaf.kill(name);
  await sheaf.restarted(name, former);
  const ends = () => lines(sheaf.output()).filter((line) => line.startsWith(`${name} ended`));
  await eventually('the line', () => ends().length > 0);
  const said = ends();
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('signal SIGKILL');
  // At the address where it was, although that port was any free one.
  await eventually('the API', async () => (await fetch(`${sheaf.url}/healthz`).catch(() => null))?.ok);
  await sheaf.client();
});

test('after SIGKILL of the launcher the next one ends what is left, and starts at the same port', async () => {
  const port = String(await freePort());
  const killed = await start({ env: { PORT: port } });
  await eventually('a worker', () => killed.pids.has('worker 1'));
  const left = [...killed.pids.values()];
  // One that cannot hear that its launcher is gone must be ended by force.
  process.kill(killed.pid('api'), 'SIGSTOP');
  await killed.kill('launcher');
  expect(isAlive(killed.pid('redis'))).toBe(true);

  const next = await start({ env: { PORT: port } });
  expect(left.filter(isAlive)).toEqual([]);
  expect(next.url).toBe(killed.url);
  await next.client();
});

test('API and workers run apart, meeting in a Redis of the operator’s', async () => {
  const redisUrl = process.env.TEST_REDIS_URL;
  expect(redisUrl).toBeDefined();
  const env = { REDIS_URL: `${redisUrl}/9` };
  const api = await start({ args: ['api'], env });
  const workers = launch({ args: ['worker'], env: { ...env, SHEAF_WORKERS: '2' } });
  await eventually('two workers', () => workers.pids.size === 2);
  expect([...api.pids.keys()]).toEqual(['api']);
  expect([...workers.pids.keys()]).toEqual(['worker 1', 'worker 2']);
  await api.client();
  expect(fs.existsSync(path.join(folder, 'redis'))).toBe(false);
  workers.launcher.kill('SIGTERM');
  expect((await workers.ended).code).toBe(0);
  expect((await api.stop()).code).toBe(0);
  expect([...api.pids.values(), ...workers.pids.values()].filter(isAlive)).toEqual([]);
});

test('the first admin’s password is shown once and written nowhere', async () => {
  const sheaf = await start({ env: { SHEAF_ADMIN_PASSWORD: undefined } });
  const { password } = sheaf.admin;
  expect(password.length).toBeGreaterThanOrEqual(10);
  await eventually('the password', () => sheaf.output().includes(password));
  await sheaf.client();
  await sheaf.stop();
  expect(sheaf.output().split(password)).toHaveLength(2);
  for (const file of filesUnder(folder)) expect(fs.readFileSync(file).includes(password), file).toBe(false);

  const again = await start({ env: { SHEAF_ADMIN_PASSWORD: undefined } });
  await again.stop();
  expect(again.output()).toContain(`Sheaf runs at ${again.url}`);
  expect(again.output()).not.toContain('password');
});
