// `bench -- stream [--clients 500] [--seconds 30] [--cuts 100]`: watchers of one batch while sheets are done at the pace of
// the production batch of old. The steps are appended to the log as a worker does it, eight sheets a transaction; a step is
// as old as its transaction. API, Redis, watchers and the one who appends share the machine's cores.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { cpuSecondsOf } from '../support/processes.ts';
import { ClientTold } from './stream-order.ts';
import { openWatched } from './watched.ts';

const WATCHERS = fileURLToPath(new URL('./stream-clients.js', import.meta.url));
/** How long the last events may take to arrive before they count as lost. */
const PATIENCE_MS = 60_000;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const round = (value: number): number => Math.round(value * 1000) / 1000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clients: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '30' },
      cuts: { type: 'string', default: '100' },
      json: { type: 'boolean' },
    },
  });
  const [clients, seconds, cuts] = [Number(values.clients), Number(values.seconds), Number(values.cuts)];
  const watched = await openWatched();
  const { sheaf, client, db, batch_id } = watched;
  try {
    const newest = async (): Promise<number> =>
      (
        await db.sql
          .selectFrom('batches')
          .select('event_seq')
          .where('batch_id', '=', batch_id)
          .executeTakeFirstOrThrow()
      ).event_seq;
    const from = await newest();
    const order = { url: `${sheaf.url}/api/batches/${batch_id}/stream`, token: client.token, clients, from };
    const watchers = fork(WATCHERS, [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const answer = (): Promise<ClientTold> =>
      new Promise((resolve, reject) => {
        watchers.once('message', (message) => resolve(v.parse(ClientTold, message)));
        watchers.once('exit', (code) => reject(new Error(`the watchers ended (${code})`)));
      });
    await answer();
    say(`${clients} watchers, ${seconds} s, ${cuts} cuts`);

    const [began, cpu] = [performance.now(), await cpuSecondsOf(sheaf.pid('api'))];
    let cutSoFar = 0;
    const cutTo = (share: number): void => {
      for (; cutSoFar < cuts * Math.min(1, share); cutSoFar++) watchers.send('cut');
    };
    const pace = await watched.keepOn(seconds, (_, elapsed) => cutTo(elapsed / seconds));
    // The last step may have come late or early: as many cuts as were asked for, neither more nor fewer.
    cutTo(1);
    const share = ((await cpuSecondsOf(sheaf.pid('api'))) - cpu) / ((performance.now() - began) / 1000);

    const last = await newest();
    for (const until = Date.now() + PATIENCE_MS; ; await sleep(200)) {
      const counted = answer();
      watchers.send('count');
      const told = await counted;
      if (told.tell !== 'counted') throw new Error(`the watchers said ${told.tell}`);
      const missing = told.lasts.reduce((sum, reached) => sum + (last - reached), 0);
      if (missing > 0 && Date.now() < until) continue;
      watchers.removeAllListeners('exit').kill();
      const ages = told.ages.sort(([a], [b]) => a - b);
      const total = ages.reduce((sum, [, n]) => sum + n, 0);
      const percentile = (p: number): number => {
        let seen = 0;
        for (const [age, n] of ages) {
          seen += n;
          if (seen >= p * total) return age;
        }
        return Number.NaN;
      };
      return {
        clients,
        events: last - from,
        sheets_per_s: round(pace),
        p50_ms: percentile(0.5),
        p99_ms: percentile(0.99),
        api_cpu_share: round(share),
        reconnects: cutSoFar,
        lost: missing + told.wrong,
      };
    }
  } finally {
    await watched.stop();
  }
}
