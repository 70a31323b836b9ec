// What a batch was made of, in one line of the audit log: the hash over the hashes of its pages, written when its results
// are loaded. Neither a page nor its stored hash can be replaced after that without showing.
import { createHash } from 'node:crypto';
import type { Database, Tx } from '../adapters/database.ts';

/** SHA-256 over one line a page that has been read: its index and the SHA-256 of its bytes. */
export async function pagesHash(sql: Pick<Tx, 'selectFrom'>, batch_id: string): Promise<string> {
  const rows = await sql
    .selectFrom('pages')
    .innerJoin('readings', 'readings.sheet_id', 'pages.sheet_id')
    .select(['page_index', 'image_sha256'])
    .where('batch_id', '=', batch_id)
    .orderBy('page_index')
    .execute();
  const hash = createHash('sha256');
  for (const { page_index, image_sha256 } of rows) hash.update(`${page_index} ${image_sha256}\n`);
  return hash.digest('hex');
}

/** The action of the entry that holds it, as `pages_sha256`. */
export const LOADED = 'batch.load';

/** By batch: what the newest entry says of its pages. */
export async function loadedPages(db: Database): Promise<Map<string, string>> {
  const rows = await db.sql
    .selectFrom('audit')
    .select(['subject', 'after_value'])
    .where('action', '=', LOADED)
    .orderBy('seq')
    .execute();
  return new Map(
    rows.map(({ subject, after_value }) => {
      const { pages_sha256 } = JSON.parse(after_value ?? '{}') as { pages_sha256?: string };
      return [subject.replace('batch:', ''), pages_sha256 ?? ''];
    }),
  );
}
