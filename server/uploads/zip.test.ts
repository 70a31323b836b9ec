// Archives as Info-ZIP, Python and yazl make them, and as damage and malice leave them: what can be read is read, and
// what cannot is that page's reason.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import yazl from 'yazl';
import { landedBytes, wholeFile } from './landed.ts';
import { type EntryBytes, LARGEST_ENTRY, readDirectory, readEntry, type ZipDirectory } from './zip.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sheaf-zip-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fixture = (name: string): Promise<Buffer> => readFile(new URL(`./fixtures/${name}.zip`, import.meta.url));
const page = (n: number): Buffer => Buffer.from(`page ${n} `.repeat(40));

let files = 0;
async function withFile<T>(bytes: Buffer, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const name = path.join(folder, String(files++));
  writeFileSync(name, bytes);
  const file = await open(name, 'r');
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

const directoryOf = (bytes: Buffer): Promise<ZipDirectory> =>
  withFile(bytes, (file) => readDirectory(wholeFile(file, bytes.length)));

/** What the pages of an archive turn out to be, by name: their text, or why they cannot be had. */
const unpack = (bytes: Buffer): Promise<Record<string, string>> =>
  withFile(bytes, async (file) => {
    const directory = await readDirectory(wholeFile(file, bytes.length));
    if (!directory.ok) throw new Error(JSON.stringify(directory));
    const found: Record<string, string> = {};
    for (const entry of directory.images) {
      const read: EntryBytes = await readEntry(file, entry);
      found[entry.name] = read.ok ? read.bytes.toString() : read.reason;
    }
    return found;
  });

interface Entry {
  name: string;
  bytes: Buffer;
  compress?: boolean;
}
async function pack(entries: readonly Entry[], comment = ''): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  for (const { name, bytes, compress = false } of entries) zip.addBuffer(bytes, name, { compress });
  zip.end({ comment, forceZip64Format: false });
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
const onePage = (): Promise<Buffer> => pack([{ name: '1.jpg', bytes: page(1) }]);
const text = (n: number): string => page(n).toString();

/** Where the first entry's header and the directory's first record begin. */
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const find = (bytes: Buffer, signature: number): number => {
  const wanted = Buffer.alloc(4);
  wanted.writeUInt32LE(signature);
  return bytes.indexOf(wanted);
};

describe('archives of others', () => {
  test.each([
    ['infozip-deflated', { 'scans/1.jpg': text(1), 'scans/2.jpg': text(2), 'scans/10.jpg': text(10) }],
    ['infozip-stored', { 'scans/1.jpg': text(1), 'scans/2.jpg': text(2), 'scans/10.jpg': text(10) }],
    ['infozip-descriptors', { 'scans/1.jpg': text(1), 'scans/2.jpg': text(2) }],
    ['infozip-zip64', { 'scans/1.jpg': text(1), 'scans/2.jpg': text(2) }],
    ['infozip-comment', { 'scans/1.jpg': text(1) }],
    ['python-streamed', { '1.jpg': text(1), '2.jpg': text(2) }],
    ['python-zip64', { '1.jpg': text(1), '2.jpg': text(2) }],
    ['python-zip64-end', { '1.jpg': text(1), '2.jpg': text(2) }],
  ])('%s', async (name, pages) => {
    expect(await unpack(await fixture(name))).toEqual(pages);
  });

  test('pages keep the order in which the archive lists them', async () => {
    const directory = await directoryOf(await fixture('infozip-stored'));
    expect(directory).toMatchObject({ ok: true, others: 0 });
    expect(directory.ok && directory.images.map(({ name }) => name)).toEqual([
      'scans/10.jpg',
      'scans/1.jpg',
      'scans/2.jpg',
    ]);
  });

  test('what is no image is counted and left alone; a folder is not even counted', async () => {
    expect(await directoryOf(await fixture('infozip-deflated'))).toMatchObject({ ok: true, others: 1 });
  });

  test('names that lead out of a folder are labels, and litter is no page', async () => {
    expect(await unpack(await fixture('python-names'))).toEqual({
      '../../escape.jpg': text(0),
      '/absolute.png': text(1),
      'C:/scans/back.tif': text(2),
      'Prüfung 页.JPEG': text(3),
    });
  });

  test('an encrypted entry, a link and an unknown method are those pages’ reasons', async () => {
    expect(await unpack(await fixture('infozip-encrypted'))).toEqual({
      'scans/1.jpg': expect.stringMatching(/encrypted: pack it without a password/),
    });
    expect(await unpack(await fixture('infozip-link'))).toEqual({
      'scans/1.jpg': text(1),
      'scans/link.jpg': expect.stringMatching(/link/),
    });
    expect(await unpack(await fixture('python-lzma'))).toEqual({ '1.jpg': expect.stringMatching(/method 14/) });
  });

  test('any bytes before the archive, and the longest comment behind it, change nothing', async () => {
    const bytes = await pack([{ name: '1.jpg', bytes: page(1), compress: true }], 'x'.repeat(65_535));
    expect(await unpack(bytes)).toEqual({ '1.jpg': text(1) });
    for (const prefix of [Buffer.from('MZ a program that unpacks itself'), Buffer.alloc(100_000, 'PK\x03\x04')]) {
      expect(await unpack(Buffer.concat([prefix, bytes]))).toEqual({ '1.jpg': text(1) });
    }
  });

  test('whatever is packed is unpacked', async () => {
    const entries = fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-zà-ÿ0-9]{1,20}\.(jpg|PNG|tiff|webp)$/),
        bytes: fc.uint8Array({ maxLength: 3000 }),
        compress: fc.boolean(),
      }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(entries, async (given) => {
        const packed = await pack(given.map((entry) => ({ ...entry, bytes: Buffer.from(entry.bytes) })));
        const wanted = Object.fromEntries(given.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]));
        expect(await unpack(packed)).toEqual(wanted);
      }),
      { numRuns: 40 },
    );
  });
});

describe('what is no archive of scans says what to do', () => {
  test.each([
    ['nothing', Buffer.alloc(0), 'NOT_A_ZIP'],
    ['a few bytes', Buffer.from('PK'), 'NOT_A_ZIP'],
    ['a megabyte of something', Buffer.alloc(2 ** 20, 'not a zip '), 'NOT_A_ZIP'],
  ])('%s', async (_, bytes, code) => {
    expect(await directoryOf(bytes)).toMatchObject({
      ok: false,
      code,
      reason: expect.stringMatching(/Pack the scans/),
    });
  });

  test('an end record whose directory lies outside of the file', async () => {
    const bytes = Buffer.from('504b0506000000000100010000ffff00ff00ff000000', 'hex');
    expect(await directoryOf(bytes)).toEqual({ ok: false, code: 'NOT_LANDED' });
  });

  test('an archive that was cut short', async () => {
    const bytes = await onePage();
    for (const left of [bytes.length - 1, bytes.length - 30, 40]) {
      expect(await directoryOf(bytes.subarray(0, left))).toMatchObject({ ok: false, code: 'NOT_A_ZIP' });
    }
  });

  test('an archive without images tells how many other files it holds', async () => {
    const one = await pack([{ name: 'readme.txt', bytes: page(1) }]);
    expect(await directoryOf(one)).toMatchObject({
      code: 'ZIP_WITHOUT_IMAGES',
      reason: expect.stringMatching(/^it holds one other file, but no JPG/),
    });
    expect(await directoryOf(await pack([]))).toMatchObject({
      code: 'ZIP_WITHOUT_IMAGES',
      reason: expect.stringMatching(/^it holds no JPG/),
    });
  });

  test('no bytes whatever make it throw', async () => {
    const bytes = await pack([1, 2, 3].map((n) => ({ name: `${n}.jpg`, bytes: page(n), compress: n === 2 })));
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of changes) damaged[at] = value;
        const directory = await directoryOf(damaged);
        if (directory.ok) await unpack(damaged);
        else if (directory.code !== 'NOT_LANDED') expect(directory.reason).not.toBe('');
      }),
      { numRuns: 300 },
    );
  });
});

describe('[P2] one damaged entry is one page’s reason', () => {
  const three = (): Promise<Buffer> => pack([1, 2, 3].map((n) => ({ name: `${n}.jpg`, bytes: page(n) })));

  test('a bit that flipped in its data', async () => {
    const bytes = await three();
    bytes[bytes.indexOf('page 2') + 5]! ^= 1;
    expect(await unpack(bytes)).toEqual({
      '1.jpg': text(1),
      '2.jpg': expect.stringMatching(/checksum is wrong/),
      '3.jpg': text(3),
    });
  });

  test('a bit that flipped in deflated data', async () => {
    const bytes = await pack([{ name: '1.jpg', bytes: page(1), compress: true }]);
    bytes[35 + 6]! ^= 0xff;
    expect(await unpack(bytes)).toEqual({ '1.jpg': expect.stringMatching(/damaged|size is not/) });
  });

  test('a header that is not where the directory says', async () => {
    const bytes = await three();
    bytes.writeUInt32LE(0, find(bytes, LOCAL));
    const found = await unpack(bytes);
    expect(found).toEqual({
      '1.jpg': expect.stringMatching(/no header where the directory says/),
      '2.jpg': text(2),
      '3.jpg': text(3),
    });
  });

  test('a header that names another method or another size than the directory', async () => {
    const method = await onePage();
    method.writeUInt16LE(8, find(method, LOCAL) + 8);
    expect(await unpack(method)).toEqual({ '1.jpg': expect.stringMatching(/disagree on its method/) });
    const size = await fixture('infozip-stored');
    size.writeUInt32LE(7, find(size, LOCAL) + 18);
    expect((await unpack(size))['scans/10.jpg']).toMatch(/disagree on its size/);
  });

  test('two names for the same bytes, as bombs are made of', async () => {
    const bytes = await three();
    const second = bytes.indexOf('2.jpg', find(bytes, CENTRAL)) - 46;
    bytes.writeUInt32LE(0, second + 42); // where the first one lies
    const found = await unpack(bytes);
    expect(found['2.jpg']).toMatch(/overlaps/);
    expect(found['3.jpg']).toBe(text(3));
  });

  /** An archive of one deflated entry whose directory says `says` bytes. */
  async function claiming(data: Buffer, says: number): Promise<Buffer> {
    const packed = deflateRawSync(data);
    const bytes = await pack([{ name: '1.jpg', bytes: packed }]);
    const [local, central] = [find(bytes, LOCAL), find(bytes, CENTRAL)];
    for (const [at, method, crc, size] of [
      [local, 8, 14, 22],
      [central, 10, 16, 24],
    ] as const) {
      bytes.writeUInt16LE(8, at + method);
      bytes.writeUInt32LE(crc32(data), at + crc);
      bytes.writeUInt32LE(says, at + size);
    }
    return bytes;
  }

  test('the way of making them that the next two go makes good ones too', async () => {
    expect(await unpack(await claiming(page(1), page(1).length))).toEqual({ '1.jpg': text(1) });
  });

  test('one that unpacks to far more than it says is given up at what it says', async () => {
    const bomb = await claiming(Buffer.alloc(64 * 2 ** 20), 1000);
    const before = process.memoryUsage().arrayBuffers;
    expect(await unpack(bomb)).toEqual({ '1.jpg': expect.stringMatching(/cannot be unpacked/) });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 2 ** 20);
  });

  test('one that says it unpacks to far more than a scan is not unpacked at all', async () => {
    const data = Buffer.alloc(64 * 2 ** 20);
    expect(await unpack(await claiming(data, data.length))).toEqual({
      '1.jpg': expect.stringMatching(/far more than a scan/),
    });
    expect(await unpack(await claiming(page(1), LARGEST_ENTRY + 1))).toEqual({
      '1.jpg': expect.stringMatching(/far more|larger than 256 MB/),
    });
  });

  test('a plain file in a batch of images that ends early', async () => {
    const at = { offset: 10, compressedSize: 20, size: 20, method: -1, crc32: null };
    expect(await withFile(Buffer.alloc(30, 'a'), (file) => readEntry(file, at))).toMatchObject({ ok: true });
    expect(await withFile(Buffer.alloc(29, 'a'), (file) => readEntry(file, at))).toEqual({
      ok: false,
      reason: 'the file ends early',
    });
  });
});

describe('[P5] while bytes are still on their way', () => {
  test('as soon as the directory’s chunks have landed it is read, and it is the whole file’s', async () => {
    const chunk = 512;
    const bytes = await pack(
      Array.from({ length: 30 }, (_, n) => ({ name: `${n}.jpg`, bytes: page(n) })),
      'a comment',
    );
    const whole = await directoryOf(bytes);
    const total = Math.ceil(bytes.length / chunk);
    const first = Math.floor(find(bytes, CENTRAL) / chunk);
    await withFile(bytes, async (file) => {
      const landed = (from: number): Promise<ZipDirectory> =>
        readDirectory(landedBytes(file, bytes.length, [[from * chunk, bytes.length]]));
      expect(await landed(first)).toEqual(whole);
      for (let from = first + 1; from < total; from++)
        expect(await landed(from)).toEqual({ ok: false, code: 'NOT_LANDED' });
      expect(await readDirectory(landedBytes(file, bytes.length, [[0, (total - 1) * chunk]]))).toEqual({
        ok: false,
        code: 'NOT_LANDED',
      });
      expect(await readDirectory(landedBytes(file, bytes.length, []))).toEqual({ ok: false, code: 'NOT_LANDED' });
    });
  });

  test('all of an entry lies before the place where it is said to end', async () => {
    const bytes = await fixture('infozip-descriptors');
    const directory = await directoryOf(bytes);
    if (!directory.ok) throw new Error('no directory');
    for (const [i, entry] of directory.images.entries()) {
      const next = directory.images[i + 1]?.offset ?? find(bytes, CENTRAL);
      expect(entry.end).toBe(next);
      // Nothing behind its end is needed to read it.
      const alone = Buffer.concat([bytes.subarray(0, entry.end), Buffer.alloc(bytes.length - entry.end)]);
      expect(await withFile(alone, (file) => readEntry(file, entry))).toMatchObject({ ok: true });
    }
  });
});
