// What the benches about watching begin with: a real server with one batch, to whose log steps are appended as a worker
// does it, eight sheets a transaction, at the pace of the production batch of old.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Database } from '../../server/adapters/database.ts';
import { briefConnection } from '../../server/adapters/redis.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import type { Client } from '../../server/cli/client.ts';
import { createAnnounce } from '../../server/progress/announce.ts';
import { append, iso } from '../../server/progress/log.ts';
import type { LoggedEvent } from '../../shared/protocol/stream.ts';
import { OpenUploadAnswer } from '../../shared/protocol/upload.ts';
import { startRedis } from '../support/servers.ts';
import { type Sheaf, startSheaf } from '../support/sheaf.ts';

/** Sheets a second of the batch that the production figures are of. */
const PACE = 83.5;
export const SHEETS_A_STEP = 8;
export const BATCH_NAME = 'watched.zip';

function step(first: number): LoggedEvent[] {
  const now = iso(Date.now());
  return Array.from({ length: SHEETS_A_STEP }, (_, i): LoggedEvent[] => {
    const id = String(first + i);
    return [
      { type: 'item.started', data: { item_id: id, item_index: first + i, started_at: now } },
      {
        type: 'item.completed',
        data: { item_id: id, item_index: first + i, sheet_id: id, duration_ms: 12, completed_at: now },
      },
    ];
  }).flat();
}

export interface Watched {
  sheaf: Sheaf;
  client: Client;
  db: Database;
  batch_id: string;
  /** Appends a step and tells of it. `at`: when its transaction began, ms since 1970; `last`: sheets done with it. */
  next(): Promise<{ at: number; last: number }>;
  /** Appends steps at the pace for so long. @returns sheets a second */
  keepOn(seconds: number, each: (step: { at: number; last: number }, elapsed_s: number) => void): Promise<number>;
  stop(): Promise<void>;
}

export async function openWatched(): Promise<Watched> {
  const server = await startRedis();
  const sheaf = await startSheaf({ env: { REDIS_URL: server.url } });
  const redis = briefConnection({ url: server.url });
  const db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
  const client = await sheaf.client();
  const { batch_id } = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: BATCH_NAME,
    size: 2 ** 20,
  });
  const announce = createAnnounce(redis);
  let sheets = 0;
  const next = async (): Promise<{ at: number; last: number }> => {
    const at = Date.now();
    announce(await db.write((tx) => append(tx, batch_id, step(sheets))));
    sheets += SHEETS_A_STEP;
    return { at, last: sheets };
  };
  return {
    sheaf,
    client,
    db,
    batch_id,
    next,
    async keepOn(seconds, each) {
      const [from, began] = [sheets, performance.now()];
      const elapsed = (): number => (performance.now() - began) / 1000;
      while (elapsed() < seconds) {
        each(await next(), elapsed());
        const due_ms = ((sheets - from) / PACE - elapsed()) * 1000;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, due_ms)));
      }
      return (sheets - from) / elapsed();
    },
    async stop() {
      redis.disconnect();
      await db.close();
      await sheaf.stop();
      await server.stop();
    },
  };
}
