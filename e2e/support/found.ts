// All that was found out about a batch, so that two that should be the same can be compared.
import type { Database } from '../../server/adapters/database.ts';
import type { Client } from '../../server/cli/client.ts';
import { GroupList } from '../../shared/protocol/batch.ts';

/** Groups, pages with their readings, and both exports, free of the numbers that any two batches differ in. */
export async function found(client: Client, db: Database, batchId: string) {
  const { items } = await client.call(GroupList, 'GET', `/api/batches/${batchId}/groups`);
  const readings = await db.sql
    .selectFrom('pages')
    .leftJoin('readings', 'readings.sheet_id', 'pages.sheet_id')
    .select(['page_index', 'name', 'state', 'kind', 'error_message', 'group_index', 'task_id'])
    .select(['engine_version', 'template_id', 'template_version', 'image_sha256', 'content'])
    .where('batch_id', '=', batchId)
    .orderBy('page_index')
    .execute();
  const csv = async (format: string): Promise<string> =>
    (await client.text(`/api/batches/${batchId}/export?format=${format}`)).replace(/^\d+(?=,)/gm, (sheet_id) =>
      String(Number(sheet_id) % 1_000_000),
    );
  return {
    // What they note tells of other batches.
    groups: items.map(({ group_id: _, notes: __, ...group }) => group),
    readings,
    long: await csv('long'),
    wide: await csv('wide'),
  };
}
