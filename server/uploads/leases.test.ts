// The right to write one chunk, over a real database and a clock that the tests turn: whoever comes when, in one process
// or several, no two may write at the same time, and a holder that is gone does not keep a chunk for ever.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually } from '../../e2e/support/places.ts';
import type { Database, UploadsTable } from '../adapters/database.ts';
import { openSqlite } from '../adapters/sqlite.ts';
import type { User } from '../auth/sessions.ts';
import { createLeases, LEASE_MS, type Lease, type Leases } from './leases.ts';
import { chunkRow, findUpload, insertUpload } from './ledger.ts';

const OLGA: User = {
  user_id: randomUUID(),
  username: 'olga',
  role: 'operator',
  centres: [],
  must_change_password: false,
  session_id: randomUUID(),
  device: 'a tablet',
};
const HASH = '0'.repeat(64);

let folder: string;
let db: Database;
let upload: UploadsTable;
let a: Leases;
let b: Leases;

beforeEach(async () => {
  // Timers of the database's own stay real.
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setInterval', 'clearInterval'] });
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-leases-'));
  db = await openSqlite(path.join(folder, 'sheaf.sqlite'));
  await db.migrate();
  upload = await newUpload();
  a = createLeases(db, 'process a');
  b = createLeases(db, 'process b');
});
afterEach(async () => {
  vi.useRealTimers();
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

async function newUpload(): Promise<UploadsTable> {
  const ids = { upload_id: randomUUID(), batch_id: randomUUID(), token: randomUUID() };
  const opened = {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: 'scans.zip',
    size: 10_000_000,
    chunk_size: 1_000_000,
    task_id: null,
    files: null,
  } as const;
  await db.write((tx) => insertUpload(db, tx, OLGA, opened, ids));
  return findUpload(db, { kind: 'user', user: OLGA }, ids.upload_id);
}

const take = (by: Leases, epoch: number, evicted: () => void = () => undefined, index = 0): Promise<Lease> =>
  by.take(upload, index, HASH, epoch, evicted);
/** Lets time go by, and what is due be done. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await vi.advanceTimersByTimeAsync(Math.min(500, left));
    // A renewal is a write of the real database.
    await new Promise((resolve) => setImmediate(resolve));
    await db.write(async () => undefined);
  }
}
const row = (index = 0) => chunkRow(db.sql, upload.upload_id, index).executeTakeFirstOrThrow();
const busy = { name: 'RequestRefused', code: 'CHUNK_BUSY', status: 423, extra: { retryAfter: 5 } };

describe('two processes', () => {
  test('who holds a chunk and is alive keeps it, however long it takes', async () => {
    const holder = await take(a, 1);
    for (let minute = 0; minute < 5; minute++) {
      await pass(60_000);
      expect(holder.valid()).toBe(true);
      await expect(take(b, 1)).rejects.toMatchObject(busy);
    }
    await holder.release();
    expect((await take(b, 1)).valid()).toBe(true);
  });

  test('[U6] a newer sender waits until the older one’s lease has run out, and the older one stops well before that', async () => {
    const stale = await take(a, 1);
    await expect(take(b, 2)).rejects.toMatchObject(busy);
    const until = (await row()).lease_until ?? 0;
    let fresh: Lease | null = null;
    while (!fresh) {
      await pass(500);
      fresh = await take(b, 2).catch(() => null);
      if (fresh) expect(Date.now()).toBeGreaterThanOrEqual(until);
      if (Date.now() > until - 4000) expect(stale.valid(), 'it writes no more').toBe(false);
      expect(stale.valid() && fresh?.valid()).not.toBe(true);
      expect(Date.now()).toBeLessThan(until + 2 * LEASE_MS);
    }
    // Its last write may have been under way: the chunk is hashed once more at the seal.
    expect(fresh.chunk.contested).toBe(1);
    await stale.release();
    expect(fresh.valid(), 'what is given back is one’s own only').toBe(true);
    expect((await row()).lease_id).toBe(fresh.id);
  });

  test('a holder that was killed keeps the chunk for one lease', async () => {
    await take(a, 1);
    vi.clearAllTimers(); // it renews nothing any more
    await expect(take(b, 1)).rejects.toMatchObject(busy);
    await pass(LEASE_MS - 1000);
    await expect(take(b, 1)).rejects.toMatchObject(busy);
    await pass(1500);
    expect((await take(b, 1)).chunk.contested).toBe(1);
  });

  test('a database that does not answer renews nothing: the holder stops in time', async () => {
    let away = false;
    const weak: Database = {
      ...db,
      sql: db.sql,
      write: (work) => (away ? Promise.reject(new Error('gone')) : db.write(work)),
    };
    const holder = await createLeases(weak, 'process c').take(upload, 0, HASH, 1, () => undefined);
    away = true;
    await pass(5000);
    expect(holder.valid()).toBe(true);
    await pass(LEASE_MS);
    expect(holder.valid()).toBe(false);
  });

  test('other chunks are other leases', async () => {
    await take(a, 1);
    expect((await take(b, 1, undefined, 1)).valid()).toBe(true);
  });
});

describe('one process', () => {
  test('a newer epoch evicts the older request at once, and begins when it has let go', async () => {
    let evicted = 0;
    const old = await take(a, 1, () => evicted++);
    const began = Date.now();
    const taking = take(a, 2);
    await eventually('the eviction', () => evicted === 1);
    expect(old.valid()).toBe(false);
    let begun = false;
    taking.then(
      () => (begun = true),
      () => undefined,
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun, 'a write of the older one may be under way').toBe(false);
    await old.release();
    const fresh = await taking;
    expect(fresh.valid()).toBe(true);
    expect(Date.now() - began, 'no lease was waited for').toBeLessThan(1000);
    expect((await row()).epoch).toBe(2);
  });

  test('the same sender’s second request is told to wait while bytes move, and takes over when they do not', async () => {
    let evicted = 0;
    const first = await take(a, 1, () => evicted++);
    for (let second = 0; second < 20; second++) {
      await pass(1000);
      first.moved();
      await expect(take(a, 1)).rejects.toMatchObject(busy);
    }
    expect(evicted).toBe(0);
    await pass(6000);
    const taking = take(a, 1);
    await eventually('the eviction', () => evicted === 1);
    await first.release();
    expect((await taking).valid()).toBe(true);
  });

  test('an older epoch does not evict a newer one', async () => {
    const holder = await take(a, 3);
    await expect(take(a, 2)).rejects.toMatchObject(busy);
    expect(holder.valid()).toBe(true);
  });
});

test('[U4] a verified chunk is nobody’s to write', async () => {
  const holder = await take(a, 1);
  await db.write((tx) =>
    tx.updateTable('chunks').set({ state: 'verified', landed: 1_000_000, lease_id: null, lease_until: null }).execute(),
  );
  holder.freed();
  await holder.release();
  for (const by of [a, b]) {
    const lease = await take(by, 9);
    expect(lease.chunk.state).toBe('verified');
    expect(lease.valid()).toBe(false);
    await lease.release();
  }
  expect(await row()).toMatchObject({ state: 'verified', epoch: 1, lease_id: null });
});

test('[U6] whoever comes, goes, is killed or waits: never may two write', { timeout: 180_000 }, async () => {
  const command = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), by: fc.nat(2), newer: fc.boolean() }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat(9) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(500, 3000, 6000, 12_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 14 }), async (commands) => {
      upload = await newUpload();
      const processes = ['x', 'y', 'z'].map((name) => createLeases(db, `${name} ${upload.upload_id}`));
      const leases: Lease[] = [];
      let epoch = 1;
      const taking: Promise<unknown>[] = [];
      for (const one of commands) {
        if (one.kind === 'pass') await pass(one.ms);
        else if (one.kind === 'release') {
          const [lease] = leases.splice(one.which % Math.max(1, leases.length), 1);
          await lease?.release();
        } else {
          epoch += Number(one.newer);
          let lease: Lease | undefined;
          // Evicted, a request lets go as soon as it can.
          const evicted = (): void => void lease?.release();
          taking.push(
            take(processes[one.by] as Leases, epoch, evicted).then(
              (taken) => {
                lease = taken;
                leases.push(taken);
              },
              () => undefined,
            ),
          );
          await new Promise((resolve) => setImmediate(resolve));
          await db.write(async () => undefined);
        }
        expect(leases.filter((lease) => lease.valid()).length).toBeLessThanOrEqual(1);
      }
      await Promise.all(taking);
      expect(leases.filter((lease) => lease.valid()).length).toBeLessThanOrEqual(1);
      for (const lease of leases) await lease.release();
    }),
    { numRuns: 25 },
  );
});
