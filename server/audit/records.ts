// Holds what stands in the tables against the last word of the audit log about it: users, templates, answer keys, tasks
// and corrections. A row that was changed, made or taken away without an entry is a fault.
import type { Database } from '../adapters/database.ts';
import { contentHash } from '../audit.ts';
import { correctionHash } from './corrections.ts';
import type { Fault } from './fault.ts';

export interface RecordReport {
  users: number;
  templates: number;
  keys: number;
  tasks: number;
  corrections: number;
  faults: Fault[];
}

/** By subject: what the newest entry says it has become, and who said so when. */
type LastWords = Map<string, { after: Record<string, unknown>; seq: number }>;

/** Actions that say what a thing has become. */
const TELLING: Readonly<Record<string, readonly string[]>> = {
  user: ['user.create', 'user.change'],
  template: ['template.create'],
  key: ['key.create', 'key.edit', 'key.publish'],
  task: ['task.save'],
  correction: ['correction.append'],
};

async function lastWords(db: Database, kind: keyof typeof TELLING): Promise<LastWords> {
  const words: LastWords = new Map();
  const rows = await db.sql
    .selectFrom('audit')
    .select(['seq', 'subject', 'after_value'])
    .where('action', 'in', TELLING[kind] ?? [])
    .orderBy('seq')
    .execute();
  for (const { seq, subject, after_value } of rows) {
    const after: unknown = after_value === null ? {} : JSON.parse(after_value);
    words.set(subject, { after: typeof after === 'object' && after !== null ? { ...after } : {}, seq });
  }
  return words;
}

interface Row {
  subject: string;
  /** how a person calls it */
  name: string;
  /** what its entry must say of it, by the entry's field */
  is: Record<string, unknown>;
  /** says what the difference is; null: as field and values */
  changed?: string;
}

/** Compares rows with the last word about each. @param gone subjects whose rows may rightly be away */
function compare(rows: readonly Row[], words: LastWords, gone: (subject: string) => boolean = () => false): Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const { subject, name, is, changed } of rows) {
    seen.add(subject);
    const word = words.get(subject);
    if (!word) {
      faults.push({ place: name, what: 'the audit log has no entry of how it was made' });
      continue;
    }
    for (const [field, value] of Object.entries(is)) {
      const told = word.after[field] ?? null;
      if (JSON.stringify(told) === JSON.stringify(value)) continue;
      const what = changed ?? `${field} is ${JSON.stringify(value)}`;
      const since = changed ? '' : `, and ${JSON.stringify(told)} by the last entry about it`;
      faults.push({ place: name, what: `${what}${since} (audit row ${word.seq})` });
    }
  }
  for (const [subject, { seq }] of words) {
    if (!seen.has(subject) && !gone(subject))
      faults.push({ place: subject, what: `it is missing, though audit row ${seq} tells of it` });
  }
  return faults;
}

async function users(db: Database): Promise<Row[]> {
  const centres = new Map<string, string[]>();
  for (const { user_id, centre_id } of await db.sql
    .selectFrom('user_centres')
    .selectAll()
    .orderBy('centre_id')
    .execute())
    centres.set(user_id, [...(centres.get(user_id) ?? []), centre_id]);
  const rows = await db.sql.selectFrom('users').select(['user_id', 'username', 'role', 'disabled']).execute();
  return rows.map((user) => ({
    subject: `user:${user.user_id}`,
    name: `user ${user.username}`,
    is: { role: user.role, disabled: user.disabled === 1, centres: (centres.get(user.user_id) ?? []).sort() },
  }));
}

async function templates(db: Database): Promise<Row[]> {
  const rows = await db.sql.selectFrom('templates').select(['template_id', 'version', 'content']).execute();
  return rows.map(({ template_id, version, content }) => ({
    subject: `template:${template_id}@${version}`,
    name: `template ${template_id}, version ${version}`,
    is: { content_sha256: contentHash(content) },
    changed: 'its content was changed',
  }));
}

async function keys(db: Database): Promise<Row[]> {
  const rows = await db.sql.selectFrom('answer_keys').select(['key_id', 'version', 'state', 'content']).execute();
  return rows.map(({ key_id, version, state, content }) => ({
    subject: `key:${key_id}@${version}`,
    name: `answer key ${key_id}, version ${version} (${state})`,
    is: { content_sha256: contentHash(content) },
    changed: 'its content was changed after it was last told of',
  }));
}

async function tasks(db: Database): Promise<Row[]> {
  const rows = await db.sql
    .selectFrom('tasks')
    .select(['task_id', 'exam_id', 'centre_id', 'template_id', 'template_version', 'key_id', 'expected_count'])
    .execute();
  return rows.map(({ task_id, ...is }) => ({ subject: `task:${task_id}`, name: `task ${task_id}`, is }));
}

async function corrections(db: Database): Promise<Row[]> {
  const rows = await db.sql.selectFrom('corrections').selectAll().execute();
  return rows.map((row) => ({
    subject: `correction:${row.correction_id}`,
    name: `correction ${row.correction_id} (sheet ${row.sheet_id} of batch ${row.batch_id}, ${row.field})`,
    is: { content_sha256: correctionHash(row) },
    changed: 'it was changed after it was made',
  }));
}

/** Corrections that went with their batch. */
async function purgedCorrections(db: Database): Promise<Set<string>> {
  const purged = await db.sql.selectFrom('audit').select('subject').where('action', '=', 'batch.purge').execute();
  const batches = new Set(purged.map(({ subject }) => subject.replace('batch:', '')));
  if (batches.size === 0) return new Set();
  const made = await db.sql
    .selectFrom('audit')
    .select(['subject', 'before_value'])
    .where('action', '=', 'correction.append')
    .execute();
  const gone = made.filter(({ before_value }) => {
    const before = JSON.parse(before_value ?? '{}') as { batch_id?: string };
    return before.batch_id !== undefined && batches.has(before.batch_id);
  });
  return new Set(gone.map(({ subject }) => subject));
}

export async function checkRecords(db: Database): Promise<RecordReport> {
  // The tables first: what is changed while this runs has its entry by the time the entries are read. Should a row be
  // changed in between, its entry is newer than the row that was read, so the tables are read once more.
  for (let again = 0; ; again++) {
    const purged = await purgedCorrections(db);
    const before = await newestSeq(db);
    const found = {
      user: await users(db),
      template: await templates(db),
      key: await keys(db),
      task: await tasks(db),
      correction: await corrections(db),
    };
    const faults: Fault[] = [];
    for (const [kind, rows] of Object.entries(found))
      faults.push(...compare(rows, await lastWords(db, kind), (subject) => purged.has(subject)));
    if (faults.length > 0 && again < 3 && (await newestSeq(db)) !== before) continue;
    return {
      users: found.user.length,
      templates: found.template.length,
      keys: found.key.length,
      tasks: found.task.length,
      corrections: found.correction.length,
      faults,
    };
  }
}

async function newestSeq(db: Database): Promise<number> {
  const { n } = await db.sql
    .selectFrom('audit')
    .select((eb) => eb.fn.max('seq').as('n'))
    .executeTakeFirstOrThrow();
  return Number(n ?? 0);
}
