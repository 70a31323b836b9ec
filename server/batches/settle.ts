// A person's word on which task a group's sheets belong to. It is kept beside what was read and never overwritten by it:
// pages that are read again are grouped by it again. Only the sheets that change hands are scored anew.
import type { SettleForm } from '../../shared/protocol/batch.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { User } from '../auth/sessions.ts';
import { scopeOf, tellBatch, tellChanges } from '../changes.ts';
import { placePages } from '../corrections/place.ts';
import { requestRescoreOf } from '../keys/rescore.ts';
import { refuse } from '../problem.ts';
import { groupsOf, HELD, keepGroups, lastPage } from './grouping.ts';

/** Settles a group, or the part of it from a page on. Its batch has then to be scored again: that is asked for. */
export async function settleGroup(
  db: Database,
  user: User,
  { batch_id, batch_no }: BatchesTable,
  group_id: string,
  wish: SettleForm,
): Promise<void> {
  await db.write(async (tx) => {
    const batch = await tx
      .selectFrom('batches')
      .selectAll()
      .where('batch_id', '=', batch_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (batch.status !== 'completed' && batch.status !== 'completed_with_errors') {
      refuse(
        'CONFLICT',
        `Batch ${batch_id} is ${batch.status}: groups are settled when it has completed. Wait for that, then settle.`,
      );
    }
    const before = await tx
      .selectFrom('sheet_groups')
      .select(['group_index', 'first_page', 'task_id', 'state'])
      .where('batch_id', '=', batch_id)
      .orderBy('group_index')
      .execute();
    const group = before.find(({ group_index }) => `${batch_no}-${group_index}` === group_id);
    if (!group) {
      return refuse(
        'NOT_FOUND',
        `Batch ${batch_id} has no group ${group_id}. GET /api/batches/${batch_id}/groups lists its groups.`,
      );
    }
    const last = lastPage(before, group.group_index, batch.total_pages);
    const page = ('from_page' in wish ? wish.from_page : undefined) ?? group.first_page;
    if (page < group.first_page || page > last) {
      refuse(
        'VALIDATION_FAILED',
        `Group ${group_id} has the pages ${group.first_page} to ${last}; from_page is ${page}. Name a page of the group.`,
      );
    }
    if (wish.what === 'join' && group.group_index === 0)
      refuse('CONFLICT', `Group ${group_id} is the first: there is no group before it to join. Give it a task.`);

    if (wish.what === 'as-read') {
      await tx
        .deleteFrom('settlements')
        .where('batch_id', '=', batch_id)
        .where('first_page', '>=', group.first_page)
        .where('first_page', '<=', last)
        .execute();
    } else {
      const task_id = wish.what === 'task' ? wish.task_id : null;
      await db.upsert(tx, 'settlements', [
        {
          batch_id,
          first_page: page,
          what: wish.what,
          task_id,
          user_id: user.user_id,
          page_name: null,
          settled_at: Date.now(),
        },
      ]);
    }
    const groups = await groupsOf(tx, batch);
    const moved = await keepGroups(tx, batch, groups);
    // What was said of one cover or one sheet holds within what is said of groups.
    const placed = await placePages(tx, batch);
    const held = groups.filter(({ state }) => HELD.includes(state)).length;
    await tx
      .updateTable('batches')
      .set((eb) => ({
        status: held > 0 || batch.failed_sheets > 0 ? 'completed_with_errors' : 'completed',
        rev: eb('rev', '+', 1),
      }))
      .where('batch_id', '=', batch_id)
      .execute();
    await audit(db, tx, {
      ...by(user),
      action: 'group.settle',
      subject: `batch:${batch_id}`,
      before: { group_id, task_id: group.task_id, state: group.state },
      after: { ...wish, page, moved_pages: moved.length, groups: groups.length, held },
    });
    const scope = scopeOf(batch_id);
    await tellChanges(
      db,
      tx,
      scope,
      'group',
      // Those that are there no longer too.
      [...new Set([...before, ...groups].map(({ group_index }) => group_index))],
    );
    await tellChanges(db, tx, scope, 'sheet', [...new Set([...moved, ...placed.sheets])]);
    await tellBatch(tx, batch_id);
    await requestRescoreOf(db, tx, batch_id, `group ${group_id} was settled`, user.user_id);
  });
}
