// What a device is told of a scope: all there is, in parts, and from then on what has changed since. A cursor is
// `epoch.seq`, with `@place` while the first pull is under way. Numbers are given in the transaction that makes the change
// and in the order of the commits, so whoever has all up to a number misses nothing before it [T1]. The number is read
// before the rows: what changes while the parts are read has a higher one, and is told again.

import { createHash } from 'node:crypto';
import type { KeyAnswer, TaskAnswer } from '../../shared/protocol/key.ts';
import type { PullAnswer, SheetLine, SyncedKey, SyncedTemplate } from '../../shared/protocol/sync.ts';
import { pageIndexIn } from '../../shared/sheet-id.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { readsKeys, visible, visibleKey, visibleTask } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { batchRow, findVisible, listGroups } from '../batches/queries.ts';
import { ALL, MOST_CHANGES, OFFICE } from '../changes.ts';
import { correctionsOf } from '../corrections/read.ts';
import { answerOfKey, namesIn } from '../keys/keys.ts';
import { suspicionsOf } from '../keys/score-batch.ts';
import { answerOfTask } from '../keys/tasks.ts';
import { type Horizon, horizonOf } from './horizon.ts';

/** Rows in one part. A sheet of 150 questions is some 600 letters, and a sixth of that packed: on a slow line a part comes
 *  before a device loses its patience. */
export const PART = 1000;

interface Cursor {
  epoch: string;
  seq: number;
  /** after which row the next part begins; null: the first pull is over */
  place: string | null;
}

const written = ({ epoch, seq, place }: Cursor): string => `${epoch}.${seq}${place === null ? '' : `@${place}`}`;
function parse(text: string | undefined): Cursor | null {
  const [, epoch, seq, place] = /^([0-9a-f-]+)\.(\d+)(?:@(.*))?$/.exec(text ?? '') ?? [];
  return epoch === undefined ? null : { epoch, seq: Number(seq), place: place ?? null };
}

/** What a user may see of the office hangs on role and centres: with others, everything is told anew. */
const viewOf = (user: User): string =>
  createHash('sha256')
    .update(JSON.stringify([user.user_id, user.role, [...user.centres].sort()]))
    .digest('hex')
    .slice(0, 8);

type Told = Omit<PullAnswer, 'scope' | 'reset' | 'first' | 'more' | 'cursor'>;
const nothing = (): Told => ({
  batch_no: null,
  batches: [],
  keys: [],
  tasks: [],
  templates: [],
  groups: [],
  sheets: [],
  gone: [],
});

/** One kind of scope. */
interface Source extends Horizon {
  /** the rows after `place` ('' for the first ones); `next` is null when these are the last */
  part(place: string): Promise<{ told: Told; next: string | null }>;
  /** these entities as they are now; those that are not there for the user are named in `gone` */
  some(changed: readonly { entity_type: string; entity_id: string }[]): Promise<Told>;
}

/** @throws a refusal when the scope is a batch that is not there for this user */
export async function pull(db: Database, user: User, scope: string, cursorText?: string): Promise<PullAnswer> {
  const source = await sourceOf(db, user, scope);
  const newest = async (): Promise<number> =>
    (await db.sql.selectFrom('sequences').select('seq').where('scope', '=', scope).executeTakeFirst())?.seq ?? 0;
  const changes = db.sql.selectFrom('changes').where('scope', '=', scope);
  const cursor = parse(cursorText);
  const isBehind = async ({ seq }: Cursor): Promise<boolean> => {
    const all = await changes.select('seq').where('entity_type', '=', ALL).executeTakeFirst();
    return all !== undefined && all.seq > seq;
  };
  const resumable =
    cursor !== null &&
    cursor.epoch === source.epoch &&
    cursor.seq >= source.floor &&
    cursor.seq <= (await newest()) &&
    !(await isBehind(cursor));

  if (resumable && cursor.place === null) {
    const rows = await changes
      .select(['entity_type', 'entity_id', 'seq'])
      .where('seq', '>', cursor.seq)
      .orderBy('seq')
      .limit(MOST_CHANGES + 1)
      .execute();
    // All that has changed comes in one answer, so that nobody is shown a half of it; what is too much for one is a reset.
    if (rows.length <= MOST_CHANGES && !rows.some(({ entity_type }) => entity_type === ALL)) {
      const seq = rows.at(-1)?.seq ?? cursor.seq;
      const told = await source.some(rows);
      return { scope, reset: false, first: false, more: false, cursor: written({ ...cursor, seq }), ...told };
    }
  }
  const from = resumable && cursor.place !== null ? cursor : { epoch: source.epoch, seq: await newest(), place: '' };
  const { told, next } = await source.part(from.place ?? '');
  return {
    scope,
    reset: from !== cursor,
    first: true,
    more: next !== null,
    cursor: written({ ...from, place: next }),
    ...told,
  };
}

async function sourceOf(db: Database, user: User, scope: string): Promise<Source> {
  const { epoch, floor } = await horizonOf(db);
  if (scope === OFFICE) return office(db, user, { epoch: `${epoch}-${viewOf(user)}`, floor });
  const batch = await findVisible(db, user, scope.slice(scope.indexOf(':') + 1));
  // What is gone of a batch is known for as long as the batch is there.
  return batchSource(db, batch, { epoch, floor: 0 });
}

// ---- the office ----------------------------------------------------------------------------------------------------

/** Rows of the office in one part. */
const OFFICE_PART = 200;

function office(db: Database, user: User, horizon: Horizon): Source {
  const pages = { template: templates, task: tasks, key: keys, batch: batches } as const;
  type Kind = keyof typeof pages;
  const kinds = Object.keys(pages) as Kind[];

  interface Asked {
    /** these alone; undefined: all */
    ids?: readonly string[];
    after?: string;
    limit?: number;
  }
  /** Rows of one kind by their ids. */
  type Found<T> = { id: string; row: T }[];

  async function templates({ ids, after = '', limit = OFFICE_PART }: Asked): Promise<Found<SyncedTemplate>> {
    // Few, and each with a version in its name: the ids are made here, not in SQL.
    const named = (
      await db.sql
        .selectFrom('templates')
        .select(['template_id', 'version'])
        .orderBy('template_id')
        .orderBy('version')
        .execute()
    )
      .map((row) => ({ ...row, id: `${row.template_id}@${row.version}` }))
      .filter(({ id }) => (ids ? ids.includes(id) : id > after))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit);
    const found: Found<SyncedTemplate> = [];
    for (const { id, template_id, version } of named) {
      const { content } = await db.sql
        .selectFrom('templates')
        .select('content')
        .where('template_id', '=', template_id)
        .where('version', '=', version)
        .executeTakeFirstOrThrow();
      found.push({ id, row: { template_id, version, content } });
    }
    return found;
  }
  async function tasks({ ids, after = '', limit = OFFICE_PART }: Asked): Promise<Found<TaskAnswer>> {
    let query = db.sql.selectFrom('tasks').selectAll().where(visibleTask(user));
    query = ids ? query.where('task_id', 'in', [...ids]) : query.where('task_id', '>', after);
    const rows = await query.orderBy('task_id').limit(limit).execute();
    return rows.map((row) => ({ id: row.task_id, row: answerOfTask(row) }));
  }
  async function keys({ ids, after = '', limit = OFFICE_PART }: Asked): Promise<Found<SyncedKey>> {
    if (!readsKeys(user)) return [];
    let query = db.sql.selectFrom('answer_keys').select('key_id').distinct().where(visibleKey(user));
    query = ids ? query.where('key_id', 'in', [...ids]) : query.where('key_id', '>', after);
    const named = (await query.orderBy('key_id').limit(limit).execute()).map(({ key_id }) => key_id);
    if (named.length === 0) return [];
    const rows = await db.sql
      .selectFrom('answer_keys')
      .selectAll()
      .where('key_id', 'in', named)
      .orderBy('version', 'desc')
      .execute();
    const versions = new Map<string, KeyAnswer[]>(named.map((id) => [id, []]));
    for (const row of rows) versions.get(row.key_id)?.push(answerOfKey(row));
    const used = await db.sql
      .selectFrom('tasks')
      .select(['key_id', (eb) => eb.fn.countAll<number>().as('n')])
      .where('key_id', 'in', named)
      .groupBy('key_id')
      .execute();
    const names = await namesIn(db, rows);
    return named.map((key_id) => ({
      id: key_id,
      row: {
        key_id,
        versions: versions.get(key_id) ?? [],
        names,
        tasks: Number(used.find((one) => one.key_id === key_id)?.n ?? 0),
      },
    }));
  }
  async function batches({ ids, after = '', limit = OFFICE_PART }: Asked) {
    let query = db.sql
      .selectFrom('batches')
      .innerJoin('users', 'users.user_id', 'batches.uploaded_by')
      .selectAll('batches')
      .select('username')
      .where(visible(user))
      // Its place is the bin, for admins too.
      .where('deleted_at', 'is', null);
    query = ids ? query.where('batch_id', 'in', [...ids]) : query.where('batch_id', '>', after);
    const rows = await query.orderBy('batch_id').limit(limit).execute();
    return rows.map((row) => ({ id: row.batch_id, row: batchRow(row, row.username) }));
  }

  async function add<K extends Kind>(told: Told, kind: K, asked: Asked): Promise<string[]> {
    const found = await pages[kind](asked);
    const rows = found.map(({ row }) => row);
    const list = kind === 'batch' ? 'batches' : (`${kind}s` as 'templates' | 'tasks' | 'keys');
    Object.assign(told, { [list]: [...told[list], ...rows] });
    return found.map(({ id }) => id);
  }

  return {
    ...horizon,
    async part(place) {
      const told = nothing();
      const [, kind = kinds[0], after = ''] = /^(\w+)\/(.*)$/s.exec(place) ?? [];
      const ids = await add(told, kind as Kind, { after });
      if (ids.length === OFFICE_PART) return { told, next: `${kind}/${ids.at(-1)}` };
      const next = kinds[kinds.indexOf(kind as Kind) + 1];
      return { told, next: next === undefined ? null : `${next}/` };
    },
    async some(changed) {
      const told = nothing();
      for (const kind of kinds) {
        const ids = changed.filter(({ entity_type }) => entity_type === kind).map(({ entity_id }) => entity_id);
        if (ids.length === 0) continue;
        const there = new Set(await add(told, kind, { ids, limit: ids.length }));
        told.gone.push(...ids.filter((id) => !there.has(id)).map((id) => `${kind}:${id}`));
      }
      return told;
    },
  };
}

// ---- one batch -----------------------------------------------------------------------------------------------------

function batchSource(db: Database, batch: BatchesTable, horizon: Horizon): Source {
  const { batch_no } = batch;
  const groups = (ids?: readonly number[]) => listGroups(db, batch, ids);
  return {
    ...horizon,
    async part(place) {
      const after = place === '' ? -1 : Number(place);
      const sheets = await linesOf(db, batch, { after, limit: PART });
      const told = { ...nothing(), batch_no, sheets, groups: after < 0 ? await groups() : [] };
      return { told, next: sheets.length === PART ? String(sheets.at(-1)?.[0]) : null };
    },
    async some(changed) {
      const idsOf = (type: string) =>
        changed.filter(({ entity_type }) => entity_type === type).map(({ entity_id }) => Number(entity_id));
      const [sheetIds, groupIds] = [idsOf('sheet'), idsOf('group')];
      const sheets = sheetIds.length > 0 ? await linesOf(db, batch, { only: sheetIds }) : [];
      const found = groupIds.length > 0 ? await groups(groupIds) : [];
      const there = new Set([
        ...sheets.map(([page]) => `sheet:${page}`),
        ...found.map(({ index }) => `group:${index}`),
      ]);
      const asked = [...sheetIds.map((id) => `sheet:${pageIndexIn(id)}`), ...groupIds.map((id) => `group:${id}`)];
      return { ...nothing(), batch_no, sheets, groups: found, gone: asked.filter((name) => !there.has(name)) };
    },
  };
}

const STATUS = { done: 'read', failed: 'failed' } as const;

/** Pages in file order. */
async function linesOf(
  db: Database,
  batch: BatchesTable,
  which: { after: number; limit: number } | { only: readonly number[] },
): Promise<SheetLine[]> {
  const { batch_id } = batch;
  let query = db.sql
    .selectFrom('pages')
    .leftJoin('marks', 'marks.sheet_id', 'pages.sheet_id')
    .leftJoin('results', 'results.sheet_id', 'pages.sheet_id')
    .leftJoin('readings', 'readings.sheet_id', 'pages.sheet_id')
    .select([
      'pages.sheet_id',
      'page_index',
      'name',
      'state',
      'kind',
      'group_index',
      'pages.task_id',
      'error_message',
      'image_sha256',
      'template_id',
      'template_version',
      'marks.roll',
      'marks.variant',
      'questions',
      'choices',
      'notes',
      'risk',
      'key_id',
      'key_version',
      'score',
      'max_score',
      'correct',
      'wrong',
      'blank',
      'multiple',
      'results.doubtful',
      'unscored',
    ])
    .where('pages.batch_id', '=', batch_id);
  query =
    'only' in which
      ? query.where('pages.sheet_id', 'in', [...which.only])
      : query.where('page_index', '>', which.after).limit(which.limit);
  const rows = await query.orderBy('page_index').execute();
  const corrections = await correctionsOf(db.sql, batch_id, 'only' in which ? which.only : undefined);
  const held = await suspicionsOf(db.sql, batch_id);
  return rows.map((row) => {
    const isSheet = row.kind === 'sheet';
    const named = (id: string | null, version: number | null) => (id === null ? null : `${id}@${version}`);
    return [
      row.page_index,
      row.name,
      STATUS[row.state as keyof typeof STATUS] ?? 'waiting',
      row.kind as SheetLine[3],
      row.group_index,
      row.task_id,
      row.error_message,
      row.image_sha256,
      isSheet ? named(row.template_id, row.template_version) : null,
      isSheet ? row.roll : null,
      isSheet ? row.variant : null,
      (isSheet ? row.questions : null) ?? 0,
      (isSheet ? row.choices : null) ?? '',
      (isSheet ? row.notes : null) ?? '',
      (isSheet ? row.risk : null) ?? 0,
      named(row.key_id, row.key_version),
      row.score,
      row.max_score,
      row.correct,
      row.wrong,
      row.blank,
      row.multiple,
      row.doubtful ?? 0,
      row.unscored as SheetLine[23],
      held(row) ? 1 : 0,
      corrections.get(row.sheet_id) ?? [],
    ];
  });
}
