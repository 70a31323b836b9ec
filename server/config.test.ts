import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError, loadConfig } from './config.ts';

const problemsOf = (env: Record<string, string>): string[] => {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

test('an empty environment is one machine on loopback: SQLite, a private Redis, a worker a core', () => {
  const config = loadConfig({});
  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    dataDir: path.resolve('data'),
    blobDir: path.resolve('data', 'blobs'),
    redis: null,
    redisServer: 'redis-server',
    database: { kind: 'sqlite', file: path.resolve('data', 'sheaf.sqlite') },
    workers: os.availableParallelism(),
    trustedProxies: ['loopback'],
    adminPassword: null,
  });
  expect(config.webDir.endsWith(path.join('dist', 'web'))).toBe(true);
});

test('what is set is taken, and a variable set to nothing counts as not set', () => {
  const config = loadConfig({
    HOST: '0.0.0.0',
    PORT: '0',
    SHEAF_DATA: '/srv/sheaf',
    REDIS_URL: 'redis://:secret@10.0.0.5:6379/2',
    SHEAF_REDIS_SOCKET: '',
    DATABASE_URL: 'mysql://sheaf:secret@db:3306/sheaf',
    SHEAF_WORKERS: '3',
    SHEAF_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    SHEAF_ADMIN_PASSWORD: 'ten letters',
  });
  expect(config).toMatchObject({
    host: '0.0.0.0',
    port: 0,
    dataDir: '/srv/sheaf',
    redis: { url: 'redis://:secret@10.0.0.5:6379/2' },
    database: { kind: 'mysql', url: 'mysql://sheaf:secret@db:3306/sheaf' },
    workers: 3,
    trustedProxies: ['10.0.0.0/8', '::1'],
    adminPassword: 'ten letters',
  });
});

test('a Redis behind a unix socket is named by its path', () => {
  expect(loadConfig({ SHEAF_REDIS_SOCKET: '/run/redis.sock' }).redis).toEqual({ socket: '/run/redis.sock' });
});

test('all problems are listed at once, each with the name of its variable', () => {
  const problems = problemsOf({
    PORT: '80a',
    SHEAF_WORKERS: '0',
    REDIS_URL: 'http://127.0.0.1',
    SHEAF_REDIS_SOCKET: 'redis.sock',
    DATABASE_URL: 'postgres://db/sheaf',
    SHEAF_ADMIN_PASSWORD: 'short',
  });
  for (const name of ['PORT', 'SHEAF_WORKERS', 'REDIS_URL', 'SHEAF_REDIS_SOCKET', 'DATABASE_URL']) {
    expect(problems.filter((problem) => problem.startsWith(`${name}:`))).toHaveLength(1);
  }
  expect(problems).toContain('SHEAF_ADMIN_PASSWORD: at least 10 characters');
  expect(problems).toContain('REDIS_URL, SHEAF_REDIS_SOCKET: set one of them, not both');
});

test('a problem never repeats the value: it may be a password', () => {
  expect(problemsOf({ SHEAF_ADMIN_PASSWORD: 'hunter2', DATABASE_URL: 'hunter2' }).join()).not.toContain('hunter2');
});

test.each(['65536', '-1', '8080.5', '1e3'])('%s is not a port', (port) => {
  expect(problemsOf({ PORT: port })).toEqual(['PORT: a whole number from 0 to 65535']);
});

test.each(['somewhere', '10.0.0.0/33', '10.0.0/8', '::1/129', '10.0.0.1/8/8'])('%s is no proxy', (proxy) => {
  expect(problemsOf({ SHEAF_TRUSTED_PROXIES: `loopback,${proxy}` }).join()).toMatch(
    /^SHEAF_TRUSTED_PROXIES.*: addresses/,
  );
});
