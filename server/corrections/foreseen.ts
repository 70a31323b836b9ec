// What whoever sent a batch said of its groups before a page had arrived: it becomes decisions as any other once the pages
// are known. It holds for the page that was meant, and for no other in its place.
import * as v from 'valibot';
import { PageCorrection } from '../../shared/protocol/upload.ts';
import { sheetIdOf } from '../../shared/sheet-id.ts';
import type { BatchesTable, Database, Tx } from '../adapters/database.ts';
import { appendCorrection } from '../audit/corrections.ts';

/** Appends them, each once however often the batch is read. */
export async function appendForeseen(
  db: Database,
  tx: Tx,
  { batch_id, batch_no }: Pick<BatchesTable, 'batch_id' | 'batch_no'>,
): Promise<void> {
  const uploads = await tx
    .selectFrom('uploads')
    .innerJoin('users', 'users.user_id', 'uploads.owner')
    .select(['upload_id', 'grouping', 'owner', 'role', 'uploads.created_at'])
    .where('batch_id', '=', batch_id)
    .where('grouping', 'is not', null)
    .execute();
  for (const { upload_id, grouping, owner, role, created_at } of uploads) {
    // The last word on a page counts.
    const said = new Map(
      v.parse(v.array(PageCorrection), JSON.parse(grouping ?? '[]')).map((word) => [word.page_index, word]),
    );
    for (const word of said.values()) {
      const sheet_id = sheetIdOf(batch_no, word.page_index);
      const correction_id = `${upload_id}.${word.page_index}`;
      const page = await tx.selectFrom('pages').select('name').where('sheet_id', '=', sheet_id).executeTakeFirst();
      if (page?.name !== word.name) continue;
      const known = await tx
        .selectFrom('corrections')
        .select(['correction_id', 'rev'])
        .where('sheet_id', '=', sheet_id)
        .orderBy('rev')
        .execute();
      if (known.some((one) => one.correction_id === correction_id)) continue;
      await appendCorrection(
        db,
        tx,
        {
          correction_id,
          batch_id,
          sheet_id,
          field: 'opens',
          value: word.what === 'task' ? word.task_id : word.what,
          previous: null,
          reason: null,
          user_id: owner,
          role,
          client_id: upload_id,
          base_rev: 0,
          rev: (known.at(-1)?.rev ?? 0) + 1,
          created_at,
        },
        null,
      );
    }
  }
}
