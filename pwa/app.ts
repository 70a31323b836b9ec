// What the page is made of, built once in main.tsx and handed down: databases, session, the commands of the screens.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { CHUNK_SIZE, type PageCorrection } from '../shared/protocol/upload.ts';
import type { BatchActions } from './batch-actions.ts';
import type { QueueDb, UserDb } from './db.ts';
import type { Pictures } from './media/pictures.ts';
import type { Office } from './office.ts';
import { createIdleWorker } from './sending.ts';
import type { Session } from './session.ts';
import type { Strategy } from './uploads/check.ts';
import { enqueue, getUpload, remove, setPaused, setStep } from './uploads/queue.ts';
import { findInterrupted, type Staged, stagingLock } from './uploads/stage.ts';

export interface App {
  queue: QueueDb;
  session: Session;
  /** something happened that makes another try at the network worthwhile */
  nudge: () => void;
  commands: Commands;
  office: Office;
  batches: BatchActions;
  pictures: Pictures;
}
export const AppContext = createContext<App | null>(null);
export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error('a screen was rendered outside of the app');
  return app;
}
/** The database of whoever is signed in; screens behind the sign-in are rendered only when it is open. */
export const UserContext = createContext<UserDb | null>(null);
export function useUser(): UserDb {
  const user = useContext(UserContext);
  if (!user) throw new Error('a screen was rendered without a user');
  return user;
}

export interface NewBatch {
  /** made when the form was opened: the second tap on "queue" brings the same */
  id: string;
  owner: { user_id: string; username: string };
  strategy: Strategy;
  task_id: string | null;
  files: File[];
  /** what a person said of its groups */
  grouping: PageCorrection[];
}

export interface Commands {
  /** Resolves when the upload is on the queue; its bytes are copied after that. */
  queueBatch(batch: NewBatch): Promise<void>;
  /** Goes on with an upload whose copying broke off. */
  pickAgain(id: string, files: File[]): Promise<Staged>;
  tryAgain(id: string): Promise<void>;
  removeUpload(id: string): Promise<void>;
  /** Nothing more of it is sent from here until it is resumed; what is on its way at this moment still arrives. */
  pauseUpload(id: string): Promise<void>;
  resumeUpload(id: string): Promise<void>;
  /** ids that this very tab is copying: closing or reloading it would stop them */
  staging(): readonly string[];
  /** Marks what a tab that is gone has left half copied. */
  lookForInterrupted(): Promise<void>;
}

/** The wire takes 255 characters. */
function nameOf(files: readonly File[]): string {
  const first = files[0]?.name ?? '';
  return files.length < 2 ? first : `${first.slice(0, 220)} and ${files.length - 1} more`;
}

/** `expect`: something to send will come. `wake`: it is there. */
export function createCommands(queue: QueueDb, { expect, wake }: { expect(): void; wake(): void }): Commands {
  const copying = new Set<string>();

  /** The file's bytes travel to a worker by reference, and from there into the queue. */
  async function copy(id: string, files: File[]): Promise<Staged> {
    const worker = createIdleWorker();
    copying.add(id);
    // Whoever closes the app as soon as they read that all is safe has a browser that knows of it already.
    expect();
    try {
      return await worker.ask<Staged>(async (stager) => stager.stage(id, files));
    } finally {
      worker.end();
      copying.delete(id);
      wake();
    }
  }

  async function lookForInterrupted(): Promise<void> {
    const held = (await navigator.locks.query()).held ?? [];
    await findInterrupted(queue, (name) => held.some((lock) => lock.name === name));
  }

  return {
    queueBatch(batch) {
      const upload = {
        id: batch.id,
        owner: batch.owner,
        upload_type: batch.strategy,
        name: nameOf(batch.files),
        size: batch.files.reduce((sum, file) => sum + file.size, 0),
        chunk_size: CHUNK_SIZE,
        task_id: batch.task_id,
        files: batch.files.map(({ name, size }) => ({ name, size })),
        grouping: batch.grouping,
        created_at: new Date().toISOString(),
      };
      return new Promise((resolve, reject) => {
        // The lock is held from before the upload is there until it is copied, and dies with this tab: an upload that
        // says `staging` without it was left half copied.
        const hold = async (lock: Lock | null): Promise<void> => {
          const isNew = lock !== null && (await enqueue(queue, upload));
          resolve();
          if (isNew) await copy(batch.id, batch.files);
        };
        navigator.locks
          .request(stagingLock(batch.id), { ifAvailable: true }, hold)
          // Failed while copying: what was copied is kept and shown as interrupted, which it is.
          .catch(async (error: unknown) => {
            reject(error);
            await lookForInterrupted();
          });
        // Asked when there is something to protect; an installed app is granted it silently.
        navigator.storage?.persist?.().catch(() => {});
      });
    },
    pickAgain: (id, files) => navigator.locks.request(stagingLock(id), () => copy(id, files)),
    async tryAgain(id) {
      const upload = await getUpload(queue, id);
      if (upload?.step.at === 'parked' || upload?.step.at === 'waiting') await setStep(queue, id, { at: 'queued' });
      wake();
    },
    async removeUpload(id) {
      await remove(queue, id);
      // The server may have heard of it.
      wake();
    },
    pauseUpload: (id) => setPaused(queue, id, true),
    async resumeUpload(id) {
      await setPaused(queue, id, false);
      wake();
    },
    staging: () => [...copying],
    lookForInterrupted,
  };
}
