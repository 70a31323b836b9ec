// How a route is made: its key names a row of the access table, which says who may call it; its handler gets a request
// whose caller is known. Refusals leave as RFC 9457 documents.
import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Express, Request, Response } from 'express';
import multer from 'multer';
import * as v from 'valibot';
import { PROBLEMS, type Problem, type ProblemCode } from '../../shared/protocol/problem.ts';
import { accessRow, type ObjectKind, objectOf, type RouteKey } from '../auth/access.ts';
import type { Sessions, User } from '../auth/sessions.ts';
import { RequestRefused, refuse } from '../problem.ts';
import type { Sender } from '../uploads/ledger.ts';

export interface Caller {
  sender: Sender;
  /** refuses when only an upload's token was shown */
  user: User;
  /** epoch ms when the token that was shown runs out */
  expiresAt: number;
}

type Handler = (req: Request, res: Response, caller: Caller) => unknown;
type PublicHandler = (req: Request, res: Response) => unknown;

export interface RouteDeps {
  sessions: Sessions;
  /** finds the upload that a capability token belongs to */
  uploadOfToken: (token: string) => Promise<string | null>;
  /** whether `id` names something that the user may know of */
  isKnown: (user: User, kind: ObjectKind, id: string) => Promise<boolean>;
}

/** Registers handlers under the keys of the access table. */
export interface Routes {
  open(key: RouteKey, handler: PublicHandler): void;
  on(key: RouteKey, handler: Handler): void;
  registered: RouteKey[];
}

const VERBS = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'delete' } as const;

const unauthorized = (detail: string): never => refuse('UNAUTHORIZED', detail);

const nameOf = (kind: ObjectKind): string =>
  (({ adoption: 'upload', key: 'answer key' }) as Partial<Record<ObjectKind, string>>)[kind] ?? kind;

export function createRoutes(app: Express, { sessions, uploadOfToken, isKnown }: RouteDeps): Routes {
  const registered: RouteKey[] = [];

  async function identify(req: Request, key: RouteKey): Promise<Caller> {
    const [scheme, token] = (req.get('authorization') ?? '').split(' ');
    if (scheme?.toLowerCase() !== 'bearer' || !token) {
      return unauthorized('Send Authorization: Bearer with the access token of POST /api/auth/login.');
    }
    const row = accessRow(key);
    const signedIn = await sessions.authenticate(token);
    if (signedIn) {
      const { user, expires_at } = signedIn;
      if (user.must_change_password && !row.passwordDue) {
        return refuse(
          'PASSWORD_CHANGE_REQUIRED',
          'Your password was given to you by somebody else. Choose your own with POST /api/auth/password (current_password, new_password), then go on.',
        );
      }
      if (row.who !== 'public' && !row.who.includes(user.role)) {
        const object = objectOf(key);
        const id = object?.parameter ? String(req.params[object.parameter]) : null;
        if (object && id !== null && !(await isKnown(user, object.kind, id))) {
          return refuse('NOT_FOUND', `There is no ${nameOf(object.kind)} ${id}, or it is not one of yours.`);
        }
        return refuse(
          'FORBIDDEN',
          `${key} is for ${row.who.join(', ')}; you are signed in as ${user.role}. Ask one of them.`,
        );
      }
      return { sender: { kind: 'user', user }, user, expiresAt: expires_at };
    }
    const upload_id = row.uploadToken ? await uploadOfToken(token) : null;
    if (!upload_id)
      return unauthorized(
        'The token is wrong or has run out. Refresh it with POST /api/auth/refresh, or sign in again.',
      );
    return {
      sender: { kind: 'upload', upload_id },
      get user(): User {
        return unauthorized('An upload’s token moves bytes and nothing else. Sign in for this.');
      },
      expiresAt: Number.POSITIVE_INFINITY,
    };
  }

  function register(key: RouteKey, handler: PublicHandler): void {
    registered.push(key);
    const [method, path] = key.split(' ') as [keyof typeof VERBS, string];
    app[VERBS[method]](path, async (req, res) => {
      await handler(req, res);
    });
  }

  return {
    registered,
    open: register,
    on: (key, handler) => register(key, async (req, res) => handler(req, res, await identify(req, key))),
  };
}

/** Parses what came in; a refusal names every field that does not fit. */
export function parse<S extends v.GenericSchema>(schema: S, input: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, input);
  if (result.success) return result.output;
  const errors = result.issues.map((issue) => ({ field: v.getDotPath(issue) ?? what, message: issue.message }));
  return refuse(
    'VALIDATION_FAILED',
    `The ${what} does not fit: ${errors.map((e) => `${e.field}: ${e.message}`).join('; ')}.`,
    { errors },
  );
}

/** Multer's own limits, in our words. */
function asRefusal(error: unknown): RequestRefused | null {
  if (error instanceof RequestRefused) return error;
  if (error instanceof multer.MulterError) {
    return new RequestRefused(
      'VALIDATION_FAILED',
      `The multipart body does not fit: ${error.message}${error.field ? ` (${error.field})` : ''}.`,
    );
  }
  const { code } = error as { code?: string };
  if (code === 'ENOSPC' || code === 'SQLITE_FULL') {
    return new RequestRefused(
      'DISK_FULL',
      'The server’s disk is full. Nothing that was verified is lost; keep the rest queued, an admin has to make room.',
      { retryAfter: 300 },
    );
  }
  const { type, status, expose, message } = error as {
    type?: string;
    status?: number;
    expose?: boolean;
    message?: string;
  };
  // What express' own body parser refuses: malformed JSON, too large a form.
  if (type && expose && status && status < 500)
    return new RequestRefused('VALIDATION_FAILED', `The body cannot be read: ${message}.`);
  return null;
}

export function problem(code: ProblemCode, detail: string, request_id: string): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: 'about:blank', title, status, code, detail, request_id };
}

/** The last handler: every error becomes a problem document; what we did not expect is reported and kept short. */
export const problems =
  (report: (error: unknown) => void): ErrorRequestHandler =>
  (error: unknown, req, res, next) => {
    const refused = asRefusal(error);
    const id = randomUUID();
    // A body that broke off is a tablet that lost its line: it comes back, and there is nobody to answer.
    const gone = !req.complete && req.destroyed;
    if (!refused && !gone) report(error instanceof Error ? Object.assign(error, { request_id: id }) : error);
    if (res.headersSent) return next(error);
    const detail =
      refused?.message ??
      `Something went wrong on the server. Try again; if it stays, give the operator request ${id}.`;
    const body = problem(refused?.code ?? 'INTERNAL', detail, id);
    const { errors, landed, retryAfter } = refused?.extra ?? {};
    if (retryAfter !== undefined) res.set('Retry-After', String(retryAfter));
    if (body.status === 401) res.set('WWW-Authenticate', 'Bearer');
    res
      .status(body.status)
      .type('application/problem+json')
      .send(JSON.stringify({ ...body, ...(errors ? { errors } : {}), ...(landed !== undefined ? { landed } : {}) }));
  };
