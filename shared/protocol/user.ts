// People as the office keeps them: users with their role and centres, the devices they are signed in on, and the
// centres and exams that others are scoped by.
import * as v from 'valibot';
import { Role } from './auth.ts';

const Name = v.pipe(v.string(), v.trim(), v.minLength(1, 'give a name'), v.maxLength(191, 'at most 191 characters'));
const Centres = v.array(Name);

/** User names are compared without regard to case, so they are kept in lower case. */
export const Username = v.pipe(
  v.string(),
  v.trim(),
  v.normalize('NFKC'),
  v.toLowerCase(),
  v.regex(
    /^[\p{L}\p{N}][\p{L}\p{N}._@-]{1,63}$/u,
    '2 to 64 letters, digits, or . _ @ -, the first a letter or a digit',
  ),
);

/** The user changes the password at the first sign-in, unless `must_change_password` is false. Which passwords are
 *  refused is told by `passwordProblem`. */
export const NewUser = v.object({
  username: Username,
  password: v.string(),
  role: Role,
  centres: v.optional(Centres, []),
  must_change_password: v.optional(v.boolean(), true),
});
export type NewUser = v.InferOutput<typeof NewUser>;

/** What is left out stays as it is. */
export const UserPatch = v.strictObject({
  role: v.optional(Role),
  centres: v.optional(Centres),
  disabled: v.optional(v.boolean()),
});
export type UserPatch = v.InferOutput<typeof UserPatch>;

/** An admin's way to give a user a new password: it ends their sessions and lifts a lock on their name. */
export const SetPassword = v.object({ password: v.string(), must_change_password: v.optional(v.boolean(), true) });
export type SetPassword = v.InferOutput<typeof SetPassword>;

export const UserRow = v.object({
  user_id: v.string(),
  username: v.string(),
  role: Role,
  centres: v.array(v.string()),
  disabled: v.boolean(),
  must_change_password: v.boolean(),
  created_at: v.string(),
  /** when one of their devices last asked for a token; null when none is signed in */
  last_used_at: v.nullable(v.string()),
});
export type UserRow = v.InferOutput<typeof UserRow>;

const Page = v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,6}$/, 'a page from 1 on'), v.transform(Number)), '1');

export const UserQuery = v.object({ page: Page, search: v.optional(v.string()), role: v.optional(Role) });
export const UserList = v.object({
  items: v.array(UserRow),
  total: v.number(),
  page: v.number(),
  pages: v.number(),
});
export type UserList = v.InferOutput<typeof UserList>;

/** One sign-in on one device. */
export const DeviceRow = v.object({
  session_id: v.string(),
  /** what the device calls itself */
  device: v.string(),
  /** where it was last seen */
  address: v.nullable(v.string()),
  created_at: v.string(),
  last_used_at: v.string(),
  /** the device that asks */
  current: v.boolean(),
});
export type DeviceRow = v.InferOutput<typeof DeviceRow>;
export const DeviceList = v.object({ items: v.array(DeviceRow) });

export const Centre = v.object({ centre_id: Name, name: Name });
export type Centre = v.InferOutput<typeof Centre>;
export const CentreList = v.object({ items: v.array(Centre) });

export const Exam = v.object({ exam_id: Name, name: Name });
export type Exam = v.InferOutput<typeof Exam>;
export const ExamList = v.object({ items: v.array(v.object({ ...Exam.entries, tasks: v.number() })) });
