// Looks through a batch on the device before it is sent: several workers read pages, the first pages first. Stops for
// good when it is told to, and rests while nobody looks at the app.
import { signal } from '@preact/signals';
import { type Remote, wrap } from 'comlink';
import { mayBeSeveral, needsServer } from '../shared/scan-names.ts';
import { type Looked, leftToServer, lookedFrom, twinsOf } from './preview/look-at.ts';
import type { BlobEntry } from './preview/zip-blob.ts';
import type { Previewer } from './workers/previewer.ts';
import PreviewWorker from './workers/previewer.ts?worker&inline';

export interface Progress {
  /** null until the directory is read */
  total: number | null;
  /** in file order, as far as all pages before are known */
  pages: readonly Looked[];
  thumbs: ReadonlyMap<number, Blob>;
  twins: ReadonlyMap<number, number>;
  state: 'looking' | 'resting' | 'stopped' | 'done' | 'not-readable';
}

/** One for the page itself. More than three do not help: the disk is one. */
const workerCount = (): number => Math.max(1, Math.min(3, (navigator.hardwareConcurrency ?? 2) - 1));
/** The screen follows at most this often. */
const TELL_MS = 120;

export function lookThrough(files: readonly File[], zip: boolean) {
  const progress = signal<Progress>({ total: null, pages: [], thumbs: new Map(), twins: new Map(), state: 'looking' });
  const workers: Worker[] = [];
  const over = new AbortController();
  const found: (Looked | undefined)[] = [];
  const thumbs = new Map<number, Blob>();
  let next = 0;
  let known = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake: (() => void)[] = [];

  const start = (): Remote<Previewer> => {
    const worker = new PreviewWorker();
    workers.push(worker);
    return wrap<Previewer>(worker);
  };
  const tell = (): void => {
    timer = undefined;
    while (found[known] !== undefined) known++;
    progress.value = { ...progress.value, pages: found.slice(0, known) as Looked[], thumbs: new Map(thumbs) };
  };
  const rest = async (): Promise<void> => {
    while (document.visibilityState === 'hidden' && !over.signal.aborted)
      await new Promise<void>((resolve) => wake.push(resolve));
  };
  const seen = (): void => {
    const resting = document.visibilityState === 'hidden';
    if (progress.value.state === 'looking' || progress.value.state === 'resting')
      progress.value = { ...progress.value, state: resting ? 'resting' : 'looking' };
    if (resting) return;
    for (const resolve of wake) resolve();
    wake = [];
  };
  document.addEventListener('visibilitychange', seen);

  async function work(previewer: Remote<Previewer>, pages: readonly { file: File; entry: BlobEntry | null }[]) {
    while (!over.signal.aborted && next < pages.length) {
      await rest();
      const index = next++;
      const page = pages[index];
      if (!page || over.signal.aborted) return;
      const name = page.entry?.name.slice(-255) ?? page.file.name;
      if (needsServer(name)) {
        found[index] = leftToServer(index, name, mayBeSeveral(name, page.entry !== null) ? 'several' : 'one');
      } else {
        // A group without a cover shows its first page.
        const { reading, thumb } = await previewer.look(page.file, page.entry, index === 0);
        found[index] = lookedFrom(index, name, reading);
        if (thumb) thumbs.set(index, thumb);
      }
      // The first page and the first covers at once; the rest together.
      if (index === 0) tell();
      else timer ??= setTimeout(tell, TELL_MS);
    }
  }

  async function run(): Promise<void> {
    const first = start();
    const [only] = files;
    const entries = zip && only ? await first.entries(only) : null;
    if (zip && !entries) {
      progress.value = { ...progress.value, state: 'not-readable' };
      return;
    }
    const pages =
      entries && only ? entries.map((entry) => ({ file: only, entry })) : files.map((file) => ({ file, entry: null }));
    progress.value = { ...progress.value, total: pages.length, twins: entries ? twinsOf(entries) : new Map() };
    const others = Array.from({ length: Math.min(workerCount(), pages.length) - 1 }, start);
    await Promise.all([first, ...others].map((previewer) => work(previewer, pages)));
    clearTimeout(timer);
    if (over.signal.aborted) return;
    tell();
    progress.value = { ...progress.value, state: 'done' };
  }

  const end = (): void => {
    over.abort();
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
    for (const resolve of wake) resolve();
    for (const worker of workers) worker.terminate();
  };
  run()
    // A worker that was ended never answers; what fails otherwise is shown as what it is: not looked into.
    .catch(() => {
      progress.value = { ...progress.value, state: 'not-readable' };
    })
    .finally(() => {
      if (progress.value.state !== 'stopped') end();
    });

  return {
    progress,
    stop(): void {
      end();
      tell();
      progress.value = { ...progress.value, state: 'stopped' };
    },
  };
}
export type LookThrough = ReturnType<typeof lookThrough>;
