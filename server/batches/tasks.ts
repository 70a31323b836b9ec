// Tasks and answer keys, as far as scoring needs them: a key is a list of published versions, a task says which template
// and key its sheets go by.

import type * as v from 'valibot';
import type { KeyAnswer, KeyContent, NewTask, TaskAnswer } from '../../shared/protocol/key.ts';
import type { Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { visibleKey, visibleTask } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { refuse } from '../problem.ts';

type Key = v.InferOutput<typeof KeyAnswer>;
type Task = v.InferOutput<typeof TaskAnswer>;

const newestKey = (
  db: Pick<Database, 'sql'>['sql'] | Parameters<Parameters<Database['write']>[0]>[0],
  key_id: string,
) => db.selectFrom('answer_keys').selectAll().where('key_id', '=', key_id).orderBy('version', 'desc').limit(1);

/** Publishes the next version of a key; the same content again is the same version. */
export async function publishKey(db: Database, user: User, key_id: string, content: KeyContent): Promise<Key> {
  return db.write(async (tx) => {
    const last = await newestKey(tx, key_id).executeTakeFirst();
    const text = JSON.stringify(content);
    if (last?.content === text) return { key_id, version: last.version, content };
    const version = (last?.version ?? 0) + 1;
    await tx
      .insertInto('answer_keys')
      .values({
        key_id,
        version,
        state: 'published',
        content: text,
        created_by: user.user_id,
        published_by: user.user_id,
        created_at: Date.now(),
      })
      .execute();
    await audit(db, tx, {
      ...by(user),
      action: 'key.publish',
      subject: `key:${key_id}@${version}`,
      before: last?.content,
      after: content,
    });
    return { key_id, version, content };
  });
}

export async function findKey(db: Database, user: User, key_id: string): Promise<Key> {
  const key = await newestKey(db.sql, key_id).where(visibleKey(user)).executeTakeFirst();
  if (!key) return refuse('NOT_FOUND', `There is no answer key ${key_id}. POST /api/answer-keys makes it.`);
  return { key_id, version: key.version, content: JSON.parse(key.content) as KeyContent };
}

/** Creates a task, or gives an existing one new properties. */
export async function saveTask(db: Database, user: User, task: v.InferOutput<typeof NewTask>): Promise<Task> {
  await db.write(async (tx) => {
    const template = await tx
      .selectFrom('templates')
      .select('version')
      .where('template_id', '=', task.template_id)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!template)
      refuse(
        'VALIDATION_FAILED',
        `template_id: there is no template ${task.template_id}. GET /api/templates lists them.`,
        { errors: [{ field: 'template_id', message: 'no such template' }] },
      );
    if (task.key_id !== null && !(await newestKey(tx, task.key_id).where(visibleKey(user)).executeTakeFirst())) {
      refuse('VALIDATION_FAILED', `key_id: there is no answer key ${task.key_id}. Make it first, or leave it null.`, {
        errors: [{ field: 'key_id', message: 'no such answer key' }],
      });
    }
    await db.insertNew(tx, 'exams', [{ exam_id: task.exam, name: task.exam }]);
    await db.insertNew(tx, 'centres', [{ centre_id: task.centre, name: task.centre }]);
    const before = await tx.selectFrom('tasks').selectAll().where('task_id', '=', task.task_id).executeTakeFirst();
    const centres = [task.centre, ...(before ? [before.centre_id] : [])];
    const foreign = user.role === 'admin' ? undefined : centres.find((centre) => !user.centres.includes(centre));
    if (foreign !== undefined) {
      refuse('FORBIDDEN', `${foreign} is not one of your centres, and its tasks are not yours to set. Ask an admin.`);
    }
    const row = {
      task_id: task.task_id,
      exam_id: task.exam,
      centre_id: task.centre,
      packet: before?.packet ?? null,
      template_id: task.template_id,
      template_version: template.version,
      key_id: task.key_id,
      expected_count: task.expected_count ?? null,
      rev: (before?.rev ?? 0) + 1,
      created_at: before?.created_at ?? Date.now(),
    };
    await db.upsert(tx, 'tasks', [row]);
    await audit(db, tx, {
      ...by(user),
      action: 'task.save',
      subject: `task:${task.task_id}`,
      before,
      after: row,
    });
  });
  return findTask(db, user, task.task_id);
}

export async function findTask(db: Database, user: User, task_id: string): Promise<Task> {
  const task = await db.sql
    .selectFrom('tasks')
    .selectAll()
    .where('task_id', '=', task_id)
    .where(visibleTask(user))
    .executeTakeFirst();
  if (!task) return refuse('NOT_FOUND', `There is no task ${task_id}. POST /api/tasks makes it.`);
  const { exam_id: exam, centre_id: centre, template_id, template_version, key_id, expected_count } = task;
  return { task_id, exam, centre, template_id, template_version, key_id, expected_count };
}
