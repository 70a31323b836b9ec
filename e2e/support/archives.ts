// The same pages packed by everything that people pack scans with. The tools are the machine's own: what they write is
// the point, so none of it is imitated here.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import yazl from 'yazl';
import { temporaryFolder } from './places.ts';

export interface Page {
  name: string;
  bytes: Buffer;
}

/** name → the archive's bytes */
export type Archives = Map<string, Buffer>;

const run = promisify(execFile);

/** Debian's package of each tool that is needed. */
const PACKAGES = { zip: 'zip', '7z': 'p7zip-full', bsdtar: 'libarchive-tools', python3: 'python3' } as const;

function needTools(): void {
  const missing = Object.entries(PACKAGES)
    .filter(([tool]) => !(process.env.PATH ?? '').split(':').some((folder) => fs.existsSync(path.join(folder, tool))))
    .map(([, name]) => name);
  if (missing.length > 0)
    throw new Error(`Tools that pack archives are missing: sudo apt-get install ${missing.join(' ')}`);
}

/** What a self-extractor or a mail gateway puts before an archive. */
const PREFIX = Buffer.from('#!/bin/sh\n# This is an archive with a program before it.\nexit 1\n'.repeat(20));
const COMMENT = 'Room 12, scanned on Monday. PK is only two letters. '.repeat(30);

/** In order of their names, each tool's own, about fifty. */
export async function packByAll(pages: readonly Page[]): Promise<Archives> {
  needTools();
  const folder = temporaryFolder();
  try {
    for (const { name, bytes } of pages) fs.writeFileSync(path.join(folder, name), bytes);
    const names = pages.map(({ name }) => name);
    const archives: Archives = new Map();
    await infoZip(folder, names, archives);
    await sevenZip(folder, names, archives);
    await bsdtar(folder, names, archives);
    await python(folder, names, archives);
    await yazlZip(pages, archives);
    return archives;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Info-ZIP with zip64 and data descriptors at once: it leaves the zip64 records out that it points to. */
export async function packBroken(page: Page): Promise<Buffer> {
  needTools();
  const folder = temporaryFolder();
  try {
    fs.writeFileSync(path.join(folder, page.name), page.bytes);
    await run('zip', ['-q', '-0', '-fz', '-fd', 'broken.zip', page.name], { cwd: folder });
    return fs.readFileSync(path.join(folder, 'broken.zip'));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Lets `make` write an archive under a name of its own, and takes it. */
async function take(
  folder: string,
  label: string,
  archives: Archives,
  make: (file: string) => Promise<unknown>,
): Promise<Buffer> {
  const file = path.join(folder, 'packed.zip');
  await make(file);
  const bytes = fs.readFileSync(file);
  fs.rmSync(file);
  archives.set(label, bytes);
  return bytes;
}

async function infoZip(folder: string, names: string[], archives: Archives): Promise<void> {
  for (const level of ['-0', '-9']) {
    const how = level === '-0' ? 'stored' : 'deflated';
    const zip = (label: string, ...flags: string[]) =>
      take(folder, `zip ${how}${label}`, archives, (file) =>
        run('zip', ['-q', level, ...flags, file, ...names], { cwd: folder }),
      );
    const plain = await zip('');
    await zip(', no extra fields', '-X');
    await zip(', data descriptors', '-fd');
    await zip(', zip64', '-fz');
    archives.set(`zip ${how}, prefix not counted`, Buffer.concat([PREFIX, plain]));
    await take(folder, `zip ${how}, prefix counted`, archives, async (file) => {
      fs.writeFileSync(file, Buffer.concat([PREFIX, plain]));
      await run('zip', ['-q', '-A', file]).catch((error: { code?: number }) => {
        // 3 is a warning about the bytes before the archive.
        if (error.code !== 3) throw error;
      });
    });
    await take(folder, `zip ${how}, comment`, archives, async (file) => {
      fs.writeFileSync(file, plain);
      execFileSync('zip', ['-q', '-z', file], { input: COMMENT });
    });
    await take(folder, `zip ${how}, to a pipe`, archives, async (file) => {
      const { stdout } = await run('zip', ['-q', level, '-', ...names], {
        cwd: folder,
        encoding: 'buffer',
        maxBuffer: 2 ** 28,
      });
      fs.writeFileSync(file, stdout);
    });
  }
}

async function sevenZip(folder: string, names: string[], archives: Archives): Promise<void> {
  const make = (label: string, ...flags: string[]) =>
    take(folder, `7z ${label}`, archives, (file) =>
      run('7z', ['a', '-tzip', '-bd', ...flags, file, ...names], { cwd: folder }),
    );
  await make('stored', '-mx=0');
  await make('deflated', '-mx=5');
  await make('deflated hard', '-mx=9', '-mm=Deflate');
  await make('stored, names in UTF-8', '-mx=0', '-mcu=on');
  await make('deflated, with times of NTFS', '-mx=1', '-mtc=on', '-mta=on');
}

async function bsdtar(folder: string, names: string[], archives: Archives): Promise<void> {
  const make = (label: string, ...flags: string[]) =>
    take(folder, `bsdtar ${label}`, archives, (file) =>
      run('bsdtar', ['--format', 'zip', ...flags, '-cf', file, ...names], { cwd: folder }),
    );
  await make('as it comes');
  await take(folder, 'bsdtar to a pipe', archives, async (file) => {
    const { stdout } = await run('bsdtar', ['--format', 'zip', '-cf', '-', ...names], {
      cwd: folder,
      encoding: 'buffer',
      maxBuffer: 2 ** 28,
    });
    fs.writeFileSync(file, stdout);
  });
  await make('stored', '--options', 'zip:compression=store');
  await make('deflated', '--options', 'zip:compression=deflate');
  await make('deflated hard', '--options', 'zip:compression=deflate,zip:compression-level=9');
  await make('stored, zip64', '--options', 'zip:compression=store,zip:zip64');
  await make('deflated, zip64', '--options', 'zip:compression=deflate,zip:zip64');
}

const PYTHON = `
import sys, zipfile
names, comment, prefix = sys.argv[1].split('/'), sys.argv[2].encode(), sys.argv[3].encode()

class Pipe:
    """A file that cannot seek, as a socket is: sizes come after the data."""
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()

def pack(label, method, before=b'', piped=False, zip64=False, note=b'', folder=''):
    with open('py ' + label + '.packed', 'wb') as file:
        file.write(before)
        with zipfile.ZipFile(Pipe(file) if piped else file, 'w', method) as z:
            for name in names:
                info = zipfile.ZipInfo(folder + name, (2026, 5, 4, 9, 30, 0))
                info.compress_type = method
                with z.open(info, 'w', force_zip64=zip64) as entry, open(name, 'rb') as page:
                    entry.write(page.read())
            z.comment = note

for method, how in ((zipfile.ZIP_STORED, 'stored'), (zipfile.ZIP_DEFLATED, 'deflated')):
    pack(how, method)
    pack(how + ', data descriptors', method, piped=True)
    pack(how + ', zip64', method, zip64=True)
    pack(how + ', zip64 and data descriptors', method, zip64=True, piped=True)
    pack(how + ', comment', method, note=comment)
    pack(how + ', prefix', method, before=prefix)
    pack(how + ', in folders named in other scripts', method, folder='Räume/試験 ५/')
`;

async function python(folder: string, names: string[], archives: Archives): Promise<void> {
  await run('python3', ['-c', PYTHON, names.join('/'), COMMENT, PREFIX.toString()], { cwd: folder });
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.packed'))) {
    archives.set(file.replace(/^py /, 'Python ').replace(/\.packed$/, ''), fs.readFileSync(path.join(folder, file)));
    fs.rmSync(path.join(folder, file));
  }
}

async function yazlZip(pages: readonly Page[], archives: Archives): Promise<void> {
  const make = async (
    label: string,
    add: (zip: yazl.ZipFile, page: Page) => void,
    end: yazl.EndOptions = { comment: '', forceZip64Format: false },
  ): Promise<void> => {
    const zip = new yazl.ZipFile();
    for (const page of pages) add(zip, page);
    zip.end(end);
    const parts: Buffer[] = [];
    for await (const part of zip.outputStream) parts.push(part as Buffer);
    archives.set(`yazl ${label}`, Buffer.concat(parts));
  };
  for (const compress of [false, true]) {
    const how = compress ? 'deflated' : 'stored';
    await make(how, (zip, { bytes, name }) => zip.addBuffer(bytes, name, { compress }));
    await make(`${how}, data descriptors`, (zip, { bytes, name }) =>
      zip.addReadStream(Readable.from([bytes]), name, { compress }),
    );
    await make(
      `${how}, zip64`,
      (zip, { bytes, name }) => zip.addBuffer(bytes, name, { compress, forceZip64Format: true }),
      { comment: '', forceZip64Format: true },
    );
    await make(`${how}, comment`, (zip, { bytes, name }) => zip.addBuffer(bytes, name, { compress }), {
      comment: COMMENT,
      forceZip64Format: false,
    });
  }
}

/** An entry with everything that its two headers say open to lies. */
export interface Claimed {
  name: string;
  /** as it stands in the file */
  packed: Buffer;
  method?: number;
  /** unpacked */
  size?: number;
  crc32?: number;
  /** bit 0: encrypted */
  flags?: number;
  /** Unix mode, 0o120777 for a link */
  mode?: number;
  /** index of the entry whose header this one points to instead of having its own */
  at?: number;
}

/** Writes what it is told. `entries` beyond 65,534, or `zip64`, get the records of zip64; `directoryAt` lies in them. */
export function craftZip(entries: readonly Claimed[], { directoryAt }: { directoryAt?: bigint } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const offsets: number[] = [];
  let position = 0;
  const put = (bytes: Buffer): void => {
    parts.push(bytes);
    position += bytes.length;
  };
  for (const { name, packed, method = 0, size = packed.length, flags = 0, mode = 0o100644, at, ...more } of entries) {
    const label = Buffer.from(name);
    const sum = more.crc32 ?? crc32(packed);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags | 0x800, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(0x5aa46000, 6);
    common.writeUInt32LE(sum, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(label.length, 22);
    offsets.push(at === undefined ? position : offsets[at]);
    if (at === undefined) {
      put(Buffer.from('PK\x03\x04', 'latin1'));
      put(common);
      put(label);
      put(packed);
    }
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode << 16) >>> 0, 6);
    rest.writeUInt32LE(offsets.at(-1) ?? 0, 10);
    directory.push(Buffer.from('PK\x01\x02\x1e\x03', 'latin1'), common, rest, label);
  }
  const start = position;
  for (const part of directory) put(part);
  put(endOf(entries.length, start, position - start, directoryAt));
  return Buffer.concat(parts);
}

/** The records after a directory: those of zip64 when it needs them, or when they are to lie. */
export function endOf(count: number, start: number, size: number, lie?: bigint): Buffer {
  const zip64 = count > 65_534 || lie !== undefined;
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(Math.min(count, 65_535), 8);
  end.writeUInt16LE(Math.min(count, 65_535), 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : size, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : start, 16);
  if (!zip64) return end;
  const record = Buffer.alloc(56);
  record.write('PK\x06\x06', 'latin1');
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(45, 12);
  record.writeUInt16LE(45, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(lie ?? BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(BigInt(start + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}
