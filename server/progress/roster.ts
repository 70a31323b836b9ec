// Which batches have changed, for whoever watches the whole list: it hears every poke, and looks itself at the batches
// that may change in case a poke is lost. Once a second it says what has changed since; who may know of it is asked by
// the one who passes it on.
import type { Database } from '../adapters/database.ts';
import { ACTIVE } from '../batches/life.ts';

const TICK_MS = 1000;
const LOOK_MS = 3000;
/** What ended or came this recently is still looked at: a poke about it may have been lost. */
const RECENT_MS = 120_000;
/** More at once are said as "look at all of them". */
const MOST_AT_ONCE = 500;

/** What decides who may know of a batch. */
export interface ListedBatch {
  batch_id: string;
  uploaded_by: string;
  centre_id: string | null;
  deleted_at: number | null;
}

/** null: any of them may have changed, or is gone */
export type Changed = (batches: readonly ListedBatch[] | null) => void;
export type Roster = ReturnType<typeof createRoster>;

export function createRoster(db: Database, report: (error: unknown) => void) {
  const watchers = new Set<Changed>();
  const poked = new Set<string>();
  /** what each batch that may change looked like; null before the first look */
  let seen: Map<string, string> | null = null;
  let lookedAt = 0;
  let timer: NodeJS.Timeout | null = null;
  let busy = false;

  async function look(): Promise<void> {
    lookedAt = Date.now();
    const since = lookedAt - RECENT_MS;
    const rows = await db.sql
      .selectFrom('batches')
      .select(['batch_id', 'rev', 'status', 'deleted_at'])
      .where((eb) =>
        eb.or([
          eb('status', 'in', ACTIVE),
          eb('status', '=', 'paused'),
          eb('created_at', '>', since),
          eb('processing_completed_at', '>', since),
          eb('deleted_at', 'is not', null),
        ]),
      )
      .execute();
    const now = new Map(rows.map((row) => [row.batch_id, `${row.rev} ${row.status} ${row.deleted_at}`]));
    // What has been quiet for long enough leaves the look without having changed; saying so costs one look at the list.
    for (const id of new Set([...(seen?.keys() ?? []), ...now.keys()]))
      if (seen && seen.get(id) !== now.get(id)) poked.add(id);
    seen = now;
  }

  async function tick(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      if (Date.now() - lookedAt >= LOOK_MS) await look();
      if (poked.size === 0) return;
      const ids = [...poked];
      poked.clear();
      const rows =
        ids.length > MOST_AT_ONCE
          ? []
          : await db.sql
              .selectFrom('batches')
              .select(['batch_id', 'uploaded_by', 'centre_id', 'deleted_at'])
              .where('batch_id', 'in', ids)
              .execute();
      // Of one that was purged nobody can tell any more whose it was.
      const all = rows.length < ids.length;
      for (const changed of watchers) changed(all ? null : rows);
    } catch (error) {
      report(error);
    } finally {
      busy = false;
    }
  }

  return {
    /** Says what changes from now on; returns the way to stop. */
    watch(changed: Changed): () => void {
      watchers.add(changed);
      timer ??= setInterval(() => void tick(), TICK_MS);
      return () => {
        watchers.delete(changed);
        if (watchers.size > 0 || !timer) return;
        clearInterval(timer);
        timer = null;
        seen = null;
        poked.clear();
      };
    },
    /** Something about this batch has changed. */
    poke(batchId: string): void {
      if (timer) poked.add(batchId);
    },
  };
}
