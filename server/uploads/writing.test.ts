// What is written lies where it belongs and has the hash that is told of it, whichever way it went to the disk.
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type WrittenFile, writeRange } from './writing.ts';

const MB = 2 ** 20;
const SIZE = 12 * MB;

let folder: string;
let file: string;
let open: number[];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-writing-'));
  file = path.join(folder, 'upload');
  writeFileSync(file, '');
  truncateSync(file, SIZE);
  open = [];
  // A line is fast or slow by this clock: it stands, so every line is fast.
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const fd of open) closeSync(fd);
  rmSync(folder, { recursive: true });
});

function opened(flags: number): number {
  const fd = openSync(file, flags);
  open.push(fd);
  return fd;
}
const both = (): WrittenFile => ({ fd: opened(constants.O_RDWR), direct: direct() });
function direct(): number | null {
  try {
    return opened(constants.O_WRONLY | constants.O_DIRECT);
  } catch {
    return null;
  }
}

/** As a socket gives them: 64 kB, and now and then less. */
async function writeAll(target: WrittenFile, start: number, position: number, bytes: Buffer): Promise<string> {
  const range = writeRange(target, start, position);
  try {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const piece = bytes.subarray(at, at + (i % 5 === 4 ? 1237 : 65_536));
      at += piece.length;
      await range.push(piece);
    }
    await range.flush();
    expect(range.written).toBe(bytes.length);
    return await range.sha256();
  } finally {
    await range.idle();
    range.end();
  }
}
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const held = (from: number, length: number): Buffer => readFileSync(file).subarray(from, from + length);
/** Equality that says nothing of megabytes when it fails. */
const same = (a: Buffer, b: Buffer): boolean => a.equals(b);

describe('bytes and hash are right', () => {
  test.each([
    ['from the front, whole blocks', 0, 0, 8 * MB],
    ['from the front, with a tail', 0, 0, 5 * MB + 12_345],
    ['from a place where no page starts', 5000, 5000, 6 * MB + 1],
    ['after what lay there before', 4 * MB, 6 * MB + 777, 3 * MB],
    ['less than a block', 4096, 4096, 100],
  ])('%s', async (_name, start, position, length) => {
    const before = randomBytes(position - start);
    if (before.length > 0) await writeAll(both(), start, start, before);
    const bytes = randomBytes(length);
    expect(await writeAll(both(), start, position, bytes)).toBe(sha256(Buffer.concat([before, bytes])));
    expect(same(held(start, position - start + length), Buffer.concat([before, bytes]))).toBe(true);
    expect(same(held(position + length, SIZE), Buffer.alloc(SIZE - position - length))).toBe(true);
    expect(readFileSync(file).length).toBe(SIZE);
  });

  test('when one way writes over what the other wrote', async () => {
    const cached = (): WrittenFile => ({ fd: opened(constants.O_RDWR), direct: null });
    for (const target of [cached(), both(), cached(), both()]) {
      const bytes = randomBytes(5 * MB + 99);
      expect(await writeAll(target, 0, 0, bytes)).toBe(sha256(bytes));
      expect(same(held(0, bytes.length), bytes)).toBe(true);
    }
  });

  test('when the disk refuses to be written past the page cache', async () => {
    const bytes = randomBytes(5 * MB);
    const refusing = { fd: opened(constants.O_RDWR), direct: opened(constants.O_RDONLY) };
    expect(await writeAll(refusing, 0, 0, bytes)).toBe(sha256(bytes));
    expect(same(held(0, bytes.length), bytes)).toBe(true);
  });
});

test('what a fast line brings goes past the page cache', async ({ skip }) => {
  const way = direct();
  if (way === null) return skip(`the file system of ${folder} cannot be written past the page cache`);
  // The other descriptor takes nothing: had a byte gone that way, it would have failed.
  const bytes = randomBytes(8 * MB);
  await writeAll({ fd: opened(constants.O_RDONLY), direct: way }, 0, 0, bytes);
  expect(same(held(0, bytes.length), bytes)).toBe(true);
});

test('a file that takes no bytes either way fails the range with the reason', async () => {
  const target = { fd: opened(constants.O_RDONLY), direct: opened(constants.O_RDONLY) };
  await expect(writeAll(target, 0, 0, randomBytes(3 * MB))).rejects.toMatchObject({ code: 'EBADF' });
});

test('memory is used again, however many ranges were written at once', async () => {
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (size: object) => object } }).WebAssembly;
  let made = 0;
  class Counted extends Memory {
    constructor(size: object) {
      super(size);
      made += 1;
    }
  }
  vi.stubGlobal('WebAssembly', { Memory: Counted });
  const target = both();
  const bytes = randomBytes(MB);
  const nine = () => Promise.all(Array.from({ length: 9 }, (_, i) => writeAll(target, i * MB, i * MB, bytes)));
  await nine();
  const atFirst = made;
  expect(atFirst).toBeGreaterThan(0);
  for (let i = 0; i < 3; i++) await nine();
  expect(made).toBe(atFirst);
});

test('where addresses are short, plain memory does, and no other is asked for again', async () => {
  let asked = 0;
  class Refused {
    constructor() {
      asked += 1;
      throw new RangeError('could not allocate memory');
    }
  }
  vi.stubGlobal('WebAssembly', { Memory: Refused });
  vi.resetModules();
  const anew = await import('./writing.ts');
  const bytes = randomBytes(5 * MB);
  const write = async (at: number) => {
    const range = anew.writeRange(both(), at, at);
    await range.push(bytes);
    await range.flush();
    expect(await range.sha256()).toBe(sha256(bytes));
    range.end();
  };
  await Promise.all([write(0), write(5 * MB)]);
  expect(asked).toBe(1);
  expect(same(held(5 * MB, 5 * MB), bytes)).toBe(true);
});
