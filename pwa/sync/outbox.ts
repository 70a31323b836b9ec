// What was done on this device that the server has not taken yet: edits of answer keys and tasks, and decisions about
// sheets. Each is written with what it makes of the thing (its overlay) in one transaction, sent in order under a number
// of its own, and leaves when what was pulled shows it. What the server refuses stays, with its words, until a person has
// seen it, and holds back only what builds on it.
import * as v from 'valibot';
import { KeyContent } from '../../shared/protocol/key.ts';
import { keyStamp, type Outcome, type PushForm, taskStamp } from '../../shared/protocol/sync.ts';
import type { Answer, Refused, Unreachable } from '../api.ts';
import { type Base, type Change, type Client, type Edit, type UserDb, write } from '../db.ts';
import { dropCovered } from './feed.ts';
import type { PullDeps } from './pull.ts';

export const keySubject = (keyId: string): string => `key:${keyId}`;
export const taskSubject = (taskId: string): string => `task:${taskId}`;
export const sheetSubject = (sheetId: string): string => `sheet:${sheetId}`;
const subjectOf = (change: Change): string => {
  switch (change.kind) {
    case 'key':
      return keySubject(change.key_id);
    case 'task':
      return taskSubject(change.task.task_id);
    case 'correct':
      return sheetSubject(change.items[0]?.sheet_id ?? '');
  }
};

/** The server has not said yes to it. */
export const isPending = ({ state }: Pick<Edit, 'state'>): boolean => state.at !== 'answered';

const seen = (stamp: string | null): Base => (stamp === null ? { on: 'nothing' } : { on: 'seen', stamp });

/**
 * Keeps an edit. When this resolves it is on the disk.
 * @param stamp of what the person began from; null when there was nothing, or for decisions about sheets
 */
export async function record(user: UserDb, change: Change, stamp: string | null, now: number): Promise<number> {
  const subject = subjectOf(change);
  // Written the way the server will: so both can tell that an edit has arrived already.
  const tidy: Change = change.kind === 'key' ? { ...change, content: v.parse(KeyContent, change.content) } : change;
  return write(
    user,
    ['outbox', 'overlays'],
    async (tx) => {
      const earlier = (await tx.objectStore('outbox').getAll()).filter((edit) => edit.subject === subject);
      const edit: Omit<Edit, 'n'> = {
        subject,
        made_at: new Date(now).toISOString(),
        change: tidy,
        base: seen(stamp),
        state: { at: 'waiting' },
      };
      if (tidy.kind !== 'correct') {
        const refused = earlier.some(({ state }) => state.at === 'refused');
        // The person has seen the refusal and says it anew, as a whole: the older words have nothing left to say.
        if (refused) for (const { n } of earlier) await tx.objectStore('outbox').delete(n);
        const last = refused ? undefined : earlier.at(-1);
        if (last?.state.at === 'answered') edit.base = seen(last.state.stamp);
        else if (last) edit.base = { on: 'previous' };
      }
      const n = await tx.objectStore('outbox').add(edit as Edit);
      // Decisions are laid over what was read by the rules themselves: they are their own overlay.
      if (tidy.kind !== 'correct') await tx.objectStore('overlays').put({ subject, n, change: tidy });
      return n;
    },
    'strict',
  );
}

/** A refused edit is sent once more, as a new one, now upon what the server is known to have. */
export async function sendAgain(user: UserDb, subject: string): Promise<void> {
  await write(user, ['outbox', 'overlays', 'keys', 'tasks'], async (tx) => {
    const [kind, id] = [subject.slice(0, subject.indexOf(':')), subject.slice(subject.indexOf(':') + 1)];
    const key = kind === 'key' ? await tx.objectStore('keys').get(id) : undefined;
    const task = kind === 'task' ? await tx.objectStore('tasks').get(id) : undefined;
    const stamp = key ? keyStamp(key.newest) : task ? taskStamp(task) : null;
    for (const edit of await tx.objectStore('outbox').getAll()) {
      if (edit.subject !== subject || edit.state.at !== 'refused') continue;
      const { mid: _, ...again } = edit;
      await tx.objectStore('outbox').put({ ...again, base: seen(stamp), state: { at: 'waiting' } });
    }
  });
}

/** A person's decision: what they changed of this thing is forgotten, and the server's is shown. */
export async function discard(user: UserDb, subject: string): Promise<void> {
  await write(user, ['outbox', 'overlays'], async (tx) => {
    for (const edit of await tx.objectStore('outbox').getAll())
      if (edit.subject === subject) await tx.objectStore('outbox').delete(edit.n);
    await tx.objectStore('overlays').delete(subject);
  });
}

/** Takes one decision back that was not sent yet. @returns false when it may have been: it is undone by another one */
export async function unsay(user: UserDb, n: number): Promise<boolean> {
  return write(user, ['outbox'], async (tx) => {
    const edit = await tx.objectStore('outbox').get(n);
    if (!edit || edit.state.at === 'answered' || (edit.state.at === 'waiting' && edit.mid !== undefined)) return false;
    await tx.objectStore('outbox').delete(n);
    return true;
  });
}

/** At most so many in one request. */
const MOST = 100;

/**
 * What is sent next, in order: first what was sent before and not answered, then what may be sent. An edit is held while the
 * one it builds on (of the same thing, or a task's key) is refused; it waits, with all after it, while that one has no
 * answer yet.
 */
export function nextToSend(edits: readonly Edit[]): Edit[] {
  const held = new Set<string>();
  const under = new Set<string>();
  const next: Edit[] = [];
  const sent = edits.filter(({ mid, state }) => mid !== undefined && state.at === 'waiting');
  for (const edit of [...sent].sort((a, b) => (a.mid ?? 0) - (b.mid ?? 0))) {
    next.push(edit);
    under.add(edit.subject);
  }
  for (const edit of edits) {
    const { change, subject, state, mid } = edit;
    if (next.length >= MOST) break;
    if (state.at === 'answered' || (state.at === 'waiting' && mid !== undefined)) continue;
    const key = change.kind === 'task' && change.task.key_id !== null ? keySubject(change.task.key_id) : null;
    const mayNot = held.has(subject) || (key !== null && held.has(key));
    // Decisions say themselves what they were made upon: a refused one holds back no other.
    if (state.at === 'refused' || mayNot) {
      if (change.kind !== 'correct') held.add(subject);
      continue;
    }
    if (edit.base.on === 'previous') {
      // Its base is the answer to the one before it.
      if (under.has(subject)) break;
      held.add(subject);
      continue;
    }
    next.push(edit);
    under.add(subject);
  }
  return next;
}

export type PushDeps = PullDeps & { userId: string };

/** Numbers what is to be sent: once given, an edit keeps its number, and later ones get higher ones. */
async function stamped(user: UserDb): Promise<{ client: Client; edits: Edit[] } | null> {
  // Mostly there is nothing to send, and nothing to write.
  if (nextToSend(await user.getAll('outbox')).length === 0) return null;
  return write(
    user,
    ['outbox', 'sync'],
    async (tx) => {
      const edits = nextToSend(await tx.objectStore('outbox').getAll());
      const kept = await tx.objectStore('sync').get('client');
      const client: Client = kept ?? { key: 'client', client_id: crypto.randomUUID(), given: 0, heard: 0 };
      if (edits.length === 0) return { client, edits };
      for (const edit of edits) {
        if (edit.mid !== undefined) continue;
        client.given += 1;
        edit.mid = client.given;
        await tx.objectStore('outbox').put(edit);
      }
      await tx.objectStore('sync').put(client);
      return { client, edits };
    },
    // Two edits must never go under one number, whatever happens to the device.
    'strict',
  );
}

const stampOf = (base: Base): string | null => (base.on === 'seen' ? base.stamp : null);

function mutationOf({ mid = 0, change, base }: Edit): PushForm['mutations'][number] {
  switch (change.kind) {
    case 'key':
      return { mid, name: 'key.save', args: { key_id: change.key_id, content: change.content, base: stampOf(base) } };
    case 'task':
      return { mid, name: 'task.save', args: { task: change.task, base: stampOf(base) } };
    case 'correct': {
      const { batch_id, items, reason } = change;
      return { mid, name: 'correct', args: { batch_id, items, reason } };
    }
  }
}

/** What became of each edit, written in one transaction with how far the answers are kept. */
async function settle({ user }: PushDeps, edits: readonly Edit[], outcomes: readonly Outcome[]): Promise<void> {
  await write(
    user,
    ['outbox', 'overlays', 'sync', 'feeds'],
    async (tx) => {
      const client = await tx.objectStore('sync').get('client');
      for (const outcome of outcomes) {
        if (client && outcome.mid > client.heard) client.heard = outcome.mid;
        const n = edits.find(({ mid }) => mid === outcome.mid)?.n;
        // Thrown away by a person while it was on its way.
        const edit = n === undefined ? undefined : await tx.objectStore('outbox').get(n);
        if (!edit || edit.mid !== outcome.mid || edit.state.at !== 'waiting') continue;
        if (outcome.status === 'rejected') {
          const { code, detail } = outcome;
          await tx.objectStore('outbox').put({ ...edit, state: { at: 'refused', code, detail } });
          continue;
        }
        const { covers, stamp } = outcome;
        await tx.objectStore('outbox').put({ ...edit, state: { at: 'answered', covers, stamp } });
        const later = (await tx.objectStore('outbox').getAll()).find(
          (one) => one.subject === edit.subject && one.n > edit.n && one.base.on === 'previous',
        );
        if (later) await tx.objectStore('outbox').put({ ...later, base: seen(stamp) });
      }
      if (client) await tx.objectStore('sync').put(client);
      await dropCovered(tx);
    },
    'strict',
  );
}

/** No answer, nobody signed in, a server that is busy: all waits. */
const isPassing = ({ status, code }: Refused): boolean =>
  status >= 500 || [401, 404, 408, 423, 425, 429].includes(status) || code === 'PASSWORD_CHANGE_REQUIRED';

/** The token of the moment may be another user's, who has just signed in: their name must not stand under these edits. */
function askAs<T>({ session, userId }: PushDeps, question: (token: string) => Promise<Answer<T>>): Promise<Answer<T>> {
  const nobody: Unreachable = { kind: 'unreachable', detail: 'another user is signed in', timed_out: false };
  return session.ask(async (token) =>
    (await session.identity())?.me.user_id === userId ? question(token) : (nobody as Answer<T>),
  );
}

/**
 * Sends what may be sent, in order. Several may do so at once, a tab and the service worker: the server takes each edit once.
 * @returns null when nothing is left to send; else how long to wait at least, in ms (0: until there is a reason)
 */
export async function pushOutbox(deps: PushDeps, signal: AbortSignal): Promise<number | null> {
  while (!signal.aborted) {
    const next = await stamped(deps.user);
    if (!next || next.edits.length === 0) return null;
    const { client, edits } = next;
    const { client_id, heard } = client;
    const form = { client_id, heard, mutations: edits.map(mutationOf) };
    const answer = await askAs(deps, (token) => deps.api.push(token, form));
    if (answer.kind === 'unreachable') return 0;
    if (answer.kind === 'ok') {
      await settle(deps, edits, answer.value.outcomes);
      continue;
    }
    if (isPassing(answer)) return answer.retry_after_ms ?? 0;
    // None of them was taken, and none will be: a person must see it.
    const { code, detail, status } = answer;
    await settle(
      deps,
      edits,
      edits.map(({ mid = 0 }) => ({ mid, status: 'rejected', code: code ?? `HTTP_${status}`, detail })),
    );
  }
  return null;
}
