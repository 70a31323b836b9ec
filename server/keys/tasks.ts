// Tasks: which exam, centre, packet, template and key the sheets behind an 8-digit number go by. A batch may meet the
// number before the task exists: its sheets are read, held as "no task", and score as soon as it does.
import type * as v from 'valibot';
import type { NewTask, TaskAnswer, TaskEdit, TaskList, TaskQuery } from '../../shared/protocol/key.ts';
import { taskStamp } from '../../shared/protocol/sync.ts';
import type { Database, TasksTable, Tx } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { visibleKey, visibleTask } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { OFFICE, tellChanges } from '../changes.ts';
import { refuse } from '../problem.ts';
import { holds, PAGE_SIZE } from './keys.ts';
import { requestRescores, tellGroupsOf } from './rescore.ts';

export const answerOfTask = (row: TasksTable): TaskAnswer => ({
  task_id: row.task_id,
  exam: row.exam_id,
  centre: row.centre_id,
  packet: row.packet,
  template_id: row.template_id,
  template_version: row.template_version,
  key_id: row.key_id,
  expected_count: row.expected_count,
  rev: row.rev,
});

type Properties = Omit<v.InferOutput<typeof NewTask>, 'task_id'>;

/** Creates a task, or gives an existing one new properties.
 *  @returns the task, and the batches that are to be scored again */
export async function saveTask(
  db: Database,
  user: User,
  task: v.InferOutput<typeof NewTask>,
): Promise<{ task: TaskAnswer; batches: string[] }> {
  const { task_id, ...properties } = task;
  return db.write(async (tx) => {
    const before = await tx
      .selectFrom('tasks')
      .selectAll()
      .where('task_id', '=', task_id)
      .forUpdate()
      .executeTakeFirst();
    return store(db, tx, user, task_id, before, { packet: before?.packet ?? null, ...properties });
  });
}

/** An edit that was made without a network: the task has to be what it was made of still.
 *  @param base names that state (`taskStamp`); null: there was none */
export async function saveTaskOver(
  db: Database,
  tx: Tx,
  user: User,
  { task_id, ...task }: v.InferOutput<typeof NewTask>,
  base: string | null,
): Promise<{ task: TaskAnswer; batches: string[] }> {
  const before = await tx.selectFrom('tasks').selectAll().where('task_id', '=', task_id).forUpdate().executeTakeFirst();
  const properties = { packet: null, expected_count: null, ...defined(task) };
  if (before) {
    const { exam, centre, packet, template_id, key_id, expected_count } = answerOfTask(before);
    const was = { packet, expected_count, exam, centre, template_id, key_id };
    const same = (Object.keys(was) as (keyof typeof was)[]).every((field) => was[field] === properties[field]);
    if (!same && base === null)
      refuse(
        'CONFLICT',
        `There is a task ${task_id} already, with other properties. PATCH /api/tasks/${task_id} changes it.`,
      );
    if (!same && base !== taskStamp(before))
      refuse('CONFLICT', `Somebody else has changed task ${task_id} in the meantime.`);
  } else if (base !== null) refuse('CONFLICT', `Task ${task_id} is no longer there for you.`);
  return store(db, tx, user, task_id, before, properties);
}

/** Changes what is named and leaves the rest. */
export async function editTask(
  db: Database,
  user: User,
  task_id: string,
  { base_rev, ...edit }: v.InferOutput<typeof TaskEdit>,
): Promise<{ task: TaskAnswer; batches: string[] }> {
  return db.write(async (tx) => {
    const before = await tx
      .selectFrom('tasks')
      .selectAll()
      .where('task_id', '=', task_id)
      .where(visibleTask(user))
      .forUpdate()
      .executeTakeFirst();
    if (!before) return noTask(task_id);
    if (base_rev !== undefined && base_rev !== before.rev) {
      refuse(
        'CONFLICT',
        `Task ${task_id} has been changed since (revision ${before.rev}, yours began at ${base_rev}). Get it, look, and edit that.`,
      );
    }
    const { exam, centre, template_id, key_id, packet, expected_count } = { ...answerOfTask(before), ...defined(edit) };
    return store(db, tx, user, task_id, before, { exam, centre, template_id, key_id, packet, expected_count });
  });
}

/** Without the fields that were left out. */
const defined = <T extends object>(edit: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(edit).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

async function store(
  db: Database,
  tx: Tx,
  user: User,
  task_id: string,
  before: TasksTable | undefined,
  task: Properties,
): Promise<{ task: TaskAnswer; batches: string[] }> {
  for (const centre of new Set([before?.centre_id ?? task.centre, task.centre])) {
    if (user.role !== 'admin' && !user.centres.includes(centre))
      refuse('FORBIDDEN', `Centre ${centre} is not one of yours. Ask an admin, or a supervisor of that centre.`);
  }
  const template = await tx
    .selectFrom('templates')
    .select('version')
    .where('template_id', '=', task.template_id)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!template) {
    return refuse(
      'VALIDATION_FAILED',
      `template_id: there is no template ${task.template_id}. GET /api/templates lists them.`,
      { errors: [{ field: 'template_id', message: 'no such template' }] },
    );
  }
  if (task.key_id !== null && task.key_id !== before?.key_id) {
    const key = await tx
      .selectFrom('answer_keys')
      .select('key_id')
      .where('key_id', '=', task.key_id)
      .where(visibleKey(user))
      .limit(1)
      .executeTakeFirst();
    if (!key) {
      refuse('VALIDATION_FAILED', `key_id: there is no answer key ${task.key_id}. Make it first, or leave it null.`, {
        errors: [{ field: 'key_id', message: 'no such answer key' }],
      });
    }
  }
  await db.insertNew(tx, 'exams', [{ exam_id: task.exam, name: task.exam }]);
  await db.insertNew(tx, 'centres', [{ centre_id: task.centre, name: task.centre }]);
  const kept = before?.template_id === task.template_id ? before.template_version : template.version;
  const row: TasksTable = {
    task_id,
    exam_id: task.exam,
    centre_id: task.centre,
    packet: task.packet ?? null,
    template_id: task.template_id,
    template_version: kept,
    key_id: task.key_id,
    expected_count: task.expected_count ?? null,
    rev: (before?.rev ?? 0) + 1,
    created_at: before?.created_at ?? Date.now(),
  };
  const same =
    before && JSON.stringify(answerOfTask({ ...row, rev: before.rev })) === JSON.stringify(answerOfTask(before));
  if (same) return { task: answerOfTask(before), batches: [] };
  await db.upsert(tx, 'tasks', [row]);
  await audit(db, tx, { ...by(user), action: 'task.save', subject: `task:${task_id}`, before, after: row });
  // A key that may apply to other packets of the exam too is one more the detector has to look at when they are scored
  // next; these are scored now.
  const scored = !before || before.key_id !== row.key_id || before.exam_id !== row.exam_id;
  const batches = scored ? await requestRescores(db, tx, { task_id }, `task:${task_id}`, user.user_id) : [];
  await tellGroupsOf(db, tx, task_id);
  await tellChanges(db, tx, OFFICE, 'task', [task_id]);
  // Who may see a key, and how many tasks go by it, hangs on the tasks.
  const keys = [before?.key_id, row.key_id].filter((id) => id != null);
  await tellChanges(db, tx, OFFICE, 'key', [...new Set(keys)]);
  return { task: answerOfTask(row), batches };
}

const noTask = (task_id: string): never =>
  refuse('NOT_FOUND', `There is no task ${task_id}, or it is not one of your centres'. POST /api/tasks makes it.`);

export async function findTask(db: Database, user: User, task_id: string): Promise<TaskAnswer> {
  const task = await db.sql
    .selectFrom('tasks')
    .selectAll()
    .where('task_id', '=', task_id)
    .where(visibleTask(user))
    .executeTakeFirst();
  return task ? answerOfTask(task) : noTask(task_id);
}

export async function listTasks(
  db: Database,
  user: User,
  { search, page, exam, centre, key_id }: v.InferOutput<typeof TaskQuery>,
): Promise<v.InferOutput<typeof TaskList>> {
  let rows = db.sql.selectFrom('tasks').where(visibleTask(user));
  if (exam !== undefined) rows = rows.where('exam_id', '=', exam);
  if (centre !== undefined) rows = rows.where('centre_id', '=', centre);
  if (key_id !== undefined) rows = rows.where('key_id', '=', key_id);
  if (search) {
    rows = rows.where((eb) =>
      eb.or(
        ['tasks.task_id', 'tasks.exam_id', 'tasks.centre_id', 'tasks.packet', 'tasks.key_id'].map((column) =>
          holds(column, search),
        ),
      ),
    );
  }
  const { total } = await rows.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  const items = await rows
    .selectAll()
    .orderBy('task_id')
    .limit(PAGE_SIZE)
    .offset((page - 1) * PAGE_SIZE)
    .execute();
  return {
    items: items.map(answerOfTask),
    total: Number(total),
    page,
    pages: Math.max(1, Math.ceil(Number(total) / PAGE_SIZE)),
  };
}
