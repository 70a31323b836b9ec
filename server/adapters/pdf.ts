// PDFs as grey rasters, page by page, through a thread that is ended when it takes too long or breaks: a file is never
// worth more than its own failure.
import { Worker } from 'node:worker_threads';
import type { Decoded } from './decode.ts';
import type { PdfAnswer, PdfRequest } from './pdf-thread.ts';

/** A scanned page takes 0.2 s. */
const PATIENCE_MS = 30_000;

let thread: Worker | null = null;
/** whose document the thread holds */
let held: Buffer | null = null;
/** one request at a time: the thread answers in order, and a second one would be timed with the first */
let last: Promise<unknown> = Promise.resolve();

type Opened = { ok: true; pages: number } | { ok: false; reason: string };

export const pdfPages = (bytes: Buffer): Promise<Opened> => inTurn(() => open(bytes));

/** @param page from 0 */
export const pdfPage = (bytes: Buffer, page: number): Promise<Decoded> =>
  inTurn(async () => {
    const opened = held === bytes ? null : await open(bytes);
    if (opened && !opened.ok) return opened;
    const answer = await ask({ page });
    if (answer.ok && 'image' in answer) return answer;
    return answer.ok ? { ok: false, reason: 'the page of the PDF could not be drawn' } : answer;
  });

const open = async (bytes: Buffer): Promise<Opened> => {
  held = null;
  const answer = await ask({ open: bytes });
  if (!answer.ok) return answer;
  if (!('pages' in answer)) return { ok: false, reason: 'the PDF could not be opened' };
  held = bytes;
  return answer;
};

const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const mine = last.then(work, work);
  last = mine.catch(() => undefined);
  return mine;
};

const ask = (request: PdfRequest): Promise<PdfAnswer> =>
  new Promise((resolve) => {
    thread ??= startThread();
    const asked = thread;
    // while it is asked the process waits for it; idle it keeps nobody from ending
    asked.ref();
    const done = (answer: PdfAnswer): void => {
      clearTimeout(timer);
      asked.off('message', done).off('error', broken).off('exit', gone);
      asked.unref();
      resolve(answer);
    };
    const giveUp = (reason: string): void => {
      if (thread === asked) [thread, held] = [null, null];
      done({ ok: false, reason });
      asked.once('error', () => undefined);
      void asked.terminate();
    };
    const broken = (error: Error): void => giveUp(`the PDF is damaged (${error.message.split('\n')[0]})`);
    const gone = (): void => giveUp('the PDF is damaged');
    const timer = setTimeout(() => giveUp(`the PDF takes longer than ${PATIENCE_MS / 1000} s to draw`), PATIENCE_MS);
    asked.on('message', done).on('error', broken).on('exit', gone);
    asked.postMessage(request);
  });

/** Tests run the sources, but a thread of Node needs what is built of them. */
const startThread = (): Worker =>
  new Worker(
    new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/server/adapters/pdf-thread.js' : './pdf-thread.js',
      import.meta.url,
    ),
  );
