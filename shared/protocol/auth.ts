// Who is asking: login, the two tokens and the roles.
import * as v from 'valibot';

export const ROLES = ['admin', 'supervisor', 'reviewer', 'operator', 'viewer'] as const;
export const Role = v.picklist(ROLES);
export type Role = v.InferOutput<typeof Role>;

/** `application/x-www-form-urlencoded` (or JSON). `token_in_body` is for clients that keep no cookies. */
export const LoginForm = v.object({
  username: v.pipe(v.string(), v.minLength(1, 'type the user name')),
  password: v.pipe(v.string(), v.minLength(1, 'type the password')),
  token_in_body: v.optional(
    v.union([
      v.boolean(),
      v.pipe(
        v.picklist(['true', 'false']),
        v.transform((x) => x === 'true'),
      ),
    ]),
  ),
});

export const RefreshForm = v.object({ refresh_token: v.optional(v.string()) });

export const TokenAnswer = v.object({
  access_token: v.string(),
  token_type: v.literal('bearer'),
  /** seconds */
  expires_in: v.number(),
  refresh_token: v.optional(v.string()),
});
export type TokenAnswer = v.InferOutput<typeof TokenAnswer>;

export const Me = v.object({
  user_id: v.string(),
  username: v.string(),
  role: Role,
  is_admin: v.boolean(),
  centres: v.array(v.string()),
  must_change_password: v.boolean(),
});
export type Me = v.InferOutput<typeof Me>;

/** Which new passwords are refused is told by `passwordProblem`. */
export const PasswordForm = v.object({
  current_password: v.string(),
  new_password: v.string(),
});
