// Takes from the server what a user may see and keeps it: list, detail, groups, sheets. Each answer is stored in one
// transaction, with the time it was true.
import { ENDED } from '../../shared/protocol/stage.ts';
import type { Answer, Api } from '../api.ts';
import { type Cursor, type UserDb, write } from '../db.ts';
import { forgetPictures } from '../media/store.ts';
import type { Session } from '../session.ts';

export interface PullDeps {
  user: UserDb;
  api: Api;
  session: Session;
  /** ms since 1970 */
  now: () => number;
}

/** More batches than this are not kept on a device: nobody scrolls through them without a network. */
const MOST_PAGES = 20;
const SHEETS_A_PAGE = 1000;

const ofBatch = (batch: string): IDBKeyRange => IDBKeyRange.bound([batch, 0], [batch, Number.MAX_SAFE_INTEGER]);
export const emptyCursor = (batch: string): Cursor => ({ batch, last_event_id: null, whole_for: null });

export async function pullListPage(deps: PullDeps, page: number): Promise<Answer<{ ids: string[]; pages: number }>> {
  const answer = await deps.session.ask((token) => deps.api.batches(token, page));
  if (answer.kind !== 'ok') return answer;
  const { items, total, pages } = answer.value;
  const true_at = deps.now();
  await write(deps.user, ['batches', 'lists'], async (tx) => {
    for (const row of items) await tx.objectStore('batches').put({ ...row, true_at });
    await tx.objectStore('lists').put({ key: 'batches', total, true_at });
  });
  return { kind: 'ok', value: { ids: items.map((row) => row.batch_id), pages } };
}

/** The whole list; batches that are on it no more are forgotten, with all that was kept of them. */
export async function pullList(deps: PullDeps): Promise<Answer<null>> {
  const seen = new Set<string>();
  let pages = 1;
  for (let page = 1; page <= Math.min(pages, MOST_PAGES); page++) {
    const answer = await pullListPage(deps, page);
    if (answer.kind !== 'ok') return answer;
    for (const id of answer.value.ids) seen.add(id);
    pages = answer.value.pages;
  }
  if (pages <= MOST_PAGES) {
    for (const id of await deps.user.getAllKeys('batches')) if (!seen.has(id)) await forgetBatch(deps.user, id);
  }
  return { kind: 'ok', value: null };
}

export async function forgetBatch(user: UserDb, id: string): Promise<void> {
  await forgetPictures(user, id);
  await write(
    user,
    ['batches', 'details', 'groups', 'sheets', 'events', 'snapshots', 'cursors', 'wanted'],
    async (tx) => {
      for (const store of ['batches', 'details', 'groups', 'snapshots', 'cursors', 'wanted'] as const)
        await tx.objectStore(store).delete(id);
      await tx.objectStore('sheets').delete(ofBatch(id));
      await tx.objectStore('events').delete(ofBatch(id));
    },
  );
}

export async function pullDetail(deps: PullDeps, id: string): Promise<Answer<{ ended: boolean; version: string }>> {
  const answer = await deps.session.ask((token) => deps.api.batch(token, id));
  if (answer.kind === 'refused' && answer.status === 404) await forgetBatch(deps.user, id);
  if (answer.kind !== 'ok') return answer;
  const detail = answer.value;
  const true_at = deps.now();
  await write(deps.user, ['details', 'batches'], async (tx) => {
    await tx.objectStore('details').put({ ...detail, true_at });
    const row = await tx.objectStore('batches').get(id);
    // The list shows the same numbers as the page behind it.
    await tx.objectStore('batches').put({ ...(row ?? {}), ...rowOf(detail), true_at });
  });
  return { kind: 'ok', value: { ended: ENDED.includes(detail.status), version: versionOf(detail) } };
}

/** Changes whenever a batch has ended anew: what was kept of an earlier end is then out of date. */
export const versionOf = (row: { status: string; processing_completed_at: string | null }): string =>
  `${row.status} ${row.processing_completed_at ?? ''}`;

type Row = Parameters<typeof versionOf>[0];
const ROW_FIELDS = [
  'batch_id',
  'name',
  'upload_type',
  'status',
  'task_id',
  'uploaded_by',
  'centre',
  'size',
  'total_sheets',
  'processed_sheets',
  'failed_sheets',
  'doubtful_sheets',
  'created_at',
  'processing_started_at',
  'processing_completed_at',
  'deleted_at',
] as const;
export const rowOf = <T extends Row & Record<(typeof ROW_FIELDS)[number], unknown>>(detail: T) =>
  Object.fromEntries(ROW_FIELDS.map((field) => [field, detail[field]])) as Pick<T, (typeof ROW_FIELDS)[number]>;

export async function pullGroups(deps: PullDeps, id: string, version?: string): Promise<Answer<null>> {
  const answer = await deps.session.ask((token) => deps.api.groups(token, id));
  if (answer.kind !== 'ok') return answer;
  await write(deps.user, ['groups'], async (tx) => {
    await tx.objectStore('groups').put({
      batch: id,
      items: answer.value.items,
      true_at: deps.now(),
      ...(version === undefined ? {} : { version }),
    });
  });
  return { kind: 'ok', value: null };
}

export async function pullSheets(deps: PullDeps, id: string): Promise<Answer<null>> {
  const seen = new Set<number>();
  for (let page = 1, pages = 1; page <= pages; page++) {
    const answer = await deps.session.ask((token) => deps.api.sheets(token, id, page, SHEETS_A_PAGE));
    if (answer.kind !== 'ok') return answer;
    pages = answer.value.pages;
    await write(deps.user, ['sheets'], async (tx) => {
      for (const row of answer.value.items) {
        seen.add(row.page_index);
        await tx.objectStore('sheets').put({ ...row, batch: id });
      }
    });
  }
  const stored = await deps.user.getAllKeys('sheets', ofBatch(id));
  const gone = stored.filter(([, index]) => !seen.has(index));
  if (gone.length > 0)
    await write(deps.user, ['sheets'], async (tx) => {
      for (const key of gone) await tx.objectStore('sheets').delete(key);
    });
  return { kind: 'ok', value: null };
}

/**
 * Stores all that an ended batch came to, so that it can be read without a network. Its log is follow.ts's part, and
 * must have been followed to its end before. False when the batch has not ended or the network went.
 */
export async function keepWhole(deps: PullDeps, id: string): Promise<boolean> {
  const detail = await pullDetail(deps, id);
  if (detail.kind !== 'ok' || !detail.value.ended) return false;
  if ((await pullGroups(deps, id, detail.value.version)).kind !== 'ok') return false;
  if ((await pullSheets(deps, id)).kind !== 'ok') return false;
  await editCursor(deps.user, id, (cursor) => ({ ...cursor, whole_for: detail.value.version }));
  return true;
}

export async function editCursor(user: UserDb, batch: string, edit: (cursor: Cursor) => Cursor): Promise<void> {
  await write(user, ['cursors'], async (tx) => {
    const cursor = (await tx.objectStore('cursors').get(batch)) ?? emptyCursor(batch);
    await tx.objectStore('cursors').put(edit(cursor));
  });
}

export const eventsOf = ofBatch;
