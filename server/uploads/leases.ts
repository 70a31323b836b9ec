// The right to write one chunk. It is a row in the database, so that several API processes, and sockets that outlived
// their sender, cannot write over each other: who holds it writes until it is given back or its time runs out, and
// nobody else begins before that. A newer epoch makes the holder stop: at once in this process, by its next renewal in
// another one.
import { randomUUID } from 'node:crypto';
import type { ChunksTable, Database, UploadsTable } from '../adapters/database.ts';
import { refuse } from '../problem.ts';
import { beginStage } from '../progress/log.ts';
import { chunkRow } from './ledger.ts';

/** A lease outlives the pauses of a slow line, and is free soon after its holder was killed. */
export const LEASE_MS = 15_000;
/** Writing stops this long before the lease runs out: room for a write under way, and for clocks that differ. */
const MARGIN_MS = 4000;
/** A request on which nothing has moved for this long gives way to a new one of the same sender. */
const STALLED_MS = 5000;

export interface Lease {
  readonly id: string;
  readonly chunk: ChunksTable;
  /** false as soon as somebody else may write soon */
  valid(): boolean;
  /** bytes have moved */
  moved(): void;
  /** the row is free already: the commit that verified the chunk has freed it */
  freed(): void;
  release(): Promise<void>;
}

interface Holder {
  epoch: number;
  movedAt: number;
  evict: () => void;
  released: Promise<void>;
}

export interface Leases {
  /** Takes the lease of a chunk that is not verified, or returns the verified chunk's row in a lease that needs no
   *  release. `evicted` is called when a newer sender takes over. @throws RequestRefused `CHUNK_BUSY`, `STALE_EPOCH` */
  take(upload: UploadsTable, index: number, sha256: string, epoch: number, evicted: () => void): Promise<Lease>;
  /** Frees what this process held when it was killed: nobody else runs under its name now. */
  drop(): Promise<void>;
}

export function createLeases(db: Database, instance: string): Leases {
  const holders = new Map<string, Holder>();

  const busy = (upload: UploadsTable, index: number): never =>
    refuse(
      'CHUNK_BUSY',
      `Chunk ${index} of upload ${upload.upload_id} is being written by another request. Try again in a moment.`,
      { retryAfter: 5 },
    );

  /** Writes the lease into the row; null while another process holds it. */
  const enter = (
    upload: UploadsTable,
    index: number,
    sha256: string,
    epoch: number,
    id: string,
  ): Promise<ChunksTable | null> =>
    db.write(async (tx) => {
      const now = Date.now();
      const key = { upload_id: upload.upload_id, chunk_index: index };
      await db.insertNew(tx, 'chunks', [
        {
          ...key,
          state: 'landing',
          landed: 0,
          sha256,
          epoch,
          contested: 0,
          lease_id: null,
          lease_until: null,
          verified_at: null,
        },
      ]);
      const chunks = tx.updateTable('chunks').where('upload_id', '=', key.upload_id).where('chunk_index', '=', index);
      const row = await chunkRow(tx, key.upload_id, index).forUpdate().executeTakeFirstOrThrow();
      if (row.state === 'verified') return row;
      if (row.lease_id !== null && (row.lease_until ?? 0) > now) {
        // The holder's renewals fail from here on, so the lease runs out.
        if (epoch > row.epoch) await chunks.set({ epoch }).execute();
        return null;
      }
      const taken: ChunksTable = {
        ...row,
        // Bytes that came for another hash are another file's: they do not count.
        landed: row.sha256 === sha256 ? row.landed : 0,
        sha256,
        epoch: Math.max(epoch, row.epoch),
        contested: row.contested || row.lease_id !== null || (row.landed > 0 && row.epoch !== epoch) ? 1 : 0,
        lease_id: id,
        lease_until: now + LEASE_MS,
      };
      await chunks.set(taken).execute();
      await tx
        .updateTable('uploads')
        .set({ epoch })
        .where('upload_id', '=', key.upload_id)
        .where('epoch', '<', epoch)
        .execute();
      await tx
        .updateTable('batches')
        .set({ first_byte_at: now })
        .where('batch_id', '=', upload.batch_id)
        .where('first_byte_at', 'is', null)
        .execute();
      await beginStage(db, tx, upload.batch_id, 'uploading', now);
      return taken;
    });

  return {
    async take(upload, index, sha256, epoch, evicted) {
      const name = `${upload.upload_id} ${index}`;
      const before = holders.get(name);
      if (before) {
        if (epoch <= before.epoch && Date.now() - before.movedAt < STALLED_MS) return busy(upload, index);
        before.evict();
        await before.released;
      }
      const id = `${instance} ${randomUUID()}`;
      const asked = performance.now();
      const chunk = (await enter(upload, index, sha256, epoch, id)) ?? busy(upload, index);
      if (chunk.state === 'verified')
        return {
          id,
          chunk,
          valid: () => false,
          moved: () => undefined,
          freed: () => undefined,
          release: async () => undefined,
        };

      let until = asked + LEASE_MS;
      let lost = false;
      let held = true;
      const setMine = (to: Partial<ChunksTable>): Promise<boolean> =>
        db.write(async (tx) => {
          const done = await tx
            .updateTable('chunks')
            .set(to)
            .where('upload_id', '=', upload.upload_id)
            .where('chunk_index', '=', index)
            .where('lease_id', '=', id)
            .where('epoch', '=', chunk.epoch)
            .executeTakeFirst();
          return done.numUpdatedRows === 1n;
        });
      const renewal = setInterval(() => {
        const began = performance.now();
        setMine({ lease_until: Date.now() + LEASE_MS }).then(
          (renewed) => {
            if (renewed) until = began + LEASE_MS;
            else lost = true;
          },
          // A database that does not answer renews nothing: the lease runs out by itself.
          () => undefined,
        );
      }, LEASE_MS / 3);
      renewal.unref();
      let free = (): void => undefined;
      const holder: Holder = {
        epoch,
        movedAt: Date.now(),
        evict: () => {
          lost = true;
          evicted();
        },
        released: new Promise((resolve) => {
          free = resolve;
        }),
      };
      holders.set(name, holder);
      return {
        id,
        chunk,
        valid: () => !lost && performance.now() < until - MARGIN_MS,
        moved: () => {
          holder.movedAt = Date.now();
        },
        freed: () => {
          held = false;
        },
        async release() {
          clearInterval(renewal);
          try {
            // Whatever its epoch is by now: nothing of ours is being written any more.
            if (!held) return;
            await db.write((tx) =>
              tx
                .updateTable('chunks')
                .set({ lease_id: null, lease_until: null })
                .where('upload_id', '=', upload.upload_id)
                .where('chunk_index', '=', index)
                .where('lease_id', '=', id)
                .execute(),
            );
          } finally {
            if (holders.get(name) === holder) holders.delete(name);
            free();
          }
        },
      };
    },
    async drop() {
      await db.write((tx) =>
        tx
          .updateTable('chunks')
          .set({ lease_id: null, lease_until: null, contested: 1 })
          // Ours begin with our name and a space; `!` is the character after it.
          .where('lease_id', '>=', `${instance} `)
          .where('lease_id', '<', `${instance}!`)
          .execute(),
      );
    },
  };
}
