// Bytes to their place in a file, and their hash, beside the event loop: blocks of memory are filled here and written and
// hashed by a few threads of the process. On the event loop hashing took half of the time that a fast line leaves, and a
// call to another thread costs as much as writing a block, so several go at once. What comes on a fast line goes to the
// disk from these blocks, past the page cache: a copy less, and no rush of write-back when the chunk is synced.
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
/** One hashes 0.8 to 1.7 GB/s. Three landed no more than two where there are two cores. */
const THREADS = 2;
/** Position, length and memory of what is written past the page cache are multiples of this: of the logical block of every
 *  common disk, and of the largest page of a system, so that two requests side by side write no page in both ways. */
const ALIGNMENT = 2 ** 16;

/** A file that is written, as descriptors. */
export interface WrittenFile {
  fd: number;
  /** opened with O_DIRECT; null where the file system has no such thing */
  direct: number | null;
}

type Order =
  | { id: number; kind: 'begin'; file: WrittenFile; memory: SharedArrayBuffer; hashed: number; position: number }
  | { id: number; kind: 'write'; blocks: number[]; last: number }
  | { id: number; kind: 'digest' }
  | { id: number; kind: 'end' };
type Answer = { id: number; sha256: string | null } | { id: number; failed: { message: string; code: string | null } };

/** What a thread runs. It is handed over as text, so that it is the same from source and compiled; it sees nothing of
 *  this module. Every write and digest is answered, in order. */
function work(blockBytes: number, blocksAtOnce: number, alignment: number): void {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { readSync, writeSync, writevSync } = process.getBuiltinModule('node:fs');
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  interface Job {
    file: WrittenFile;
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
      const count = readSync(job.file.fd, spare, 0, Math.min(spare.length, job.position - job.hashed), job.hashed);
      if (count === 0) throw new Error(`the upload's file ends at ${job.hashed}, before the chunk does`);
      job.hash.update(spare.subarray(0, count));
      job.hashed += count;
    }
  };
  /** Writes past the page cache as much as can go there: whole blocks, of a line that is fast enough to fill several at
   *  once. A slow one is left to the system, which makes few large writes of many small ones. Returns the bytes written. */
  const writeDirect = ({ file, position }: Job, blocks: Buffer[]): number => {
    if (file.direct === null || position % alignment > 0) return 0;
    if (blocks.length < blocksAtOnce || blocks.at(-1)?.length !== blockBytes) return 0;
    try {
      const count = writevSync(file.direct, blocks, position);
      return count - (count % alignment);
    } catch {
      // A full or failing disk says so again to whoever writes the other way.
      file.direct = null;
      return 0;
    }
  };
  const write = (job: Job, blocks: Buffer[]): void => {
    let there = writeDirect(job, blocks);
    for (const block of blocks) {
      for (let done = Math.min(there, block.length); done < block.length; )
        done += writeSync(job.file.fd, block, done, block.length - done, job.position + done);
      there = Math.max(0, there - block.length);
      job.hash.update(block);
      job.position += block.length;
      job.hashed = job.position;
    }
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
      else {
        const { memory } = job;
        const views = order.blocks.map((block) => Buffer.from(memory, block * blockBytes, blockBytes));
        write(job, [...views.slice(0, -1), (views.at(-1) as Buffer).subarray(0, order.last)]);
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
/** All memory is used again: what is asked for and let go of at the speed of a disk is found and cleared anew each time,
 *  and a thread that was shown it gives it back only when it sweeps, which it has no reason to. So there is as much as
 *  ranges were ever written at once; what was used last goes out first. */
const idleMemory: SharedArrayBuffer[] = [];
let lastId = 0;

/** Types of Node leave this out. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared: true }) => { buffer: SharedArrayBuffer };
};
const WASM_PAGE = 2 ** 16;
/** Whether memory can be had that starts where a page of the system does. */
let aligned = true;
function newMemory(): SharedArrayBuffer {
  const pages = (BLOCKS * BLOCK_BYTES) / WASM_PAGE;
  try {
    if (aligned) return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
  } catch {
    // Each takes some 10 GB of addresses, which may be limited, and it takes long to be refused.
    aligned = false;
  }
  // It starts behind malloc's head, so the disk refuses to be written from it past the page cache.
  return new SharedArrayBuffer(BLOCKS * BLOCK_BYTES);
}

function startThread(): Thread {
  const worker = new Worker(`(${work})(${BLOCK_BYTES}, ${BLOCKS_AT_ONCE}, ${ALIGNMENT})`, { eval: true });
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
export function writeRange(file: WrittenFile, start: number, position: number): RangeWriter {
  const id = ++lastId;
  const thread = leastBusy();
  thread.load += 1;
  let memory: SharedArrayBuffer | undefined;
  let views: Buffer[] = [];
  const begin = (): SharedArrayBuffer => {
    const mine = idleMemory.pop() ?? newMemory();
    views = Array.from({ length: BLOCKS }, (_, i) => Buffer.from(mine, i * BLOCK_BYTES, BLOCK_BYTES));
    thread.tell({ id, kind: 'begin', file, memory: mine, hashed: start, position });
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
      const copied = Math.min(BLOCK_BYTES - filled, piece.length - taken);
      // `copy` goes word by word where memory is shared; this is one memcpy.
      views[block]?.fill(piece.subarray(taken, taken + copied), filled, filled + copied);
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
      const mine = memory;
      if (!mine) return;
      thread.tell({ id, kind: 'end' });
      // What is under way still reads from it.
      void underWay.then(() => idleMemory.push(mine));
    },
  };
}

/** Hash of what lies in a file: 64 hex digits. Rejects when the file ends before `end`. */
export async function hashRange(fd: number, start: number, end: number): Promise<string> {
  const range = writeRange({ fd, direct: null }, start, end);
  try {
    return await range.sha256();
  } finally {
    range.end();
  }
}
