// vitest runs this before the projects that need servers: it starts what `npm test` has not started already, so that
// a single test file can be run by hand too.
import type { TestServer } from './servers.ts';
import { startMariaDb, startRedis } from './servers.ts';

export async function setup(): Promise<() => Promise<void>> {
  const started: TestServer[] = [];
  if (!process.env.TEST_MARIADB_URL) {
    const server = await startMariaDb();
    started.push(server);
    process.env.TEST_MARIADB_URL = server.url;
  }
  if (!process.env.TEST_REDIS_URL) {
    const server = await startRedis();
    started.push(server);
    process.env.TEST_REDIS_URL = server.url;
  }
  return async () => {
    await Promise.all(started.map((server) => server.stop()));
  };
}
