// What a person does to a batch from its screen. Only the server can do any of it; what it answers is stored, and the
// screens show it from there. Each returns null, or in words what went wrong.
import type { BatchDetail } from '../shared/protocol/batch.ts';
import type { Answer, Api } from './api.ts';
import { type UserDb, write } from './db.ts';
import { wordsOf } from './office.ts';
import type { Session } from './session.ts';
import { pullDetail, rowOf } from './sync/pull.ts';

type Trouble = string | null;

export function createBatchActions({ api, session, nudge }: { api: Api; session: Session; nudge: () => void }) {
  async function act(user: UserDb, question: (token: string) => Promise<Answer<BatchDetail>>): Promise<Trouble> {
    const answer = await session.ask(question);
    if (answer.kind !== 'ok') return wordsOf(answer);
    const detail = { ...answer.value, true_at: Date.now() };
    await write(user, ['details', 'batches', 'cursors', 'wanted'], async (tx) => {
      await tx.objectStore('details').put(detail);
      await tx.objectStore('batches').put({ ...rowOf(detail), true_at: detail.true_at });
      await tx.objectStore('wanted').put({ batch: detail.batch_id, at: detail.true_at });
    });
    nudge();
    return null;
  }
  return {
    control: (user: UserDb, batch: string, what: 'pause' | 'resume' | 'cancel' | 'restore') =>
      act(user, (token) => api.control(token, batch, what)),
    reprocess: (user: UserDb, batch: string, what: 'all' | 'failed') =>
      act(user, (token) => api.reprocess(token, batch, what)),
    /** Into the bin. What is kept of it here goes when the list says so; until then it can come back. */
    async remove(user: UserDb, batch: string): Promise<Trouble> {
      const answer = await session.ask((token) => api.deleteBatch(token, batch));
      if (answer.kind !== 'ok') return wordsOf(answer);
      await pullDetail({ user, api, session, now: Date.now }, batch);
      return null;
    },
    /** Hands the file to the browser's downloads. */
    async export(batch: { batch_id: string; name: string }, format: 'wide' | 'long'): Promise<Trouble> {
      const answer = await session.ask((token) => api.export(token, batch.batch_id, format));
      if (answer.kind !== 'ok') return wordsOf(answer);
      download(answer.value, `${batch.name}-${format}.csv`);
      return null;
    },
  };
}
export type BatchActions = ReturnType<typeof createBatchActions>;

export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by the next turn; a minute is for slow ones.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
