// What people of the office do that only the server can answer: look at a key's impact, publish it, make and change
// users. What it answers is stored; the screens show it from there. Each returns null, or in words what went wrong.
import type { NewUser, UserPatch, UserRow } from '../shared/protocol/user.ts';
import type { Answer, Api, Refused, Unreachable } from './api.ts';
import { type UserDb, write } from './db.ts';
import { signInWords } from './screens/sign-in/words.ts';
import type { Session } from './session.ts';
import { OFFICE, pullScope } from './sync/feed.ts';
import { look, pullDevices } from './sync/office.ts';
import { refusalText } from './ui/refusals.ts';

type Trouble = string | null;

export function wordsOf(answer: Refused | Unreachable): string {
  if (answer.kind === 'unreachable') return signInWords().needsNetwork;
  return refusalText(answer.code, answer.detail);
}

export function createOffice({ api, session }: { api: Api; session: Session }) {
  const keepUser = (user: UserDb, row: UserRow): Promise<unknown> =>
    write(user, ['users'], (tx) => tx.objectStore('users').put({ ...row, true_at: Date.now() }));

  async function change(user: UserDb, question: (token: string) => Promise<Answer<UserRow>>): Promise<Trouble> {
    const answer = await session.ask(question);
    if (answer.kind !== 'ok') return wordsOf(answer);
    await keepUser(user, answer.value);
    // Whoever is disabled, or has a new password, is signed in nowhere any more.
    await pullDevices({ user, api, session, now: Date.now }, answer.value.user_id);
    return null;
  }

  return {
    /** Asks the server to check a draft and to say what publishing it would do. `cut_score` in points. */
    async report(
      user: UserDb,
      draft: { key_id: string; version: number; rev: number },
      cut_score: number | null,
    ): Promise<Trouble> {
      const { key_id, version, rev } = draft;
      const validation = await session.ask((token) => api.validateKey(token, key_id));
      if (validation.kind !== 'ok') return wordsOf(validation);
      const impact = await session.ask((token) => api.keyImpact(token, key_id, version, cut_score));
      if (impact.kind !== 'ok') return wordsOf(impact);
      const report = {
        key_id,
        version,
        rev,
        validation: validation.value,
        impact: impact.value,
        cut_score,
        true_at: Date.now(),
      };
      await write(user, ['reports'], (tx) => tx.objectStore('reports').put(report));
      return null;
    },

    /** Publishes the revision that was looked at, and no other. */
    async publish(user: UserDb, key_id: string, rev: number): Promise<Trouble> {
      const answer = await session.ask((token) => api.publishKey(token, key_id, rev));
      if (answer.kind !== 'ok') return wordsOf(answer);
      // It is published, whether or not the news of it comes at once.
      await pullScope({ user, api, session, now: Date.now }, OFFICE);
      return null;
    },

    /** Centres that do not exist yet are made first. */
    async createUser(user: UserDb, asked: NewUser, newCentres: readonly string[]): Promise<Trouble> {
      const trouble = await this.createCentres(user, newCentres);
      if (trouble !== null) return trouble;
      const answer = await session.ask((token) => api.createUser(token, asked));
      if (answer.kind !== 'ok') return wordsOf(answer);
      await keepUser(user, answer.value);
      return null;
    },
    async createCentres(user: UserDb, names: readonly string[]): Promise<Trouble> {
      for (const name of names) {
        const answer = await session.ask((token) => api.createCentre(token, name));
        if (answer.kind !== 'ok') return wordsOf(answer);
      }
      if (names.length > 0) await look(user, 'choices', Date.now());
      return null;
    },
    patchUser: (user: UserDb, userId: string, patch: UserPatch) =>
      change(user, (token) => api.patchUser(token, userId, patch)),
    setPassword: (user: UserDb, userId: string, password: string) =>
      change(user, (token) => api.setPassword(token, userId, password)),
    async revokeDevice(user: UserDb, userId: string, sessionId: string): Promise<Trouble> {
      const answer = await session.ask((token) => api.revokeDevice(token, userId, sessionId));
      // Revoked already, by somebody else: what was wanted.
      if (answer.kind !== 'ok' && !(answer.kind === 'refused' && answer.status === 404)) return wordsOf(answer);
      const devices = await pullDevices({ user, api, session, now: Date.now }, userId);
      return devices.kind === 'ok' ? null : wordsOf(devices);
    },
  };
}
export type Office = ReturnType<typeof createOffice>;
