// Who is signed in on this device, and the access token of the moment. The token lives in memory only; the httpOnly
// cookie makes a new one. Who it is (no secret) is remembered, so that the app opens without a network.
import type { Me } from '../shared/protocol/auth.ts';
import type { Answer, Api, Refused, Unreachable } from './api.ts';
import { forgetUser, type QueueDb, write } from './db.ts';

export type Access =
  | { kind: 'token'; token: string; user_id: string }
  | { kind: 'signed-out' }
  | { kind: 'unreachable'; detail: string };

/** Runs `work` alone among all tabs and the service worker. */
export type Exclusively = <T>(name: string, work: () => Promise<T>) => Promise<T>;
export const webLock: Exclusively = async (name, work) => navigator.locks.request(name, work);

/** A token is renewed this long before it ends, so that a request never starts with one about to die. */
const EARLY_MS = 60_000;

const noToken = (access: Exclude<Access, { kind: 'token' }>): Refused | Unreachable =>
  access.kind === 'unreachable'
    ? { ...access, timed_out: false }
    : {
        kind: 'refused',
        status: 401,
        code: 'UNAUTHORIZED',
        detail: 'nobody is signed in',
        errors: [],
        landed: null,
        retry_after_ms: null,
      };

export interface SessionDeps {
  queue: QueueDb;
  api: Api;
  exclusively: Exclusively;
  /** monotonic, ms: device clocks jump */
  now: () => number;
}

export function createSession({ queue, api, exclusively, now }: SessionDeps) {
  let held: { token: string; user_id: string; until: number } | null = null;

  async function identity(): Promise<{ me: Me; signed_in: boolean } | null> {
    const row = await queue.get('device', 'identity');
    return row?.key === 'identity' ? { me: row.me, signed_in: row.signed_in } : null;
  }

  async function adopt(token: string, expiresIn: number): Promise<Answer<Me>> {
    const me = await api.me(token);
    if (me.kind !== 'ok') return me;
    held = { token, user_id: me.value.user_id, until: now() + expiresIn * 1000 - EARLY_MS };
    await write(queue, ['device'], async (tx) => {
      await tx.objectStore('device').put({ key: 'identity', me: me.value, signed_in: true });
      await tx.objectStore('device').delete('logout-pending');
    });
    return me;
  }

  async function renew(): Promise<Access> {
    if ((await queue.get('device', 'logout-pending')) !== undefined) {
      const out = await api.logout();
      if (out.kind === 'unreachable') return out;
      await write(queue, ['device'], (tx) => tx.objectStore('device').delete('logout-pending'));
      return { kind: 'signed-out' };
    }
    const answer = await api.refresh();
    if (answer.kind === 'ok') {
      const me = await adopt(answer.value.access_token, answer.value.expires_in);
      if (me.kind === 'ok') return { kind: 'token', token: answer.value.access_token, user_id: me.value.user_id };
      return { kind: 'unreachable', detail: me.detail };
    }
    if (answer.kind === 'refused' && (answer.status === 401 || answer.status === 403)) {
      await write(queue, ['device'], async (tx) => {
        const row = await tx.objectStore('device').get('identity');
        if (row?.key === 'identity') await tx.objectStore('device').put({ ...row, signed_in: false });
      });
      return { kind: 'signed-out' };
    }
    return { kind: 'unreachable', detail: answer.detail };
  }

  /** `stale`: a token that the server has just refused. Renewing is done once at a time on the whole device. */
  async function access(stale?: string): Promise<Access> {
    const usable = async () => {
      const who = await identity();
      // Signed out, or another user signed in, in another tab: this token must not be used any more.
      if (!who?.signed_in || who.me.user_id !== held?.user_id) return null;
      return held && held.until > now() && held.token !== stale ? held : null;
    };
    const mine = await usable();
    if (mine) return { kind: 'token', token: mine.token, user_id: mine.user_id };
    const who = await identity();
    if (!who?.signed_in && (await queue.get('device', 'logout-pending')) === undefined) return { kind: 'signed-out' };
    return exclusively('auth', async () => {
      const fresh = await usable();
      return fresh ? { kind: 'token', token: fresh.token, user_id: fresh.user_id } : renew();
    });
  }

  return {
    identity,
    access,

    /** Asks with the token of the moment; a 401 renews it once. Signed out is answered like the server would: 401. */
    async ask<T>(question: (token: string) => Promise<Answer<T>>): Promise<Answer<T>> {
      const first = await access();
      if (first.kind !== 'token') return noToken(first);
      const answer = await question(first.token);
      if (answer.kind !== 'refused' || answer.status !== 401) return answer;
      const second = await access(first.token);
      return second.kind === 'token' ? question(second.token) : noToken(second);
    },

    async signIn(username: string, password: string): Promise<Answer<Me>> {
      return exclusively('auth', async () => {
        const answer = await api.login(username, password);
        return answer.kind === 'ok' ? adopt(answer.value.access_token, answer.value.expires_in) : answer;
      });
    },

    async changePassword(current: string, next: string): Promise<Answer<null>> {
      const answer = await this.ask((token) => api.changePassword(token, current, next));
      // The server says anew who this is: now without the duty to change the password.
      if (answer.kind === 'ok' && held) await access(held.token);
      return answer;
    },

    /** Forgets the person and what they saw. The queue keeps its bytes. Works without a network: the server is told later. */
    async signOut(): Promise<void> {
      const who = await identity();
      held = null;
      await write(queue, ['device'], async (tx) => {
        await tx.objectStore('device').delete('identity');
        await tx.objectStore('device').put({ key: 'logout-pending' });
      });
      if (who) await forgetUser(who.me.user_id);
      await exclusively('auth', renew);
    },
  };
}
export type Session = ReturnType<typeof createSession>;
