// Login, refresh, logout, password, me. The refresh token travels as a cookie that scripts cannot read; clients without
// cookies ask for it in the body.
import type { CookieOptions, Request, Response } from 'express';
import { LoginForm, PasswordForm, RefreshForm } from '../../shared/protocol/auth.ts';
import { me, REFRESH_TOKEN_SECONDS, type Sessions, type Tokens } from '../auth/sessions.ts';
import { parse, type Routes } from './routes.ts';

const COOKIE = 'sheaf_refresh';

const cookieOptions = (req: Request): CookieOptions => ({
  httpOnly: true,
  sameSite: 'strict',
  secure: req.secure,
  path: '/api/auth',
});

function cookieOf(req: Request): string | undefined {
  const pairs = (req.get('cookie') ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([name]) => name === COOKIE)?.[1];
}

function answer(req: Request, res: Response, { answer: body, refresh_token }: Tokens, inBody: boolean): void {
  res.set('Cache-Control', 'no-store');
  if (inBody) {
    res.json({ ...body, refresh_token });
    return;
  }
  res.cookie(COOKIE, refresh_token, { ...cookieOptions(req), maxAge: REFRESH_TOKEN_SECONDS * 1000 });
  res.json(body);
}

export function authRoutes(routes: Routes, sessions: Sessions): void {
  routes.open('POST /api/auth/login', async (req, res) => {
    const form = parse(LoginForm, req.body, 'login form');
    const tokens = await sessions.login(form.username, form.password, {
      device: req.get('user-agent') ?? 'unknown device',
      address: req.ip ?? null,
    });
    answer(req, res, tokens, form.token_in_body === true);
  });
  routes.open('POST /api/auth/refresh', async (req, res) => {
    const { refresh_token } = parse(RefreshForm, req.body ?? {}, 'refresh form');
    answer(
      req,
      res,
      await sessions.refresh(refresh_token ?? cookieOf(req), req.ip ?? null),
      refresh_token !== undefined,
    );
  });
  routes.open('POST /api/auth/logout', async (req, res) => {
    const { refresh_token } = parse(RefreshForm, req.body ?? {}, 'logout form');
    await sessions.logout(refresh_token ?? cookieOf(req));
    res.clearCookie(COOKIE, cookieOptions(req)).status(204).end();
  });
  routes.on('POST /api/auth/password', async (req, res, { user }) => {
    const form = parse(PasswordForm, req.body, 'password form');
    await sessions.changePassword(user, form.current_password, form.new_password, req.ip ?? null);
    res.status(204).end();
  });
  routes.on('GET /api/auth/me', (_req, res, { user }) => res.json(me(user)));
}
