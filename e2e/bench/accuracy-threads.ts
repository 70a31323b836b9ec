// Worn pages on as many threads as there are cores, for the benches that judge and that calibrate.
import os from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Errand, SeenPage } from './accuracy-pages.ts';

/** Has every page of an errand seen, and tells each, in no order. */
export const seeWorn = async (
  errand: Omit<Errand, 'first' | 'step'>,
  tell: (page: SeenPage) => void,
): Promise<void> => {
  const threads = Math.min(os.availableParallelism(), errand.pages);
  await Promise.all(
    Array.from(
      { length: threads },
      (_, first) =>
        new Promise<void>((resolve, reject) => {
          const workerData: Errand = { ...errand, first, step: threads };
          const worker = new Worker(new URL('./accuracy-pages.js', import.meta.url), { workerData });
          worker.on('message', tell);
          worker.on('error', reject);
          worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`))));
        }),
    ),
  );
};
