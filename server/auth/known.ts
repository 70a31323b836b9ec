// Whether something exists for a user: what a refused right is answered with, before anything else is looked at.
import type { Database } from '../adapters/database.ts';
import {
  type ObjectKind,
  visible,
  visibleAdoption,
  visibleKey,
  visibleTask,
  visibleUpload,
  visibleUser,
} from './access.ts';
import type { User } from './sessions.ts';

/** True when `id` names something of this kind that `user` may know of. */
export async function isKnown(db: Database, user: User, kind: ObjectKind, id: string): Promise<boolean> {
  const found = await query(db, user, kind, id);
  return found !== undefined;
}

function query({ sql }: Database, user: User, kind: ObjectKind, id: string): Promise<object | undefined> {
  switch (kind) {
    case 'batch':
      return sql
        .selectFrom('batches')
        .select('batch_id')
        .where('batch_id', '=', id)
        .where(visible(user))
        .executeTakeFirst();
    case 'upload':
      return sql
        .selectFrom('uploads')
        .select('upload_id')
        .where('upload_id', '=', id)
        .where(visibleUpload(user))
        .executeTakeFirst();
    case 'adoption':
      return sql
        .selectFrom('uploads')
        .select('upload_id')
        .where('upload_id', '=', id)
        .where(visibleAdoption(user))
        .executeTakeFirst();
    case 'task':
      return sql
        .selectFrom('tasks')
        .select('task_id')
        .where('task_id', '=', id)
        .where(visibleTask(user))
        .executeTakeFirst();
    case 'key':
      return sql
        .selectFrom('answer_keys')
        .select('key_id')
        .where('key_id', '=', id)
        .where(visibleKey(user))
        .limit(1)
        .executeTakeFirst();
    case 'user':
      return sql
        .selectFrom('users')
        .select('user_id')
        .where('user_id', '=', id)
        .where(visibleUser(user))
        .executeTakeFirst();
  }
}
