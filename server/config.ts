// The environment, parsed once: what an operator may set, what holds when nothing is set, and every problem named at
// once. Nothing else reads process.env.
import { isIP } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';

/** Where Redis answers; null: the launcher starts a private one and tells its children the socket. */
export type RedisPlace = { url: string } | { socket: string } | null;
export type DatabasePlace = { kind: 'sqlite'; file: string } | { kind: 'mysql'; url: string };

export interface Config {
  host: string;
  /** 0: any free one */
  port: number;
  /** absolute */
  dataDir: string;
  blobDir: string;
  /** the built pages, beside the compiled server */
  webDir: string;
  redis: RedisPlace;
  /** program that the launcher starts when `redis` is null */
  redisServer: string;
  database: DatabasePlace;
  /** worker processes */
  workers: number;
  /** proxies whose X-Forwarded-For and -Proto are believed, as express takes them */
  trustedProxies: string[];
  /** the first admin's password, when the operator chose one */
  adminPassword: string | null;
  /** most bytes of uploads that are kept at once; null: no limit but the disk */
  quota: { user: number | null; centre: number | null };
}

/** One line a problem, each beginning with the variable's name. */
export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`The environment does not fit:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const Text = v.string();
const wholeNumber = (from: number, to: number) =>
  v.pipe(
    Text,
    v.regex(/^\d{1,6}$/, `a whole number from ${from} to ${to}`),
    v.transform(Number),
    v.minValue(from, `a whole number from ${from} to ${to}`),
    v.maxValue(to, `a whole number from ${from} to ${to}`),
  );

const isUrl = (protocols: string[]) => (text: string) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && protocols.includes(url.protocol) && url.hostname !== '';
};

const isNetwork = (text: string): boolean => {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
};

const Environment = v.object({
  HOST: v.optional(Text, '127.0.0.1'),
  PORT: v.optional(wholeNumber(0, 65_535), '8080'),
  SHEAF_DATA: v.optional(Text, 'data'),
  REDIS_URL: v.optional(v.pipe(Text, v.check(isUrl(['redis:', 'rediss:']), 'redis://host:port or rediss://host:port'))),
  SHEAF_REDIS_SOCKET: v.optional(v.pipe(Text, v.check(path.isAbsolute, 'an absolute path'))),
  SHEAF_REDIS_SERVER: v.optional(Text, 'redis-server'),
  DATABASE_URL: v.optional(
    v.pipe(Text, v.check(isUrl(['mysql:']), 'mysql://user:password@host:port/database, or empty for SQLite')),
  ),
  SHEAF_WORKERS: v.optional(wholeNumber(1, 256)),
  SHEAF_USER_QUOTA_GB: v.optional(wholeNumber(1, 999_999)),
  SHEAF_CENTRE_QUOTA_GB: v.optional(wholeNumber(1, 999_999)),
  SHEAF_TRUSTED_PROXIES: v.optional(
    v.pipe(
      Text,
      v.transform((text) => text.split(/[\s,]+/).filter(Boolean)),
      v.array(v.pipe(Text, v.check(isNetwork, 'addresses, networks (10.0.0.0/8), loopback or uniquelocal, by commas'))),
    ),
    'loopback',
  ),
  SHEAF_ADMIN_PASSWORD: v.optional(v.pipe(Text, v.minLength(10, 'at least 10 characters'))),
});

/** The pages are built to dist/web; this file runs as dist/server/config.js, or from its source in tests. */
function webFolder(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  return import.meta.url.endsWith('.ts') ? path.join(here, '..', 'dist', 'web') : path.join(here, '..', 'web');
}

const bytes = (gb: number | undefined): number | null => (gb === undefined ? null : gb * 2 ** 30);

/** Reads what Sheaf needs from an environment; a variable that is set but empty counts as not set.
 *  @throws ConfigError that lists all problems */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const set = Object.fromEntries(
    Object.keys(Environment.entries)
      .map((name) => [name, env[name]?.trim()] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = v.safeParse(Environment, set);
  const problems = (parsed.issues ?? []).map((issue) => `${v.getDotPath(issue) ?? 'environment'}: ${issue.message}`);
  if (set.REDIS_URL !== undefined && set.SHEAF_REDIS_SOCKET !== undefined) {
    problems.push('REDIS_URL, SHEAF_REDIS_SOCKET: set one of them, not both');
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);

  const it = parsed.output;
  const dataDir = path.resolve(it.SHEAF_DATA);
  return {
    host: it.HOST,
    port: it.PORT,
    dataDir,
    blobDir: path.join(dataDir, 'blobs'),
    webDir: webFolder(),
    redis: it.REDIS_URL ? { url: it.REDIS_URL } : it.SHEAF_REDIS_SOCKET ? { socket: it.SHEAF_REDIS_SOCKET } : null,
    redisServer: it.SHEAF_REDIS_SERVER,
    database: it.DATABASE_URL
      ? { kind: 'mysql', url: it.DATABASE_URL }
      : { kind: 'sqlite', file: path.join(dataDir, 'sheaf.sqlite') },
    workers: it.SHEAF_WORKERS ?? os.availableParallelism(),
    trustedProxies: it.SHEAF_TRUSTED_PROXIES,
    adminPassword: it.SHEAF_ADMIN_PASSWORD ?? null,
    quota: { user: bytes(it.SHEAF_USER_QUOTA_GB), centre: bytes(it.SHEAF_CENTRE_QUOTA_GB) },
  };
}
