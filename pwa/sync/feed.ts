// What the server tells of a scope, kept: the office and the batches that are kept on this device. A first pull is built
// beside what is shown, part by part, and goes on where it was cut; it is shown when it is whole and has heard what changed
// meanwhile. From then on each answer is one transaction. Screens never see a half of anything [S2].
import type { IDBPTransaction } from 'idb';
import { type PullAnswer, type SheetLine, seqOf } from '../../shared/protocol/sync.ts';
import type { Answer } from '../api.ts';
import { type Feed, type FeedPart, type KeptKey, type UserDb, type UserSchema, type UserStore, write } from '../db.ts';
import { forgetBatch, type PullDeps } from './pull.ts';

export const OFFICE = 'office';
export const scopeOf = (batch: string): string => `batch:${batch}`;
const batchOf = (scope: string): string => scope.slice(scope.indexOf(':') + 1);

/** Pages in one stored piece: a correction rewrites a piece, a screen reads all of them. */
export const PAGES_A_PART = 200;
const GROUPS = -1;
const partOf = ([page]: SheetLine): number => Math.floor(page / PAGES_A_PART);

const range = (scope: string, generation: number): IDBKeyRange =>
  IDBKeyRange.bound([scope, generation, -1], [scope, generation, Number.MAX_SAFE_INTEGER]);

const around = (scope: string, generation: number, page: number): IDBKeyRange => {
  const part = Math.floor(page / PAGES_A_PART);
  return IDBKeyRange.bound([scope, generation, Math.max(0, part - 1)], [scope, generation, part + 1]);
};

const STORES = ['feeds', 'parts', 'outbox', 'overlays', 'keys', 'tasks', 'templates', 'batches', 'pulls'] as const;
type Tx = IDBPTransaction<UserSchema, (typeof STORES)[number][], 'readwrite'>;

/** Pulls a scope until there is nothing new. @returns null when all was told; the failed answer otherwise */
export async function pullScope(deps: PullDeps, scope: string, signal?: AbortSignal): Promise<Answer<never> | null> {
  while (!signal?.aborted) {
    const feed = await deps.user.get('feeds', scope);
    const cursor = feed?.building?.cursor ?? feed?.cursor ?? undefined;
    const answer = await deps.session.ask((token) => deps.api.pull(token, scope, cursor));
    if (answer.kind === 'refused' && answer.status === 404) {
      await letGo(deps.user, scope);
      return answer;
    }
    if (answer.kind !== 'ok') return answer;
    if (await take(deps, scope, cursor, answer.value)) return null;
  }
  return null;
}

const isNothing = (answer: PullAnswer): boolean =>
  !answer.first &&
  (['batches', 'keys', 'tasks', 'templates', 'groups', 'sheets', 'gone'] as const).every(
    (list) => answer[list].length === 0,
  );

/** Keeps one answer. @returns true when that was all. An answer to another question than the newest is left alone. */
async function take(
  { user, now }: PullDeps,
  scope: string,
  asked: string | undefined,
  answer: PullAnswer,
): Promise<boolean> {
  // Mostly there is nothing new: then no screen has a reason to look.
  const nothing =
    isNothing(answer) &&
    (await write(user, ['feeds', 'pulls'], async (tx) => {
      const feed = await tx.objectStore('feeds').get(scope);
      if (!feed || feed.building || feed.cursor !== asked || feed.cursor !== answer.cursor) return false;
      const true_at = now();
      await tx.objectStore('feeds').put({ ...feed, true_at });
      if (scope === OFFICE)
        for (const place of ['keys', 'tasks']) await tx.objectStore('pulls').put({ place, true_at });
      return true;
    }));
  if (nothing) return true;
  return write(user, [...STORES], async (tx) => {
    const feeds = tx.objectStore('feeds');
    const before = await feeds.get(scope);
    // Somebody else on this device was quicker.
    if ((before?.building?.cursor ?? before?.cursor ?? undefined) !== asked) return false;
    const feed: Feed = before ?? {
      scope,
      cursor: null,
      generation: 0,
      building: null,
      batch_no: null,
      true_at: 0,
    };
    feed.batch_no = answer.batch_no ?? feed.batch_no;
    if (answer.first) {
      if (answer.reset || !feed.building) {
        if (feed.building) await tx.objectStore('parts').delete(range(scope, feed.building.generation));
        // One that is shown keeps its number until the new one is whole.
        const generation = Math.max(feed.generation, feed.building?.generation ?? 0) + 1;
        feed.building = { cursor: answer.cursor, generation, complete: false, next_part: 0 };
      }
      await addPart(tx, scope, feed.building, answer);
      feed.building.cursor = answer.cursor;
      feed.building.complete = !answer.more;
      await feeds.put(feed);
      return false;
    }
    const at = now();
    if (feed.building) {
      const { generation } = feed.building;
      // Numbers of another epoch (a restored server) mean nothing here: what was answered then is in what was told now.
      if (feed.cursor !== null && epochOf(feed.cursor) !== epochOf(answer.cursor)) await forgetCovers(tx, scope);
      if (scope === OFFICE) await replaceOffice(tx, generation, at);
      await tx.objectStore('parts').delete(range(scope, feed.generation));
      feed.generation = generation;
      feed.building = null;
    }
    if (scope === OFFICE) await changeOffice(tx, answer, at);
    else await changeBatch(tx, scope, feed.generation, answer);
    feed.cursor = answer.cursor;
    feed.true_at = at;
    await feeds.put(feed);
    await dropCovered(tx);
    return true;
  });
}

async function addPart(
  tx: Tx,
  scope: string,
  building: NonNullable<Feed['building']>,
  answer: PullAnswer,
): Promise<void> {
  const { generation } = building;
  const parts = tx.objectStore('parts');
  if (scope === OFFICE) {
    await parts.put({ scope, generation, part: building.next_part, lines: [], groups: [], office: answer });
    building.next_part += 1;
    return;
  }
  if (answer.groups.length > 0)
    await parts.put({ scope, generation, part: GROUPS, lines: [], groups: answer.groups, office: null });
  await changeLines(tx, scope, generation, answer.sheets);
}

/** Puts lines into their pieces, in file order. */
async function changeLines(tx: Tx, scope: string, generation: number, lines: readonly SheetLine[]): Promise<void> {
  const byPart = new Map<number, SheetLine[]>();
  for (const line of lines) {
    const own = byPart.get(partOf(line));
    if (own) own.push(line);
    else byPart.set(partOf(line), [line]);
  }
  const parts = tx.objectStore('parts');
  await Promise.all(
    [...byPart].map(async ([part, fresh]) => {
      const before = (await parts.get([scope, generation, part]))?.lines ?? [];
      const all = new Map([...before, ...fresh].map((line) => [line[0], line]));
      const sorted = [...all.values()].sort((a, b) => a[0] - b[0]);
      await parts.put({ scope, generation, part, lines: sorted, groups: [], office: null });
    }),
  );
}

async function changeBatch(tx: Tx, scope: string, generation: number, answer: PullAnswer): Promise<void> {
  const parts = tx.objectStore('parts');
  await changeLines(tx, scope, generation, answer.sheets);
  const gone = new Set(answer.gone);
  if (answer.groups.length > 0 || answer.gone.some((name) => name.startsWith('group:'))) {
    const before = (await parts.get([scope, generation, GROUPS]))?.groups ?? [];
    const all = new Map([...before, ...answer.groups].map((group) => [group.index, group]));
    const groups = [...all.values()]
      .filter(({ index }) => !gone.has(`group:${index}`))
      .sort((a, b) => a.index - b.index);
    await parts.put({ scope, generation, part: GROUPS, lines: [], groups, office: null });
  }
  for (const name of gone) {
    if (!name.startsWith('sheet:')) continue;
    const page = Number(name.slice('sheet:'.length));
    const part = await parts.get([scope, generation, Math.floor(page / PAGES_A_PART)]);
    if (part) await parts.put({ ...part, lines: part.lines.filter((line) => line[0] !== page) });
  }
}

/** The first pull of the office is whole: it takes the place of what was kept. */
async function replaceOffice(tx: Tx, generation: number, at: number): Promise<void> {
  for (const store of ['keys', 'tasks', 'templates'] as const) await tx.objectStore(store).clear();
  const parts = await tx.objectStore('parts').getAll(range(OFFICE, generation));
  for (const { office } of parts) if (office) await changeOffice(tx, office, at);
  await tx.objectStore('parts').delete(range(OFFICE, generation));
}

async function changeOffice(tx: Tx, answer: PullAnswer, true_at: number): Promise<void> {
  for (const key of answer.keys) {
    const kept = keptKey(key, true_at);
    if (kept) await tx.objectStore('keys').put(kept);
  }
  for (const task of answer.tasks) await tx.objectStore('tasks').put({ ...task, true_at });
  for (const template of answer.templates) await tx.objectStore('templates').put(template);
  for (const row of answer.batches) await tx.objectStore('batches').put({ ...row, true_at });
  for (const name of answer.gone) {
    const [kind, id] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)];
    if (kind === 'key') await tx.objectStore('keys').delete(id);
    if (kind === 'task') await tx.objectStore('tasks').delete(id);
    // With all that is kept of it: by whoever looks after the list, who sees that its row is gone.
    if (kind === 'batch') await tx.objectStore('batches').delete(id);
  }
  for (const place of ['keys', 'tasks']) await tx.objectStore('pulls').put({ place, true_at });
}

function keptKey({ key_id, versions, names, tasks }: PullAnswer['keys'][number], true_at: number): KeptKey | null {
  const [newest] = versions;
  if (!newest) return null;
  const last = (state: string) => versions.find((version) => version.state === state)?.version ?? null;
  return {
    key_id,
    row: { key_id, published: last('published'), draft: last('draft'), edited_at: newest.edited_at, tasks },
    newest,
    versions: versions.map(({ content: _, ...entry }) => entry),
    names,
    published: versions
      .filter(({ state }) => state === 'published')
      .map(({ version, content }) => ({ version, content })),
    true_at,
  };
}

const epochOf = (cursor: string): string => cursor.slice(0, cursor.indexOf('.'));

async function forgetCovers(tx: Tx, scope: string): Promise<void> {
  for (const edit of await tx.objectStore('outbox').getAll()) {
    if (edit.state.at !== 'answered') continue;
    const covers = edit.state.covers.filter((cover) => cover.scope !== scope);
    await tx.objectStore('outbox').put({ ...edit, state: { ...edit.state, covers } });
  }
}

/** Forgets edits that the server has and that what is kept here shows, or that nothing kept here would show. */
export async function dropCovered(
  tx: IDBPTransaction<UserSchema, ('outbox' | 'overlays' | 'feeds' | UserStore)[], 'readwrite'>,
): Promise<void> {
  const feeds = new Map((await tx.objectStore('feeds').getAll()).map((feed) => [feed.scope, feed]));
  for (const edit of await tx.objectStore('outbox').getAll()) {
    if (edit.state.at !== 'answered') continue;
    const covered = edit.state.covers.every(({ scope, seq }) => {
      const feed = feeds.get(scope);
      // A first pull that began before the answer hears of it at its end.
      return feed ? feed.cursor !== null && seqOf(feed.cursor) >= seq : true;
    });
    if (!covered) continue;
    await tx.objectStore('outbox').delete(edit.n);
    if ((await tx.objectStore('overlays').get(edit.subject))?.n === edit.n)
      await tx.objectStore('overlays').delete(edit.subject);
  }
}

/** Forgets a scope: it is no longer there for this user, or no longer wanted on this device. */
export async function letGo(user: UserDb, scope: string): Promise<void> {
  await write(user, [...STORES, 'kept', 'keeping'], async (tx) => {
    const feed = await tx.objectStore('feeds').get(scope);
    for (const generation of [feed?.generation, feed?.building?.generation])
      if (generation !== undefined) await tx.objectStore('parts').delete(range(scope, generation));
    await tx.objectStore('feeds').delete(scope);
    await tx.objectStore('kept').delete(batchOf(scope));
    await tx.objectStore('keeping').delete(batchOf(scope));
    await dropCovered(tx);
  });
}

/** Keeps a batch's pages on this device from now on. `pinned`: until somebody lets them go. */
export async function keepBatch(user: UserDb, batch: string, pinned: boolean, at: number): Promise<void> {
  await write(user, ['kept'], async (tx) => {
    const before = await tx.objectStore('kept').get(batch);
    await tx.objectStore('kept').put({ batch, pinned: pinned || (before?.pinned ?? false), at });
  });
}

/** A batch is no longer to be kept until somebody lets it go: it is one of those that were opened lately. */
export async function unpinBatch(user: UserDb, batch: string, at: number): Promise<void> {
  await write(user, ['kept', 'keeping'], async (tx) => {
    await tx.objectStore('kept').put({ batch, pinned: false, at });
    await tx.objectStore('keeping').delete(batch);
  });
}

/**
 * The pages of a kept batch in file order, and its groups; null until the first pull is whole.
 * @param near only the pieces that hold this page and those beside it
 */
export async function keptPages(
  tx: IDBPTransaction<UserSchema, ('feeds' | 'parts' | UserStore)[], 'readonly'>,
  batch: string,
  near?: number,
): Promise<{ batch_no: number; lines: SheetLine[]; groups: FeedPart['groups']; true_at: number } | null> {
  const scope = scopeOf(batch);
  const feed = await tx.objectStore('feeds').get(scope);
  if (!feed || feed.cursor === null || feed.batch_no === null) return null;
  const whole = range(scope, feed.generation);
  const parts = await tx.objectStore('parts').getAll(near === undefined ? whole : around(scope, feed.generation, near));
  if (near !== undefined) {
    const groups = await tx.objectStore('parts').get([scope, feed.generation, GROUPS]);
    if (groups) parts.push(groups);
  }
  return {
    batch_no: feed.batch_no,
    lines: parts.flatMap(({ lines }) => lines),
    groups: parts.find(({ part }) => part === GROUPS)?.groups ?? [],
    true_at: feed.true_at,
  };
}

/** By batch, the groups of those whose pages are on this device. @param only this batch */
export async function keptGroups(
  tx: IDBPTransaction<UserSchema, ('feeds' | 'parts' | UserStore)[], 'readonly'>,
  only?: string,
): Promise<Map<string, FeedPart['groups']>> {
  const kept = new Map<string, FeedPart['groups']>();
  for (const { scope, cursor, generation } of await tx.objectStore('feeds').getAll()) {
    if (scope === OFFICE || cursor === null || (only !== undefined && batchOf(scope) !== only)) continue;
    kept.set(batchOf(scope), (await tx.objectStore('parts').get([scope, generation, GROUPS]))?.groups ?? []);
  }
  return kept;
}

/** More unpinned batches than this are let go, those first that nobody has opened for longest. */
const MOST_UNPINNED = 5;

/** Pulls every kept batch and the office. @param only these scopes. @returns false when the server could not be asked */
export async function pullKept(deps: PullDeps, signal: AbortSignal, only?: ReadonlySet<string>): Promise<boolean> {
  const kept = (await deps.user.getAll('kept')).sort((a, b) => b.at - a.at);
  const unpinned = kept.filter(({ pinned }) => !pinned).slice(MOST_UNPINNED);
  for (const { batch } of unpinned) await letGo(deps.user, scopeOf(batch));
  // What was opened last is what somebody looks at.
  const batches = kept.filter((one) => !unpinned.includes(one)).map(({ batch }) => scopeOf(batch));
  for (const scope of [...batches, OFFICE]) {
    if (signal.aborted) return false;
    if (only && !only.has(scope)) continue;
    const failed = await pullScope(deps, scope, signal);
    if (failed?.kind === 'unreachable') return false;
    if (failed?.kind === 'refused' && failed.status === 401) return false;
    if (failed?.kind === 'refused' && failed.status === 404) await forgetBatch(deps.user, batchOf(scope));
  }
  return true;
}
