// The office on this device: users and what there is to choose from are fetched while somebody looks at them, and now and
// then for the time without a network. Keys and tasks come by the feed (feed.ts). One tab, the leader, does it for all.
import type { Role } from '../../shared/protocol/auth.ts';
import type { Answer } from '../api.ts';
import { onChange, type UserDb, write } from '../db.ts';
import type { Nap } from './nap.ts';
import type { PullDeps } from './pull.ts';

export const mayKeepKeys = (role: Role): boolean => role === 'admin' || role === 'supervisor';
/** Who decides what a page says. */
export const mayReview = (role: Role): boolean => mayKeepKeys(role) || role === 'reviewer';
export const mayKeepUsers = (role: Role): boolean => role === 'admin';

/** Somebody looks at it: this often. Nobody does: this often. A look is over after so long without another. */
const LOOKED_AT_MS = 15_000;
const UNSEEN_MS = 10 * 60_000;
const LOOK_MS = 2 * 60_000;
/** As with batches: nobody scrolls through more without a network. */
const MOST_PAGES = 20;

/** Fetches all pages of a list. `whole` is false when there were more pages than are kept. */
async function everything<T>(
  ask: (page: number) => Promise<Answer<{ items: T[]; pages: number }>>,
): Promise<Answer<{ items: T[]; whole: boolean }>> {
  const items: T[] = [];
  let pages = 1;
  for (let page = 1; page <= Math.min(pages, MOST_PAGES); page++) {
    const answer = await ask(page);
    if (answer.kind !== 'ok') return answer;
    items.push(...answer.value.items);
    pages = answer.value.pages;
  }
  return { kind: 'ok', value: { items, whole: pages <= MOST_PAGES } };
}

const DONE: Answer<null> = { kind: 'ok', value: null };

async function forgetOthers(user: UserDb, store: 'users', seen: Set<string>): Promise<void> {
  const gone = (await user.getAllKeys(store)).filter((id) => !seen.has(id));
  if (gone.length === 0) return;
  await write(user, [store], async (tx) => {
    for (const id of gone) await tx.objectStore(store).delete(id);
  });
}

async function pullUsers({ user, api, session, now }: PullDeps): Promise<Answer<null>> {
  const list = await everything((page) => session.ask((token) => api.users(token, page)));
  if (list.kind !== 'ok') return list;
  const true_at = now();
  await write(user, ['users'], async (tx) => {
    for (const row of list.value.items) await tx.objectStore('users').put({ ...row, true_at });
  });
  if (list.value.whole) await forgetOthers(user, 'users', new Set(list.value.items.map(({ user_id }) => user_id)));
  return DONE;
}

async function pullChoices({ user, api, session, now }: PullDeps): Promise<Answer<null>> {
  const templates = await session.ask((token) => api.templates(token));
  if (templates.kind !== 'ok') return templates;
  const centres = await session.ask((token) => api.centres(token));
  if (centres.kind !== 'ok') return centres;
  const exams = await session.ask((token) => api.exams(token));
  if (exams.kind !== 'ok') return exams;
  const true_at = now();
  await write(user, ['choices'], async (tx) => {
    const put = (key: 'templates' | 'centres' | 'exams', ids: string[]) =>
      tx.objectStore('choices').put({ key, items: [...new Set(ids)], true_at });
    await put(
      'templates',
      templates.value.items.map(({ template_id }) => template_id),
    );
    await put(
      'centres',
      centres.value.items.map(({ centre_id }) => centre_id),
    );
    await put(
      'exams',
      exams.value.items.map(({ exam_id }) => exam_id),
    );
  });
  return DONE;
}

export async function pullDevices({ user, api, session, now }: PullDeps, user_id: string): Promise<Answer<null>> {
  const answer = await session.ask((token) => api.devices(token, user_id));
  if (answer.kind !== 'ok') return answer;
  await write(user, ['devices'], (tx) =>
    tx.objectStore('devices').put({ user_id, items: answer.value.items, true_at: now() }),
  );
  return DONE;
}

/** Says that a place (`keys`, `tasks`, `users` or `devices:<user id>`) is on somebody's screen. */
export const look = (user: UserDb, place: string, at: number): Promise<unknown> =>
  write(user, ['looks'], (tx) => tx.objectStore('looks').put({ place, at }));

/** Due when a person has come to look since it was fetched, or it has grown old. */
export const isDue = (looked: number | undefined, pulled: number | undefined, now: number): boolean => {
  if (pulled === undefined || (looked !== undefined && looked > pulled)) return true;
  const watched = looked !== undefined && now - looked < LOOK_MS;
  return now - pulled >= (watched ? LOOKED_AT_MS : UNSEEN_MS);
};

async function pullDue(pull: PullDeps, role: Role): Promise<void> {
  const jobs: [string, (deps: PullDeps) => Promise<Answer<null>>][] = [];
  if (mayKeepKeys(role)) jobs.push(['choices', pullChoices]);
  if (mayKeepUsers(role)) jobs.push(['users', pullUsers]);
  const looks = new Map((await pull.user.getAll('looks')).map(({ place, at }) => [place, at]));
  for (const [place, at] of looks) {
    const user_id = /^devices:(.+)$/.exec(place)?.[1];
    // Devices of a user whom nobody looks at are nobody's business.
    if (mayKeepUsers(role) && user_id !== undefined && pull.now() - at < LOOK_MS)
      jobs.push([place, (deps) => pullDevices(deps, user_id)]);
  }
  for (const [place, run] of jobs) {
    const at = pull.now();
    if (!isDue(looks.get(place), (await pull.user.get('pulls', place))?.true_at, at)) continue;
    const answer = await run(pull);
    if (answer.kind !== 'ok') {
      if (answer.kind === 'unreachable') return;
      continue;
    }
    await write(pull.user, ['pulls'], (tx) => tx.objectStore('pulls').put({ place, true_at: at }));
  }
}

/** Serves one user until `signal`. `nap` is woken when there is a reason to look again. */
export async function serveOffice(pull: PullDeps, userId: string, nap: Nap, signal: AbortSignal): Promise<void> {
  let reason = false;
  const stop = onChange((stores) => {
    if (!stores.includes('looks')) return;
    reason = true;
    nap.wake();
  });
  try {
    while (!signal.aborted) {
      reason = false;
      const who = await pull.session.identity();
      if (who?.me.user_id !== userId) return;
      await pullDue(pull, who.me.role);
      if (!reason) await nap.sleep(LOOKED_AT_MS, signal);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    stop();
  }
}
