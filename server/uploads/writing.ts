// Bytes to their place in a file, and their hash, beside the event loop: blocks of memory are filled here and written and
// hashed by a few threads of the process. On the event loop hashing took half of the time that a fast line leaves, and a
// call to another thread costs as much as writing a block, so several go at once.
import { Worker } from 'node:worker_threads';

/** Writes a file's range from front to back, and knows the hash of what lies in it. */
export interface RangeWriter {
  /** bytes that have been written by now */
  readonly written: number;
  /** Takes the bytes; the piece may be used again at once. Returns what to wait for before the next one, if anything. */
  push(piece: Buffer): Promise<void> | undefined;
  /** Resolves when all that was pushed is written. Rejects when the file takes no more. */
  flush(): Promise<void>;
  /** Resolves when nothing is under way any more, come of it what may. What has not been begun is forgotten. */
  idle(): Promise<void>;
  /** of the whole range up to what has been written, read back where it lay there before; 64 hex digits */
  sha256(): Promise<string>;
  /** The file is not needed any more. */
  end(): void;
}

/** Larger blocks make Linux look for as much memory in one piece, which cost three times as much (1.0 s against 0.3 s a
 *  gigabyte, for a megabyte). */
const BLOCK_BYTES = 2 ** 18;
/** Half of them fill while the other half is written. */
const BLOCKS = 16;
const BLOCKS_AT_ONCE = BLOCKS / 2;
/** On a slow line a full block does not wait longer than this for others. */
const SLOW_MS = 200;
/** The bound is hashing, at 0.8 GB/s each. */
const THREADS = 2;

type Order =
  | { id: number; kind: 'begin'; fd: number; memory: SharedArrayBuffer; hashed: number; position: number }
  | { id: number; kind: 'write'; blocks: number[]; last: number }
  | { id: number; kind: 'digest' }
  | { id: number; kind: 'end' };
type Answer = { id: number; sha256: string | null } | { id: number; failed: { message: string; code: string | null } };

/** What a thread runs. It is handed over as text, so that it is the same from source and compiled; it sees nothing of
 *  this module. Every write and digest is answered, in order. */
function work(blockBytes: number): void {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { readSync, writeSync } = process.getBuiltinModule('node:fs');
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  interface Job {
    fd: number;
    memory: SharedArrayBuffer;
    hash: ReturnType<typeof createHash>;
    /** where the hash stands, and where the next byte is written */
    hashed: number;
    position: number;
  }
  const jobs = new Map<number, Job>();
  const spare = Buffer.allocUnsafeSlow(blockBytes);

  /** Hashes what lay in the file before the first write. */
  const catchUp = (job: Job): void => {
    while (job.hashed < job.position) {
      const count = readSync(job.fd, spare, 0, Math.min(spare.length, job.position - job.hashed), job.hashed);
      if (count === 0) throw new Error(`the upload's file ends at ${job.hashed}, before the chunk does`);
      job.hash.update(spare.subarray(0, count));
      job.hashed += count;
    }
  };
  const write = (job: Job, block: Buffer): void => {
    for (let done = 0; done < block.length; )
      done += writeSync(job.fd, block, done, block.length - done, job.position + done);
    job.hash.update(block);
    job.position += block.length;
    job.hashed = job.position;
  };
  parentPort?.on('message', (order: Order) => {
    const { id } = order;
    if (order.kind === 'begin') {
      jobs.set(id, { ...order, hash: createHash('sha256') });
      return;
    }
    const job = jobs.get(id);
    if (order.kind === 'end' || !job) {
      jobs.delete(id);
      return;
    }
    let sha256: string | null = null;
    try {
      catchUp(job);
      if (order.kind === 'digest') sha256 = job.hash.copy().digest('hex');
      else
        for (const [i, block] of order.blocks.entries()) {
          const length = i === order.blocks.length - 1 ? order.last : blockBytes;
          write(job, Buffer.from(job.memory, block * blockBytes, length));
        }
      parentPort?.postMessage({ id, sha256 });
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      parentPort?.postMessage({ id, failed: { message, code: code ?? null } });
    }
  });
}

interface Waiting {
  resolve(sha256: string | null): void;
  reject(error: Error): void;
}
interface Thread {
  /** ranges that it has begun and not ended */
  load: number;
  tell(order: Order): void;
  ask(order: Order): Promise<string | null>;
}

const threads: Thread[] = [];
/** Memory is used again: what is asked for and let go of at the speed of a disk is found and cleared anew each time. */
const idleMemory: SharedArrayBuffer[] = [];
const MOST_IDLE = 4;
let lastId = 0;

function startThread(): Thread {
  const worker = new Worker(`(${work})(${BLOCK_BYTES})`, { eval: true });
  const waiting = new Map<number, Waiting[]>();
  let count = 0;
  let died: Error | null = null;
  const settled = (id: number): Waiting | undefined => {
    const mine = waiting.get(id);
    const first = mine?.shift();
    if (mine?.length === 0) waiting.delete(id);
    // A process that waits for nothing else may end.
    if (--count === 0) worker.unref();
    return first;
  };
  const thread: Thread = {
    load: 0,
    tell: (order) => worker.postMessage(order),
    ask: (order) =>
      new Promise((resolve, reject) => {
        if (died) {
          reject(died);
          return;
        }
        if (count++ === 0) worker.ref();
        const mine = waiting.get(order.id) ?? [];
        mine.push({ resolve, reject });
        waiting.set(order.id, mine);
        worker.postMessage(order);
      }),
  };
  worker.on('message', (answer: Answer) => {
    const asked = settled(answer.id);
    if ('sha256' in answer) asked?.resolve(answer.sha256);
    else asked?.reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
  });
  worker.on('error', (error) => {
    died = error instanceof Error ? error : new Error(String(error));
    threads.splice(threads.indexOf(thread), 1);
    for (const mine of waiting.values()) for (const { reject } of mine) reject(died);
  });
  worker.unref();
  return thread;
}

function leastBusy(): Thread {
  if (threads.length < THREADS) threads.push(startThread());
  return threads.reduce((best, thread) => (thread.load < best.load ? thread : best));
}

/** Begins to write at `position`. The hash begins at `start`, before it: what lies between is in the file already. The
 *  file stays open until after `end`. */
export function writeRange(fd: number, start: number, position: number): RangeWriter {
  const id = ++lastId;
  const thread = leastBusy();
  thread.load += 1;
  let memory: SharedArrayBuffer | undefined;
  let views: Buffer[] = [];
  const begin = (): SharedArrayBuffer => {
    const mine = idleMemory.pop() ?? new SharedArrayBuffer(BLOCKS * BLOCK_BYTES);
    views = Array.from({ length: BLOCKS }, (_, i) => Buffer.from(mine, i * BLOCK_BYTES, BLOCK_BYTES));
    thread.tell({ id, kind: 'begin', fd, memory: mine, hashed: start, position });
    return mine;
  };
  /** lowest first, so that a slow line touches little memory */
  const free = Array.from({ length: BLOCKS }, (_, i) => i);
  let full: number[] = [];
  let block = -1;
  let filled = 0;
  let written = 0;
  let begunAt = performance.now();
  let failure: Error | null = null;
  /** the writes under way, in order */
  let underWay: Promise<void> = Promise.resolve();
  let writes = 0;

  const write = (last: number): void => {
    const blocks = full;
    full = [];
    writes += 1;
    begunAt = performance.now();
    const bytes = (blocks.length - 1) * BLOCK_BYTES + last;
    const done = thread.ask({ id, kind: 'write', blocks, last }).then(
      () => {
        if (failure === null) written += bytes;
      },
      (error: Error) => {
        failure ??= error;
      },
    );
    underWay = Promise.all([underWay, done]).then(() => {
      writes -= 1;
      free.push(...blocks);
      free.sort((a, b) => a - b);
    });
  };
  const check = (): void => {
    if (failure) throw failure;
  };
  const take = (piece: Buffer, from: number): Promise<void> | undefined => {
    memory ??= begin();
    for (let taken = from; taken < piece.length; ) {
      if (block < 0) {
        const next = free.shift();
        if (next === undefined) {
          const rest = taken;
          return underWay.then(() => {
            check();
            return take(piece, rest);
          });
        }
        block = next;
        filled = 0;
      }
      const copied = piece.copy(views[block] as Buffer, filled, taken);
      filled += copied;
      taken += copied;
      if (filled < BLOCK_BYTES) continue;
      full.push(block);
      block = -1;
      if (full.length === BLOCKS_AT_ONCE || performance.now() - begunAt >= SLOW_MS) write(BLOCK_BYTES);
    }
    return undefined;
  };
  return {
    get written() {
      return written;
    },
    push(piece) {
      check();
      return take(piece, 0);
    },
    async flush() {
      check();
      if (block >= 0) full.push(block);
      if (full.length > 0) write(block >= 0 ? filled : BLOCK_BYTES);
      block = -1;
      await underWay;
      check();
    },
    async idle() {
      while (writes > 0) await underWay;
    },
    async sha256() {
      memory ??= begin();
      return (await thread.ask({ id, kind: 'digest' })) ?? '';
    },
    end() {
      thread.load -= 1;
      if (!memory) return;
      thread.tell({ id, kind: 'end' });
      if (writes === 0 && idleMemory.length < MOST_IDLE) idleMemory.push(memory);
    },
  };
}

/** Hash of what lies in a file: 64 hex digits. Rejects when the file ends before `end`. */
export async function hashRange(fd: number, start: number, end: number): Promise<string> {
  const range = writeRange(fd, start, end);
  try {
    return await range.sha256();
  } finally {
    range.end();
  }
}
