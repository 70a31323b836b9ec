// The settle route: what a person says of a group, named by its id, as decisions about the page it begins with. They are kept,
// audited and told as all decisions are (corrections/); whoever was not there to ask for one of more weight is refused.

import { randomUUID } from 'node:crypto';
import type { SettleForm } from '../../shared/protocol/batch.ts';
import type { Correct } from '../../shared/protocol/sync.ts';
import { sheetIdOf } from '../../shared/sheet-id.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import type { User } from '../auth/sessions.ts';
import { correct } from '../corrections/correct.ts';
import { correctionsOf } from '../corrections/read.ts';
import { refuse } from '../problem.ts';
import { lastPage, settledBy } from './grouping.ts';

/** Settles a group, or the part of it from a page on. Its batch has then to be scored again: that is asked for. */
export async function settleGroup(
  db: Database,
  user: User,
  { batch_id, batch_no }: BatchesTable,
  group_id: string,
  wish: SettleForm,
): Promise<void> {
  await db.write(async (tx) => {
    const { total_pages } = await tx
      .selectFrom('batches')
      .select('total_pages')
      .where('batch_id', '=', batch_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const groups = await tx
      .selectFrom('sheet_groups')
      .select(['group_index', 'first_page', 'cover_page'])
      .where('batch_id', '=', batch_id)
      .orderBy('group_index')
      .execute();
    const group = groups.find(({ group_index }) => `${batch_no}-${group_index}` === group_id);
    if (!group) {
      return refuse(
        'NOT_FOUND',
        `Batch ${batch_id} has no group ${group_id}. GET /api/batches/${batch_id}/groups lists its groups.`,
      );
    }
    const last = lastPage(groups, group.group_index, total_pages);
    const page = ('from_page' in wish ? wish.from_page : undefined) ?? group.first_page;
    if (page < group.first_page || page > last) {
      refuse(
        'VALIDATION_FAILED',
        `Group ${group_id} has the pages ${group.first_page} to ${last}; from_page is ${page}. Name a page of the group.`,
      );
    }
    if (wish.what === 'join' && group.group_index === 0)
      refuse('CONFLICT', `Group ${group_id} is the first: there is no group before it to join. Give it a task.`);

    const say = (at: number, field: string, value: string | null): Correct['items'][number] => ({
      sheet_id: String(sheetIdOf(batch_no, at)),
      field,
      value,
      // Whoever asks has just been told how the groups stand.
      base_rev: Number.MAX_SAFE_INTEGER,
    });
    const items: Correct['items'] = [];
    if (wish.what === 'as-read') {
      const covers = new Set(groups.flatMap(({ cover_page }) => cover_page ?? []));
      const known = await correctionsOf(tx, batch_id);
      for (const at of settledBy(known, covers).keys()) {
        if (at < group.first_page || at > last) continue;
        const own = known.get(sheetIdOf(batch_no, at)) ?? [];
        for (const field of new Set(own.map((one) => one.field)))
          if (field === 'opens' || (field === 'task' && covers.has(at))) items.push(say(at, field, null));
      }
      if (items.length === 0) return;
    } else items.push(say(page, 'opens', wish.what === 'task' ? wish.task_id : wish.what));
    await correct(db, tx, user, { batch_id, items, reason: null }, { client_id: randomUUID(), mid: 1 });
  });
}
