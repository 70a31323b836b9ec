// The worker that copies a picked file into the queue: hashing 50 MB at a time must not make the page stutter.
import { expose } from 'comlink';
import { openQueue } from '../db.ts';
import { type Staged, stage } from '../uploads/stage.ts';

const stager = {
  async stage(id: string, files: File[]): Promise<Staged> {
    const queue = await openQueue();
    try {
      return await stage(queue, id, files);
    } finally {
      queue.close();
    }
  },
};
export type Stager = typeof stager;
expose(stager);
