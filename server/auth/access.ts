// Who may do what, as one table of data: every route has a row, and a route without one cannot be registered. Which of
// the things that exist a role may know of is the second table, and what goes into the queries themselves follows it.
import type { ExpressionBuilder } from 'kysely';
import type { Role } from '../../shared/protocol/auth.ts';
import type { Schema } from '../adapters/database.ts';
import type { User } from './sessions.ts';

const EVERYONE: readonly Role[] = ['admin', 'supervisor', 'reviewer', 'operator', 'viewer'];
const SENDERS: readonly Role[] = ['admin', 'supervisor', 'reviewer', 'operator'];
const KEYHOLDERS: readonly Role[] = ['admin', 'supervisor'];
/** Who may read answer keys: before an exam they are its secret, and operators sit where it is written. */
const EXAMINERS: readonly Role[] = ['admin', 'supervisor', 'reviewer'];
const ADMINS: readonly Role[] = ['admin'];

/** Whose a thing is, seen from the one who asks: theirs; somebody else's in one of their centres; somebody else's in a
 *  centre that is not theirs; somebody else's in no centre at all. */
export const OWNERSHIPS = ['own', 'centre', 'other', 'nobody'] as const;
export type Ownership = (typeof OWNERSHIPS)[number];

const ALL = OWNERSHIPS;

/** What each role may know of. All else does not exist for it: 404. */
export const SCOPES = {
  batch: {
    admin: ALL,
    supervisor: ['own', 'centre'],
    reviewer: ['own', 'centre'],
    operator: ['own'],
    viewer: ['own', 'centre'],
  },
  /** bytes on their way are their sender's */
  upload: { admin: ALL, supervisor: ['own'], reviewer: ['own'], operator: ['own'], viewer: ['own'] },
  /** … until a supervisor takes over one that is stuck */
  adoption: { admin: ALL, supervisor: ['own', 'centre'], reviewer: ['own'], operator: ['own'], viewer: ['own'] },
  /** a task is its centre's, whoever made it */
  task: { admin: ALL, supervisor: ['centre'], reviewer: ['centre'], operator: ['centre'], viewer: ['centre'] },
  /** a key is its author's, and of the centres whose tasks go by it */
  key: {
    admin: ALL,
    supervisor: ['own', 'centre'],
    reviewer: ['own', 'centre'],
    operator: ['own', 'centre'],
    viewer: ['own', 'centre'],
  },
  /** oneself, or another */
  user: { admin: ALL, supervisor: ['own'], reviewer: ['own'], operator: ['own'], viewer: ['own'] },
} as const satisfies Record<string, Record<Role, readonly Ownership[]>>;
export type ObjectKind = keyof typeof SCOPES;

/** What a route's path names, by its first parameter. */
const NAMED: Readonly<Record<string, ObjectKind>> = {
  batch_id: 'batch',
  upload_id: 'upload',
  task_id: 'task',
  key_id: 'key',
  user_id: 'user',
};

interface Row {
  /** roles that may, or `public` for no sign-in at all */
  who: readonly Role[] | 'public';
  /** an upload's own token opens this route too, for that upload alone */
  uploadToken?: true;
  /** open to one who has to change their password before anything else */
  passwordDue?: true;
  /** what it is about, where the path does not tell */
  object?: ObjectKind;
}

export const ACCESS = {
  'POST /api/auth/login': { who: 'public' },
  'POST /api/auth/refresh': { who: 'public' },
  'POST /api/auth/logout': { who: 'public' },
  'POST /api/auth/password': { who: EVERYONE, passwordDue: true },
  'GET /api/auth/me': { who: EVERYONE, passwordDue: true },
  'POST /api/batches/upload': { who: SENDERS },
  'POST /api/batches/uploads': { who: SENDERS },
  'POST /api/batches/upload-chunk': { who: SENDERS, uploadToken: true, object: 'upload' },
  'GET /api/batches/uploads/:upload_id': { who: SENDERS, uploadToken: true },
  'POST /api/batches/uploads/:upload_id/seal': { who: SENDERS, uploadToken: true },
  'POST /api/batches/uploads/:upload_id/adopt': { who: KEYHOLDERS, object: 'adoption' },
  'DELETE /api/batches/uploads/:upload_id': { who: SENDERS },
  'GET /api/events': { who: EVERYONE },
  'GET /api/batches': { who: EVERYONE },
  'GET /api/batches/:batch_id/status': { who: EVERYONE },
  'GET /api/batches/:batch_id/progress': { who: EVERYONE },
  'GET /api/batches/:batch_id/stream': { who: EVERYONE },
  'GET /api/batches/:batch_id/groups': { who: EVERYONE },
  'GET /api/batches/:batch_id/groups/:group_id/key-fit': { who: EXAMINERS },
  'POST /api/batches/:batch_id/groups/:group_id/settle': { who: SENDERS },
  'POST /api/batches/:batch_id/groups/:group_id/confirm-key': { who: KEYHOLDERS },
  'GET /api/batches/:batch_id/sheets': { who: EVERYONE },
  'GET /api/batches/:batch_id/sheets/:sheet_id': { who: EVERYONE },
  'GET /api/batches/:batch_id/sheets/:sheet_id/image': { who: EVERYONE },
  'GET /api/batches/:batch_id/snippets': { who: EVERYONE },
  'GET /api/batches/:batch_id/export': { who: EVERYONE },
  'POST /api/batches/:batch_id/pause': { who: SENDERS },
  'POST /api/batches/:batch_id/resume': { who: SENDERS },
  'POST /api/batches/:batch_id/cancel': { who: SENDERS },
  'POST /api/batches/:batch_id/reprocess': { who: SENDERS },
  'POST /api/batches/:batch_id/restore': { who: ADMINS },
  'DELETE /api/batches/:batch_id': { who: ADMINS },
  'GET /api/answer-keys': { who: EXAMINERS },
  'POST /api/answer-keys': { who: KEYHOLDERS },
  'POST /api/answer-keys/parse': { who: KEYHOLDERS },
  'GET /api/answer-keys/:key_id': { who: EXAMINERS },
  'PATCH /api/answer-keys/:key_id': { who: KEYHOLDERS },
  'POST /api/answer-keys/:key_id/validate': { who: EXAMINERS },
  'POST /api/answer-keys/:key_id/publish': { who: KEYHOLDERS },
  'GET /api/answer-keys/:key_id/versions': { who: EXAMINERS },
  'GET /api/answer-keys/:key_id/versions/:version': { who: EXAMINERS },
  'GET /api/answer-keys/:key_id/versions/:version/export': { who: EXAMINERS },
  'POST /api/answer-keys/:key_id/versions/:version/impact': { who: KEYHOLDERS },
  'GET /api/tasks': { who: EVERYONE },
  'POST /api/tasks': { who: KEYHOLDERS },
  'GET /api/tasks/:task_id': { who: EVERYONE },
  'PATCH /api/tasks/:task_id': { who: KEYHOLDERS },
  'GET /api/templates': { who: EVERYONE },
  'GET /api/exams': { who: EVERYONE },
  'POST /api/exams': { who: KEYHOLDERS },
  'GET /api/centres': { who: EVERYONE },
  'POST /api/centres': { who: ADMINS },
  'GET /api/users': { who: ADMINS },
  'POST /api/users': { who: ADMINS },
  'GET /api/users/:user_id': { who: EVERYONE },
  'PATCH /api/users/:user_id': { who: ADMINS },
  'POST /api/users/:user_id/password': { who: ADMINS },
  'GET /api/users/:user_id/sessions': { who: EVERYONE },
  'DELETE /api/users/:user_id/sessions': { who: EVERYONE },
  'DELETE /api/users/:user_id/sessions/:session_id': { who: EVERYONE },
  'GET /api/audit': { who: ADMINS },
  'GET /api/sync/pull': { who: EVERYONE },
  'POST /api/sync/push': { who: EXAMINERS },
  'GET /healthz': { who: 'public' },
  'GET /readyz': { who: 'public' },
} as const satisfies Record<string, Row>;

export type RouteKey = keyof typeof ACCESS;
export const accessRow = (key: RouteKey): Row => ACCESS[key];

/** What a mutation needs, as the routes that do the same one by one. */
export const readsKeys = ({ role }: Pick<User, 'role'>): boolean => EXAMINERS.includes(role);
export const reviews = readsKeys;
export const keepsKeys = ({ role }: Pick<User, 'role'>): boolean => KEYHOLDERS.includes(role);

/** What a route is about, and the path parameter that names it; null when it is about nothing that is anybody's. */
export function objectOf(key: RouteKey): { kind: ObjectKind; parameter: string | null } | null {
  const parameter = /:(\w+)/.exec(key)?.[1] ?? null;
  const kind = accessRow(key).object ?? (parameter === null ? undefined : NAMED[parameter]);
  return kind ? { kind, parameter } : null;
}

/** What a request comes to, as far as who asks decides it: 401 without a token; 404 for what is outside the scope; 403
 *  for a right that is missing on what is known, or where the body would have to be read to tell. */
export function verdict(key: RouteKey, role: Role | null, ownership: Ownership | null): 'allowed' | 401 | 403 | 404 {
  const { who } = accessRow(key);
  if (who === 'public') return 'allowed';
  if (role === null) return 401;
  const object = objectOf(key);
  const may = who.includes(role);
  if (object === null || (object.parameter === null && !may)) return may ? 'allowed' : 403;
  const scope: readonly Ownership[] = SCOPES[object.kind][role];
  if (ownership === null || !scope.includes(ownership)) return 404;
  return may ? 'allowed' : 403;
}

type Eb<T extends keyof Schema> = ExpressionBuilder<Schema, T>;

/** The batches a user may know of: operators their own, admins all, everyone else their centres' and their own. What
 *  lies in the bin is the admins' alone. */
export function visible(user: User) {
  return (eb: Eb<'batches'>) => {
    if (user.role === 'admin') return eb.lit(true);
    const own = eb('batches.uploaded_by', '=', user.user_id);
    const whose =
      user.role === 'operator' || user.centres.length === 0
        ? own
        : eb.or([own, eb('batches.centre_id', 'in', user.centres)]);
    return eb.and([whose, eb('batches.deleted_at', 'is', null)]);
  };
}

/** The same of a batch in hand; also of one in the bin, whose end its people are told of. */
export function mayKnow(user: User, batch: { uploaded_by: string; centre_id: string | null }): boolean {
  if (user.role === 'admin' || batch.uploaded_by === user.user_id) return true;
  return user.role !== 'operator' && batch.centre_id !== null && user.centres.includes(batch.centre_id);
}

/** The uploads whose bytes a user may send, seal or take back. */
export const visibleUpload = (user: User) => (eb: Eb<'uploads'>) =>
  user.role === 'admin' ? eb.lit(true) : eb('uploads.owner', '=', user.user_id);

/** The uploads a user may know of in order to take them over. */
export const visibleAdoption = (user: User) => (eb: Eb<'uploads'>) => {
  if (user.role === 'admin') return eb.lit(true);
  const own = eb('uploads.owner', '=', user.user_id);
  if (user.role !== 'supervisor' || user.centres.length === 0) return own;
  const ofCentre = eb
    .selectFrom('batches')
    .select('batches.batch_id')
    .whereRef('batches.batch_id', '=', 'uploads.batch_id')
    .where('batches.centre_id', 'in', user.centres);
  return eb.or([own, eb.exists(ofCentre)]);
};

/** The tasks of a user's centres. */
export const visibleTask = (user: User) => (eb: Eb<'tasks'>) => {
  if (user.role === 'admin') return eb.lit(true);
  return user.centres.length === 0 ? eb.lit(false) : eb('tasks.centre_id', 'in', user.centres);
};

/** The answer keys a user made a version of, and those that tasks of their centres go by. */
export const visibleKey = (user: User) => (eb: Eb<'answer_keys'>) => {
  if (user.role === 'admin') return eb.lit(true);
  const made = eb
    .selectFrom('answer_keys as version')
    .select('version.key_id')
    .whereRef('version.key_id', '=', 'answer_keys.key_id')
    .where('version.created_by', '=', user.user_id);
  const used = eb
    .selectFrom('tasks')
    .select('tasks.task_id')
    .whereRef('tasks.key_id', '=', 'answer_keys.key_id')
    .where(visibleTask(user));
  return eb.or([eb.exists(made), eb.exists(used)]);
};

/** Admins know everybody; everyone else themselves. */
export const visibleUser = (user: User) => (eb: Eb<'users'>) =>
  user.role === 'admin' ? eb.lit(true) : eb('users.user_id', '=', user.user_id);

export const visibleCentre = (user: User) => (eb: Eb<'centres'>) => {
  if (user.role === 'admin') return eb.lit(true);
  return user.centres.length === 0 ? eb.lit(false) : eb('centres.centre_id', 'in', user.centres);
};

/** The exams that tasks of the user's centres belong to. */
export const visibleExam = (user: User) => (eb: Eb<'exams'>) => {
  if (user.role === 'admin') return eb.lit(true);
  const ofCentre = eb
    .selectFrom('tasks')
    .select('tasks.task_id')
    .whereRef('tasks.exam_id', '=', 'exams.exam_id')
    .where(visibleTask(user));
  return eb.exists(ofCentre);
};
