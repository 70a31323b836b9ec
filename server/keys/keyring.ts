// The keys that a batch's sheets may be scored by: the newest published one of each of its tasks, and those of the exam's
// other tasks, which the wrong-key detector compares with.
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { Database, Tx } from '../adapters/database.ts';

export type Reader = Database['sql'] | Tx;

export interface KeyVersion {
  key_id: string;
  version: number;
  content: KeyContent;
}
export const nameOfKey = ({ key_id, version }: { key_id: string; version: number }): string => `${key_id}@${version}`;

/** The newest published key of each task that exists, by task id; null for a task without one. */
export async function keysOf(db: Reader, taskIds: readonly string[]): Promise<Map<string, KeyVersion | null>> {
  if (taskIds.length === 0) return new Map();
  const tasks = await db.selectFrom('tasks').select(['task_id', 'key_id']).where('task_id', 'in', taskIds).execute();
  const newest = await newestPublished(
    db,
    tasks.flatMap(({ key_id }) => key_id ?? []),
  );
  return new Map(tasks.map(({ task_id, key_id }) => [task_id, (key_id !== null && newest.get(key_id)) || null]));
}

async function newestPublished(db: Reader, keyIds: readonly string[]): Promise<Map<string, KeyVersion>> {
  if (keyIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('answer_keys')
    .select(['key_id', 'version', 'content'])
    .where('key_id', 'in', [...new Set(keyIds)])
    .where('state', '=', 'published')
    .orderBy('version')
    .execute();
  // The last of each key stays. Only that is parsed.
  const newest = new Map(rows.map((row) => [row.key_id, row]));
  return new Map(
    [...newest.values()].map(({ key_id, version, content }) => [
      key_id,
      { key_id, version, content: JSON.parse(content) as KeyContent },
    ]),
  );
}

/** Keys that a task's sheets might have been filled in for: those of the exam's tasks on the same template. */
async function alternativesOf(db: Reader, taskIds: readonly string[]): Promise<KeyVersion[]> {
  if (taskIds.length === 0) return [];
  const rows = await db
    .selectFrom('tasks as own')
    .innerJoin('tasks', (join) =>
      join.onRef('tasks.exam_id', '=', 'own.exam_id').onRef('tasks.template_id', '=', 'own.template_id'),
    )
    .select('tasks.key_id')
    .distinct()
    .where('own.task_id', 'in', taskIds)
    .where('tasks.key_id', 'is not', null)
    .orderBy('tasks.key_id')
    .limit(MOST_KEYS)
    .execute();
  return [
    ...(
      await newestPublished(
        db,
        rows.flatMap(({ key_id }) => key_id ?? []),
      )
    ).values(),
  ];
}
/** Beyond so many keys of one exam the detector compares with the first of them: each costs time for every sheet. */
const MOST_KEYS = 60;

/** What scoring a sheet needs besides the sheet. */
export interface Ring {
  keys: Map<string, KeyVersion | null>;
  /** the template each task's sheets are printed from */
  templates: Map<string, string>;
}
/** What scoring a whole batch needs besides its sheets: the detector compares with other keys too. */
export interface Keyring extends Ring {
  alternatives: KeyVersion[];
}
export const keyring = async (db: Reader, taskIds: readonly string[]): Promise<Keyring> => ({
  ...(await ringOf(db, taskIds)),
  alternatives: await alternativesOf(db, taskIds),
});
export async function ringOf(db: Reader, taskIds: readonly string[]): Promise<Ring> {
  const tasks = taskIds.length
    ? await db.selectFrom('tasks').select(['task_id', 'template_id']).where('task_id', 'in', taskIds).execute()
    : [];
  return {
    keys: await keysOf(db, taskIds),
    templates: new Map(tasks.map(({ task_id, template_id }) => [task_id, template_id])),
  };
}
