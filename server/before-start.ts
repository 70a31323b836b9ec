// What must hold before the launcher starts anything. Each question throws a Refusal that says what to do.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Config } from './config.ts';
import { askRedis, whyNoRedis } from './private-redis.ts';
import { Refusal } from './refusal.ts';

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Folder by folder: asked for all at once, Node tries for ever where none can be made (/proc). */
function makeFolder(folder: string): void {
  const there = fs.statSync(folder, { throwIfNoEntry: false });
  if (there?.isDirectory()) return;
  if (there)
    throw new Refusal(`The data folder ${folder} is a file: move it away, or choose a folder with SHEAF_DATA=folder.`);
  const parent = path.dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    // Scans and password hashes are nobody else's business on this machine.
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error; // made by another process meanwhile
  }
}

/** Makes the data folder when it is missing. Asks by writing: permission bits do not tell of a read-only disk. */
export function needWritableFolder(dataDir: string): void {
  try {
    makeFolder(path.resolve(dataDir));
    const probe = path.join(dataDir, `.writable-${process.pid}`);
    fs.writeFileSync(probe, '');
    fs.unlinkSync(probe);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      `The data folder ${dataDir} cannot be written (${codeOf(error)}): make it writable, or choose another with SHEAF_DATA=folder.`,
    );
  }
}

/** Asks by listening for a moment, trying again until `patienceMs` are over: a port may be just being freed. */
export async function needFreePort(host: string, port: number, patienceMs = 0): Promise<void> {
  if (port === 0) return;
  const until = Date.now() + patienceMs;
  for (;;) {
    const problem = await new Promise<string | null>((resolve) => {
      const server = net.createServer();
      server.once('error', (error) => resolve(codeOf(error)));
      server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
    });
    if (problem === null) return;
    if (problem === 'EADDRINUSE' && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      continue;
    }
    if (problem === 'EADDRINUSE') {
      const next = port < 65_535 ? port + 1 : port - 1;
      throw new Refusal(
        `Port ${port} on ${host} is in use: stop what listens there, or choose another with PORT=${next}.`,
      );
    }
    throw new Refusal(`Sheaf cannot listen on ${host} port ${port} (${problem}): choose another with HOST and PORT.`);
  }
}

function connects(url: URL): Promise<string | null> {
  return new Promise((resolve) => {
    const connection = net.connect({ host: url.hostname, port: Number(url.port || 6379) });
    connection.setTimeout(5000, () => {
      resolve('no answer in 5 s');
      connection.destroy();
    });
    connection.once('error', (error) => resolve(codeOf(error)));
    connection.once('connect', () => {
      resolve(null);
      connection.destroy();
    });
  });
}

/** A Redis of the operator's must answer; a private one must be there to start. */
export async function needRedis(config: Config): Promise<void> {
  if (config.redis === null) {
    const why = whyNoRedis(config.redisServer);
    if (why !== null) throw new Refusal(why);
  } else if ('socket' in config.redis) {
    if ((await askRedis(config.redis.socket, 'PING')) !== null) return;
    throw new Refusal(`No Redis answers at ${config.redis.socket}: start it, or correct SHEAF_REDIS_SOCKET.`);
  } else {
    const url = new URL(config.redis.url);
    const problem = await connects(url);
    if (problem === null) return;
    throw new Refusal(`No Redis answers at ${url.host} (${problem}): start it, or correct REDIS_URL.`);
  }
}
