// Answer keys: a draft that is edited, then published by somebody else than its last editor. A published version never
// changes: what is to be different is the next version.
import { sql } from 'kysely';
import type * as v from 'valibot';
import type {
  KeyAnswer,
  KeyContent,
  KeyList,
  KeyPublish,
  KeyQuery,
  KeyValidation,
  KeyVersions,
} from '../../shared/protocol/key.ts';
import { keyStamp } from '../../shared/protocol/sync.ts';
import { shapeOfTemplate, templateOfKey } from '../../shared/scoring/sheet-shape.ts';
import { type SheetShape, validateKey } from '../../shared/scoring/validate-key.ts';
import { parseTemplate } from '../../shared/template/template.ts';
import type { AnswerKeysTable, Database, Tx } from '../adapters/database.ts';
import { audit, by, contentHash } from '../audit.ts';
import { visibleKey } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { OFFICE, tellChanges } from '../changes.ts';
import { refuse } from '../problem.ts';
import { iso } from '../progress/log.ts';
import { requestRescores } from './rescore.ts';

export const PAGE_SIZE = 50;

type Entries = v.InferOutput<typeof KeyVersions>['items'][number];

const entries = (row: AnswerKeysTable): Entries => ({
  key_id: row.key_id,
  version: row.version,
  state: row.state as Entries['state'],
  rev: row.rev,
  created_by: row.created_by,
  edited_by: row.edited_by,
  published_by: row.published_by,
  edited_at: iso(row.edited_at),
  published_at: row.published_at === null ? null : iso(row.published_at),
});
export const answerOfKey = (row: AnswerKeysTable): KeyAnswer => ({
  ...entries(row),
  content: JSON.parse(row.content) as KeyContent,
});
const nameOf = (row: Pick<AnswerKeysTable, 'key_id' | 'version'>): string => `key:${row.key_id}@${row.version}`;
/** How an entry of the audit names a version's content, besides repeating it. */
const told = (row: AnswerKeysTable) => ({
  state: row.state,
  rev: row.rev,
  content_sha256: contentHash(row.content),
  content: JSON.parse(row.content) as KeyContent,
});

const newest = (tx: Tx, key_id: string) =>
  tx
    .selectFrom('answer_keys')
    .selectAll()
    .where('key_id', '=', key_id)
    .orderBy('version', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();

/** A key of another centre gets no new version from whoever guesses its id. */
async function needVisible(tx: Tx, user: User, key_id: string): Promise<void> {
  const known = await tx
    .selectFrom('answer_keys')
    .select('key_id')
    .where('key_id', '=', key_id)
    .where(visibleKey(user))
    .executeTakeFirst();
  if (!known) refuse('CONFLICT', `There is an answer key ${key_id} of another centre. Choose another id.`);
}

/** A new key, or the next version of one, as a draft. What is the newest version already is answered as it is. */
export function createKey(db: Database, user: User, key_id: string, content: KeyContent): Promise<KeyAnswer> {
  return db.write((tx) => createIn(db, tx, user, key_id, content));
}
async function createIn(db: Database, tx: Tx, user: User, key_id: string, content: KeyContent): Promise<KeyAnswer> {
  const last = await newest(tx, key_id);
  if (last) await needVisible(tx, user, key_id);
  const text = JSON.stringify(content);
  if (last?.content === text) return answerOfKey(last);
  if (last?.state === 'draft') {
    refuse(
      'CONFLICT',
      `Version ${last.version} of answer key ${key_id} is a draft already. PATCH /api/answer-keys/${key_id} edits it.`,
    );
  }
  const at = Date.now();
  const row: AnswerKeysTable = {
    key_id,
    version: (last?.version ?? 0) + 1,
    state: 'draft',
    content: text,
    rev: 1,
    created_by: user.user_id,
    edited_by: user.user_id,
    published_by: null,
    created_at: at,
    edited_at: at,
    published_at: null,
  };
  await tx.insertInto('answer_keys').values(row).execute();
  await audit(db, tx, { ...by(user), action: 'key.create', subject: nameOf(row), after: told(row) });
  await tellChanges(db, tx, OFFICE, 'key', [key_id]);
  return answerOfKey(row);
}

/** Replaces a draft's content. @param baseRev the revision that was edited: another one is a conflict */
export function editDraft(
  db: Database,
  user: User,
  key_id: string,
  content: KeyContent,
  baseRev: number,
): Promise<KeyAnswer> {
  return db.write((tx) => editIn(db, tx, user, key_id, content, baseRev));
}
async function editIn(
  db: Database,
  tx: Tx,
  user: User,
  key_id: string,
  content: KeyContent,
  baseRev: number,
): Promise<KeyAnswer> {
  const row = await newestForUpdate(tx, user, key_id);
  const text = JSON.stringify(content);
  if (row.state === 'published') {
    refuse(
      'CONFLICT',
      `Version ${row.version} of answer key ${key_id} is published and never changes. POST /api/answer-keys makes the next version.`,
    );
  }
  if (row.content === text) return answerOfKey(row);
  if (row.rev !== baseRev) {
    refuse(
      'CONFLICT',
      `The draft of ${key_id} has been edited since (revision ${row.rev}, yours began at ${baseRev}). Get it, look, and edit that.`,
    );
  }
  const after = { ...row, content: text, rev: row.rev + 1, edited_by: user.user_id, edited_at: Date.now() };
  await db.upsert(tx, 'answer_keys', [after]);
  await audit(db, tx, {
    ...by(user),
    action: 'key.edit',
    subject: nameOf(row),
    before: told(row),
    after: told(after),
  });
  await tellChanges(db, tx, OFFICE, 'key', [key_id]);
  return answerOfKey(after);
}

/** An edit that was made without a network: whatever it was made of, the newest version has to be that still.
 *  @param base names the version that was edited (`keyStamp`); null: there was none */
export async function saveKeyOver(
  db: Database,
  tx: Tx,
  user: User,
  key_id: string,
  content: KeyContent,
  base: string | null,
): Promise<KeyAnswer> {
  const row = await newest(tx, key_id);
  if (!row) {
    if (base !== null) refuse('CONFLICT', `Answer key ${key_id} is no longer there for you.`);
    return createIn(db, tx, user, key_id, content);
  }
  await needVisible(tx, user, key_id);
  const now = answerOfKey(row);
  if (row.content === JSON.stringify(content)) return now;
  if (base === null) refuse('CONFLICT', `There is an answer key ${key_id} already.`);
  if (base !== keyStamp(now)) {
    refuse(
      'CONFLICT',
      row.state === 'published'
        ? `Version ${row.version} was published in the meantime.`
        : `Somebody else has edited version ${row.version} in the meantime.`,
    );
  }
  return row.state === 'draft'
    ? editIn(db, tx, user, key_id, content, row.rev)
    : createIn(db, tx, user, key_id, content);
}

async function newestForUpdate(tx: Tx, user: User, key_id: string): Promise<AnswerKeysTable> {
  const row = await tx
    .selectFrom('answer_keys')
    .selectAll()
    .where('key_id', '=', key_id)
    .where(visibleKey(user))
    .orderBy('version', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  return row ?? noKey(key_id);
}
const noKey = (key_id: string): never =>
  refuse(
    'NOT_FOUND',
    `There is no answer key ${key_id}, or none that you may see. GET /api/answer-keys lists those you may.`,
  );

/** Publishes the draft and asks for every batch that goes by it to be scored again. Its last editor may publish it only
 *  where nobody else could: then the audit says that one person did both. */
export async function publishKey(
  db: Database,
  user: User,
  key_id: string,
  { rev }: v.InferOutput<typeof KeyPublish>,
): Promise<{ key: KeyAnswer; batches: string[] }> {
  const published = await db.write(async (tx) => {
    const row = await newestForUpdate(tx, user, key_id);
    // Asked again, for the answer that was lost: it is published.
    if (row.state === 'published') return row;
    if (rev !== undefined && rev !== row.rev) {
      refuse(
        'CONFLICT',
        `The draft of ${key_id} is at revision ${row.rev} now, and you have looked at ${rev}. Look again, then publish.`,
      );
    }
    const alone = row.edited_by === user.user_id;
    if (alone) {
      const others = await tx
        .selectFrom('users')
        .select('username')
        .where('role', 'in', ['admin', 'supervisor'])
        .where('disabled', '=', 0)
        .where('user_id', '!=', user.user_id)
        .orderBy('username')
        .limit(3)
        .execute();
      if (others.length > 0) {
        refuse(
          'SECOND_PERSON',
          `You edited this draft last, so somebody else has to publish it: ${others.map(({ username }) => username).join(', ')}, or another supervisor.`,
        );
      }
    }
    const { problems } = await problemsOf(tx, row);
    const errors = problems.filter(({ level }) => level === 'error');
    if (errors.length > 0) {
      refuse('VALIDATION_FAILED', `The key cannot be published: ${errors.map(({ message }) => message).join(' ')}`, {
        errors: errors.map(({ variant, question, message }) => ({
          field: `content.answers.${variant ?? ''}.${question ?? ''}`,
          message,
        })),
      });
    }
    const at = Date.now();
    const after: AnswerKeysTable = { ...row, state: 'published', published_by: user.user_id, published_at: at };
    await db.upsert(tx, 'answer_keys', [after]);
    await audit(db, tx, {
      ...by(user),
      action: 'key.publish',
      subject: nameOf(row),
      before: told(row),
      after: { ...told(after), alone },
    });
    await requestRescores(db, tx, { key_id }, nameOf(after), user.user_id);
    await tellChanges(db, tx, OFFICE, 'key', [key_id]);
    return after;
  });
  // Asked once more after the commit: a batch that was being organised meanwhile may have read the version before.
  const batches = await db.write((tx) => requestRescores(db, tx, { key_id }, nameOf(published), user.user_id));
  return { key: answerOfKey(published), batches };
}

/** The version asked for; without one the newest. */
export async function findKey(db: Database, user: User, key_id: string, version?: number): Promise<KeyAnswer> {
  let rows = db.sql.selectFrom('answer_keys').selectAll().where('key_id', '=', key_id).where(visibleKey(user));
  if (version !== undefined) rows = rows.where('version', '=', version);
  const row = await rows.orderBy('version', 'desc').limit(1).executeTakeFirst();
  return row ? answerOfKey(row) : noKey(key_id);
}

export async function listVersions(
  db: Database,
  user: User,
  key_id: string,
): Promise<{ items: Entries[]; names: Record<string, string> }> {
  const rows = await db.sql
    .selectFrom('answer_keys')
    .selectAll()
    .where('key_id', '=', key_id)
    .where(visibleKey(user))
    .orderBy('version', 'desc')
    .execute();
  if (rows.length === 0) return noKey(key_id);
  return { items: rows.map(entries), names: await namesIn(db, rows) };
}

/** User names of whoever made, edited or published one of these versions, by user id. */
export async function namesIn(db: Database, rows: readonly AnswerKeysTable[]): Promise<Record<string, string>> {
  const ids = rows.flatMap(({ created_by, edited_by, published_by }) =>
    [created_by, edited_by, published_by].filter((id) => id !== null),
  );
  if (ids.length === 0) return {};
  const people = await db.sql.selectFrom('users').select(['user_id', 'username']).where('user_id', 'in', ids).execute();
  return Object.fromEntries(people.map(({ user_id, username }) => [user_id, username]));
}

/** True where the column holds the text, whatever its case. */
export const holds = (column: string, text: string) =>
  sql<boolean>`instr(lower(${sql.ref(column)}), ${text.toLowerCase()}) > 0`;

export async function listKeys(
  db: Database,
  user: User,
  { search, page }: v.InferOutput<typeof KeyQuery>,
): Promise<v.InferOutput<typeof KeyList>> {
  let rows = db.sql.selectFrom('answer_keys').where(visibleKey(user));
  if (search) rows = rows.where(holds('answer_keys.key_id', search));
  const { total } = await rows
    .select((eb) => eb.fn.count<number>('answer_keys.key_id').distinct().as('total'))
    .executeTakeFirstOrThrow();
  const ids = (
    await rows
      .select('answer_keys.key_id')
      .distinct()
      .orderBy('answer_keys.key_id')
      .limit(PAGE_SIZE)
      .offset((page - 1) * PAGE_SIZE)
      .execute()
  ).map(({ key_id }) => key_id);
  const pages = Math.max(1, Math.ceil(Number(total) / PAGE_SIZE));
  if (ids.length === 0) return { items: [], total: Number(total), page, pages };
  const versions = await db.sql
    .selectFrom('answer_keys')
    .select(['key_id', 'version', 'state', 'edited_at'])
    .where('key_id', 'in', ids)
    .orderBy('version')
    .execute();
  const used = await db.sql
    .selectFrom('tasks')
    .select(['key_id', (eb) => eb.fn.countAll<number>().as('n')])
    .where('key_id', 'in', ids)
    .groupBy('key_id')
    .execute();
  const tasks = new Map(used.map(({ key_id, n }) => [key_id, Number(n)]));
  return {
    total: Number(total),
    page,
    pages,
    items: ids.map((key_id) => {
      const own = versions.filter((version) => version.key_id === key_id);
      const last = (state: string) => own.findLast((version) => version.state === state)?.version ?? null;
      return {
        key_id,
        published: last('published'),
        draft: last('draft'),
        edited_at: iso(own.at(-1)?.edited_at ?? 0),
        tasks: tasks.get(key_id) ?? 0,
      };
    }),
  };
}

/** What sheets of a template look like; null when none is named. */
async function shapeOf(tx: Database['sql'] | Tx, id: string | undefined): Promise<SheetShape | null> {
  if (id === undefined) return null;
  const row = await tx
    .selectFrom('templates')
    .select('content')
    .where('template_id', '=', id)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!row) {
    return refuse('VALIDATION_FAILED', `There is no template ${id}. GET /api/templates lists them.`, {
      errors: [{ field: 'template_id', message: 'no such template' }],
    });
  }
  const read = parseTemplate(JSON.parse(row.content));
  if (!read.ok) throw new Error(`template ${id} in the database is not one: ${read.errors.join('; ')}`);
  return shapeOfTemplate(read.template);
}

/** @param template_id the sheet it is for, where the caller knows */
export const sheetShape = (db: Database, template_id: string | undefined): Promise<SheetShape | null> =>
  shapeOf(db.sql, template_id);

async function problemsOf(
  tx: Database['sql'] | Tx,
  row: Pick<AnswerKeysTable, 'key_id' | 'content'>,
): Promise<v.InferOutput<typeof KeyValidation>> {
  const content = JSON.parse(row.content) as KeyContent;
  const used = await tx.selectFrom('tasks').select('template_id').where('key_id', '=', row.key_id).distinct().execute();
  const template_id = templateOfKey(
    content,
    used.map((task) => task.template_id),
  );
  const problems = validateKey(content, await shapeOf(tx, template_id));
  return { publishable: problems.every(({ level }) => level !== 'error'), problems };
}

/** Says exactly what is wrong with a version. */
export async function validateVersion(
  db: Database,
  user: User,
  key_id: string,
  version?: number,
): Promise<v.InferOutput<typeof KeyValidation>> {
  const { content } = await findKey(db, user, key_id, version);
  return problemsOf(db.sql, { key_id, content: JSON.stringify(content) });
}
