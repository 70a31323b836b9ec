// A packet under suspicion: how well its answers fit every key and booklet that could apply, and a supervisor's word that
// the key is right after all.
import type { GroupFit } from '../../shared/protocol/key.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { User } from '../auth/sessions.ts';
import { refuse } from '../problem.ts';
import { keyring, keysOf, nameOfKey } from './keyring.ts';
import { requestRescoreOf } from './rescore.ts';
import { detectIn, type StoredSuspicion, sheetsToScore } from './score-batch.ts';

async function findGroup(db: Database, batch: BatchesTable, group_id: string) {
  const [no, index] = /^(\d+)-(\d+)$/.exec(group_id)?.slice(1).map(Number) ?? [];
  const group =
    no === batch.batch_no && index !== undefined
      ? await db.sql
          .selectFrom('sheet_groups')
          .selectAll()
          .where('batch_id', '=', batch.batch_id)
          .where('group_index', '=', index)
          .executeTakeFirst()
      : undefined;
  return (
    group ??
    refuse(
      'NOT_FOUND',
      `Batch ${batch.batch_id} has no group ${group_id}. GET /api/batches/${batch.batch_id}/groups lists its groups.`,
    )
  );
}

/** Compares a group's answers with every list that could apply; lists that match less than guessing does are left out
 *  where there are many. */
export async function groupFit(db: Database, batch: BatchesTable, group_id: string): Promise<GroupFit> {
  const group = await findGroup(db, batch, group_id);
  const { sheets, groups } = await sheetsToScore(db.sql, batch);
  const ring = await keyring(db.sql, [...new Set(groups.flatMap(({ task_id }) => task_id ?? []))]);
  const { judging, lists } = await detectIn(sheets, ring);
  const own = sheets.filter(({ group_index }) => group_index === group.group_index);
  const variants = [...new Set(own.map(({ marks }) => marks().variant))].sort();
  const suspicion = group.suspicion === null ? null : (JSON.parse(group.suspicion) as StoredSuspicion);
  return {
    group_id,
    state: group.state,
    suspect: suspicion,
    booklets: variants.map((variant) => ({
      variant,
      fits: judging
        .fits(
          group.group_index,
          own.filter(({ marks }) => marks().variant === variant).map(({ sheet_id }) => sheet_id),
        )
        .slice(0, MOST_FITS)
        .map(({ list, ...fit }) => {
          const { key, variant: of } = lists[list]!;
          return { key_id: key.key_id, key_version: key.version, list: of, ...fit };
        }),
    })),
  };
}
const MOST_FITS = 20;

/** Lets a suspect group's scores stand, for the key version it goes by now: the next version is judged anew.
 *  @returns true when its batch is to be scored again */
export async function confirmKey(
  db: Database,
  user: User,
  batch: BatchesTable,
  group_id: string,
  reason: string,
): Promise<boolean> {
  const { group_index } = await findGroup(db, batch, group_id);
  return db.write(async (tx) => {
    const group = await tx
      .selectFrom('sheet_groups')
      .selectAll()
      .where('batch_id', '=', batch.batch_id)
      .where('group_index', '=', group_index)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const key = group.task_id === null ? null : (await keysOf(tx, [group.task_id])).get(group.task_id);
    if (!key) {
      return refuse(
        'CONFLICT',
        `Group ${group_id} has no published key, so there is no score to let stand. Give its task one.`,
      );
    }
    const confirmed_key = nameOfKey(key);
    if (group.confirmed_key === confirmed_key) return false;
    if (group.state !== 'suspect-key') {
      refuse('CONFLICT', `Group ${group_id} is ${group.state}: only a group that is suspect-key is confirmed.`);
    }
    await tx
      .updateTable('sheet_groups')
      .set({ confirmed_key })
      .where('batch_id', '=', batch.batch_id)
      .where('group_index', '=', group_index)
      .execute();
    await audit(db, tx, {
      ...by(user),
      action: 'group.confirm-key',
      subject: `group:${group_id}`,
      before: { state: group.state, suspicion: group.suspicion },
      after: { confirmed_key, reason },
    });
    await requestRescoreOf(db, tx, batch.batch_id, `group:${group_id} confirmed`, user.user_id);
    return true;
  });
}
