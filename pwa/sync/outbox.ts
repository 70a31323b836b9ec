// Edits of answer keys and tasks that the server has not taken yet. Each is written with what it makes of the thing (its
// overlay) in one transaction, sent in order, and leaves only when the server has it or a person throws it away. What the
// server refuses stays, with its words, and holds back whatever builds on it.
import * as v from 'valibot';
import { type KeyAnswer, KeyContent, type TaskAnswer } from '../../shared/protocol/key.ts';
import type { Answer, Refused, Unreachable } from '../api.ts';
import { type Base, type Change, type Edit, type KeptKey, type TaskFields, type UserDb, write } from '../db.ts';
import type { PullDeps } from './pull.ts';

export const keySubject = (keyId: string): string => `key:${keyId}`;
export const taskSubject = (taskId: string): string => `task:${taskId}`;
const subjectOf = (change: Change): string =>
  change.kind === 'key' ? keySubject(change.key_id) : taskSubject(change.task.task_id);

/** Names one state of a thing on the server: an edit of any other state is a conflict. */
export const keyStamp = ({ version, rev, state }: Pick<KeyAnswer, 'version' | 'rev' | 'state'>): string =>
  `${version}.${rev}.${state}`;
export const taskStamp = ({ rev }: Pick<TaskAnswer, 'rev'>): string => String(rev);

const seen = (stamp: string | null): Base => (stamp === null ? { on: 'nothing' } : { on: 'seen', stamp });

/**
 * Keeps an edit. When this resolves it is on the disk.
 * @param stamp of what the person began from; null when there was nothing
 */
export async function record(user: UserDb, change: Change, stamp: string | null, now: number): Promise<void> {
  const subject = subjectOf(change);
  // Written the way the server will: so both can tell that an edit has arrived already.
  const tidy: Change = change.kind === 'key' ? { ...change, content: v.parse(KeyContent, change.content) } : change;
  await write(
    user,
    ['outbox', 'overlays'],
    async (tx) => {
      const earlier = (await tx.objectStore('outbox').getAll()).filter((edit) => edit.subject === subject);
      const refused = earlier.some((edit) => edit.state.at === 'refused');
      // The person has seen the refusal and says it anew, as a whole: the older words have nothing left to say.
      if (refused) for (const { n } of earlier) await tx.objectStore('outbox').delete(n);
      const base: Base = earlier.length > 0 && !refused ? { on: 'previous' } : seen(stamp);
      const edit: Omit<Edit, 'n'> = {
        subject,
        made_at: new Date(now).toISOString(),
        change: tidy,
        base,
        state: { at: 'waiting' },
      };
      const n = await tx.objectStore('outbox').add(edit as Edit);
      await tx.objectStore('overlays').put({ subject, n, change: tidy });
    },
    'strict',
  );
}

/** A refused edit is sent once more, now upon what the server is known to have. */
export async function sendAgain(user: UserDb, subject: string): Promise<void> {
  await write(user, ['outbox', 'keys', 'tasks'], async (tx) => {
    const [kind, id] = [subject.slice(0, subject.indexOf(':')), subject.slice(subject.indexOf(':') + 1)];
    const key = kind === 'key' ? await tx.objectStore('keys').get(id) : undefined;
    const task = kind === 'task' ? await tx.objectStore('tasks').get(id) : undefined;
    const stamp = key ? keyStamp(key.newest) : task ? taskStamp(task) : null;
    for (const edit of await tx.objectStore('outbox').getAll()) {
      if (edit.subject !== subject || edit.state.at !== 'refused') continue;
      await tx.objectStore('outbox').put({ ...edit, base: seen(stamp), state: { at: 'waiting' } });
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

/** The first edit that may be sent: not refused, and not built on one that is (of the same thing, or a task's key). */
export function nextToSend(edits: readonly Edit[]): Edit | null {
  const held = new Set<string>();
  for (const edit of edits) {
    const { change, subject } = edit;
    const key = change.kind === 'task' && change.task.key_id !== null ? keySubject(change.task.key_id) : null;
    if (edit.state.at === 'waiting' && !held.has(subject) && (key === null || !held.has(key))) return edit;
    held.add(subject);
  }
  return null;
}

type Outcome =
  | { kind: 'arrived'; key: KeyAnswer }
  | { kind: 'arrived'; task: TaskAnswer }
  | { kind: 'refused'; code: string; detail: string }
  | { kind: 'later'; after_ms: number | null };

/** No answer, nobody signed in, a server that is busy: the edit waits. All else is a refusal that a person must see. */
function failure(answer: Refused | Unreachable): Outcome {
  if (answer.kind === 'unreachable') return { kind: 'later', after_ms: null };
  const { status, code, detail, retry_after_ms } = answer;
  const passing = status >= 500 || [401, 408, 423, 425, 429].includes(status) || code === 'PASSWORD_CHANGE_REQUIRED';
  return passing
    ? { kind: 'later', after_ms: retry_after_ms }
    : { kind: 'refused', code: code ?? `HTTP_${status}`, detail };
}

const conflict = (detail: string): Outcome => ({ kind: 'refused', code: 'CONFLICT', detail });

const isBase = (base: Base, stamp: string | null): boolean =>
  base.on === 'seen' ? base.stamp === stamp : base.on === 'nothing' && stamp === null;

const fieldsOf = ({ exam, centre, packet, template_id, key_id, expected_count }: Omit<TaskFields, 'task_id'>) => ({
  exam,
  centre,
  packet,
  template_id,
  key_id,
  expected_count,
});

export type PushDeps = PullDeps & { userId: string };

/** The token of the moment may be another user's, who has just signed in: their name must not stand under this edit. */
function asker({ session, userId }: PushDeps) {
  const nobody: Unreachable = { kind: 'unreachable', detail: 'another user is signed in', timed_out: false };
  return <T>(question: (token: string) => Promise<Answer<T>>): Promise<Answer<T>> =>
    session.ask(async (token) =>
      (await session.identity())?.me.user_id === userId ? question(token) : (nobody as Answer<T>),
    );
}

/** Looks first: an edit whose answer was lost on the way has arrived already. */
async function send(deps: PushDeps, { change, base }: Edit): Promise<Outcome> {
  const ask = asker(deps);
  const { api } = deps;
  if (change.kind === 'key') {
    const { key_id, content } = change;
    const now = await ask((token) => api.key(token, key_id));
    if (now.kind === 'ok' && JSON.stringify(now.value.content) === JSON.stringify(content))
      return { kind: 'arrived', key: now.value };
    if (now.kind !== 'ok' && !(now.kind === 'refused' && now.status === 404)) return failure(now);
    const current = now.kind === 'ok' ? now.value : null;
    if (!isBase(base, current && keyStamp(current))) {
      if (!current) return conflict(`Answer key ${key_id} is no longer there for you.`);
      return conflict(
        base.on === 'nothing'
          ? `There is an answer key ${key_id} already.`
          : current.state === 'published'
            ? `Version ${current.version} was published in the meantime.`
            : `Somebody else has edited version ${current.version} in the meantime.`,
      );
    }
    const answer = await ask((token) =>
      current?.state === 'draft'
        ? api.editKey(token, key_id, content, current.rev)
        : api.createKey(token, key_id, content),
    );
    return answer.kind === 'ok' ? { kind: 'arrived', key: answer.value } : failure(answer);
  }
  const { task_id } = change.task;
  const fields = fieldsOf(change.task);
  const now = await ask((token) => api.task(token, task_id));
  if (now.kind === 'ok' && JSON.stringify(fieldsOf(now.value)) === JSON.stringify(fields))
    return { kind: 'arrived', task: now.value };
  if (now.kind !== 'ok' && !(now.kind === 'refused' && now.status === 404)) return failure(now);
  const current = now.kind === 'ok' ? now.value : null;
  if (!isBase(base, current && taskStamp(current)))
    return conflict(
      !current
        ? `Task ${task_id} is no longer there for you.`
        : base.on === 'nothing'
          ? `There is a task ${task_id} already.`
          : `Somebody else has changed task ${task_id} in the meantime.`,
    );
  const answer = await ask((token) =>
    current ? api.editTask(token, task_id, fields, current.rev) : api.createTask(token, { task_id, ...fields }),
  );
  return answer.kind === 'ok' ? { kind: 'arrived', task: answer.value } : failure(answer);
}

/** A key as it is kept, after the server has answered with this version of it. */
export function withVersion(before: KeptKey | undefined, newest: KeyAnswer, true_at: number): KeptKey {
  const { content: _, ...entry } = newest;
  const versions = [entry, ...(before?.versions ?? []).filter(({ version }) => version !== newest.version)];
  const last = (state: string) => versions.find((version) => version.state === state)?.version ?? null;
  const row = {
    key_id: newest.key_id,
    published: last('published'),
    draft: last('draft'),
    edited_at: newest.edited_at,
    tasks: before?.row.tasks ?? 0,
  };
  return { key_id: newest.key_id, row, newest, versions, true_at };
}

async function settle({ user, now }: PushDeps, edit: Edit, outcome: Extract<Outcome, { kind: 'arrived' }>) {
  const true_at = now();
  await write(
    user,
    ['outbox', 'overlays', 'keys', 'tasks'],
    async (tx) => {
      await tx.objectStore('outbox').delete(edit.n);
      const stamp = 'key' in outcome ? keyStamp(outcome.key) : taskStamp(outcome.task);
      const later = (await tx.objectStore('outbox').getAll()).find(({ subject }) => subject === edit.subject);
      if (later?.base.on === 'previous') await tx.objectStore('outbox').put({ ...later, base: seen(stamp) });
      if ((await tx.objectStore('overlays').get(edit.subject))?.n === edit.n)
        await tx.objectStore('overlays').delete(edit.subject);
      if ('key' in outcome) {
        const before = await tx.objectStore('keys').get(outcome.key.key_id);
        await tx.objectStore('keys').put(withVersion(before, outcome.key, true_at));
      } else await tx.objectStore('tasks').put({ ...outcome.task, true_at });
    },
    'strict',
  );
}

async function park({ user }: PushDeps, edit: Edit, code: string, detail: string): Promise<void> {
  await write(user, ['outbox'], async (tx) => {
    const still = await tx.objectStore('outbox').get(edit.n);
    if (still) await tx.objectStore('outbox').put({ ...still, state: { at: 'refused', code, detail } });
  });
}

/**
 * Sends what may be sent, in order. One caller at a time on the device: the leader tab.
 * @returns null when nothing is left to send; else how long to wait at least, in ms (0: until there is a reason)
 */
export async function pushOutbox(deps: PushDeps, signal: AbortSignal): Promise<number | null> {
  while (!signal.aborted) {
    const edit = nextToSend(await deps.user.getAll('outbox'));
    if (!edit) return null;
    const outcome = await send(deps, edit);
    if (outcome.kind === 'later') return outcome.after_ms ?? 0;
    if (outcome.kind === 'refused') await park(deps, edit, outcome.code, outcome.detail);
    else await settle(deps, edit, outcome);
  }
  return null;
}
