// ZIP archives as Sheaf meets them: the directory is read from the end of whatever has landed, entries are read where
// they lie. Names are labels here, never paths. What is odd about one entry is that page's reason, not the archive's end.
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import yauzl from 'yauzl';
import { isScanName } from '../../shared/scan-names.ts';
import type { BlobFile } from './blobs.ts';
import { type LandedBytes, NotLanded } from './landed.ts';

export interface ZipEntry {
  name: string;
  /** of the local header, in the file */
  offset: number;
  /** where the next entry or the directory begins: all of this entry's bytes lie before it */
  end: number;
  compressedSize: number;
  size: number;
  /** 0 stored, 8 deflated, or one of {@link REFUSED} */
  method: number;
  crc32: number;
}

export type ZipDirectory =
  | { ok: true; images: ZipEntry[]; others: number }
  /** the directory, or a part of it, has not landed */
  | { ok: false; code: 'NOT_LANDED' }
  | { ok: false; code: 'NOT_A_ZIP' | 'ZIP_WITHOUT_IMAGES' | 'ZIP_REFUSED'; reason: string };

/** Method numbers no archive has (they have 16 bits), standing for entries that are not to be read, and why. */
export const REFUSED = {
  65537: 'the ZIP entry is encrypted: pack it without a password',
  65538: 'the ZIP entry overlaps another one: the archive is damaged or hostile',
  65539: 'the ZIP entry is a link, not a file',
  65540: 'the ZIP entry unpacks to far more than a scan: it is damaged or hostile',
} as const;
const [ENCRYPTED, OVERLAPPING, LINK, BOMB] = [0x10001, 0x10002, 0x10003, 0x10004];

/** Ids are batch number × 1,000,000 + page. */
export const MOST_PAGES = 1_000_000;
/** Ten gigabytes of scans of 50 kB. A directory is kept in memory while it is read, 600 bytes an entry. */
const MOST_ENTRIES = 200_000;
/** No scan of one page is larger; a bomb is. */
export const LARGEST_ENTRY = 256 * 2 ** 20;
/** A blank page as TIFF or PNG deflates to a hundredth; what deflates to less and is large is no scan. */
const MOST_RATIO = 400;
const SMALL_ENOUGH = 32 * 2 ** 20;
/** End of central directory: 22 bytes and a comment of at most 65,535; before it 20 bytes that lead to zip64 records. */
const LONGEST_END = 20 + 22 + 0xffff;
const READ_AHEAD = 2 ** 20;

/** Yauzl's reader over what has landed, from `base` on, reading ahead so that the thousands of small reads of a
 *  directory are few of the disk. */
class Reader extends yauzl.RandomAccessReader {
  readonly bytes: LandedBytes;
  readonly base: number;
  readonly end: number;
  window: Buffer = Buffer.alloc(0);
  windowAt = 0;
  constructor(bytes: LandedBytes, { base, end }: End) {
    super();
    this.bytes = bytes;
    this.base = base;
    this.end = end;
  }
  override read(
    target: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null) => void,
  ): void {
    const { bytes } = this;
    const at = this.base + position;
    // Yauzl looks for the end record in the last 65 kB. findEnd has seen it in what has landed, so in that one read what
    // lies before may be zeros; they are not kept, because the directory may lie there.
    const missing = at + length === this.end ? Math.max(0, Math.min(length, bytes.tail - at)) : 0;
    target.fill(0, offset, offset + missing);
    const [from, rest] = [at + missing, length - missing];
    this.fill(from, rest).then(
      () => {
        this.window.copy(target, offset + missing, from - this.windowAt, from - this.windowAt + rest);
        done(null);
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }
  async fill(at: number, length: number): Promise<void> {
    if (at >= this.windowAt && at + length <= this.windowAt + this.window.length) return;
    const { bytes } = this;
    const wanted = Math.max(length, Math.min(READ_AHEAD, bytes.endOf(at) - at));
    const window = Buffer.alloc(wanted);
    await bytes.read(window, at);
    this.window = window;
    this.windowAt = at;
  }
}

interface End {
  /** bytes before the archive's own first byte (a self-extractor's program, a mail header) */
  base: number;
  /** where the directory begins, in the file; null when only zip64 records tell */
  directory: number | null;
  /** where the archive's last byte lies, and one more: a tape's blocks are filled up with zeros */
  end: number;
}

/** Finds the end record in what has landed of the file's tail; null when all of the tail is there and it is not. */
async function findEnd(bytes: LandedBytes): Promise<End | null> {
  const from = Math.max(bytes.tail, bytes.size - LONGEST_END, 0);
  const tail = Buffer.allocUnsafe(bytes.size - from);
  await bytes.read(tail, from);
  for (let at = tail.length - 22; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== 0x06054b50) continue;
    const after = at + 22 + tail.readUInt16LE(at + 20);
    if (after > tail.length || tail.subarray(after).some((byte) => byte !== 0)) continue;
    const end = from + after;
    const size = tail.readUInt32LE(at + 12);
    const offset = tail.readUInt32LE(at + 16);
    // The locator of a zip64 record stands right before.
    if (!bytes.covers(Math.max(0, from + at - 20), bytes.size)) break;
    // Some write the true numbers into the end record as well, although zip64 records stand between it and the directory.
    const zip64 = at >= 20 && tail.readUInt32LE(at - 20) === 0x07064b50;
    if (zip64 || size === 0xffffffff || offset === 0xffffffff) return { base: 0, directory: null, end };
    const directory = from + at - size;
    return directory >= offset ? { base: directory - offset, directory, end } : { base: 0, directory: null, end };
  }
  if (from > Math.max(0, bytes.size - LONGEST_END)) throw new NotLanded('the end record has not landed');
  return null;
}

/** Reads the archive's directory. Pages keep the directory's order. */
export async function readDirectory(bytes: LandedBytes): Promise<ZipDirectory> {
  const noZip = 'it has no ZIP directory at its end. Pack the scans as a ZIP and send it again';
  if (bytes.size < 22) return { ok: false, code: 'NOT_A_ZIP', reason: noZip };
  const images: ZipEntry[] = [];
  const starts: number[] = [];
  let others = 0;
  let directoryAt: number;
  try {
    const end = await findEnd(bytes);
    if (!end) return { ok: false, code: 'NOT_A_ZIP', reason: noZip };
    const { base } = end;
    const reader = new Reader(bytes, end);
    // Undecoded, because a name like ../x.jpg would make the library refuse the whole archive.
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, end.end - base, {
      autoClose: false,
      lazyEntries: true,
      decodeStrings: false,
      // Sizes that cannot be true are that entry's fault, and readEntry finds them.
      validateEntrySizes: false,
    });
    if (zip.entryCount > MOST_ENTRIES) {
      return {
        ok: false,
        code: 'ZIP_REFUSED',
        reason: `it says that it holds ${zip.entryCount} files; 200,000 are the most. Split it and send the parts`,
      };
    }
    directoryAt = end.directory ?? bytes.size;
    for await (const entry of zip.eachEntry()) {
      const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
      const offset = base + entry.relativeOffsetOfLocalHeader;
      starts.push(offset);
      if (!isScanName(name)) {
        others += name.endsWith('/') ? 0 : 1;
        continue;
      }
      images.push({
        name: name.slice(-255),
        offset,
        end: 0,
        compressedSize: entry.compressedSize,
        size: entry.uncompressedSize,
        method: methodOf(entry),
        crc32: entry.crc32,
      });
    }
  } catch (error) {
    if (error instanceof NotLanded) return { ok: false, code: 'NOT_LANDED' };
    const said = error instanceof Error ? error.message : String(error);
    return { ok: false, code: 'ZIP_REFUSED', reason: `${said}. Pack the scans again and send the new file` };
  }
  if (images.length === 0) {
    const held = others === 1 ? 'one other file' : `${others} other files`;
    return {
      ok: false,
      code: 'ZIP_WITHOUT_IMAGES',
      reason: `it holds ${others ? `${held}, but ` : ''}no JPG, PNG, TIFF, WebP or PDF. Put the scans in it and send it again`,
    };
  }
  boundEntries(images, starts, directoryAt);
  return { ok: true, images, others };
}

function methodOf(entry: yauzl.Entry): number {
  // Unix mode in the upper half of the attributes; a symbolic link has type 0o12.
  const isLink = entry.versionMadeBy >>> 8 === 3 && entry.externalFileAttributes >>> 28 === 0o12;
  if (isLink) return LINK;
  if (entry.isEncrypted()) return ENCRYPTED;
  if (entry.uncompressedSize > SMALL_ENOUGH && entry.uncompressedSize > entry.compressedSize * MOST_RATIO) return BOMB;
  return entry.compressionMethod;
}

/** Says where each entry must end: where the next thing in the file begins. One that reaches beyond it overlaps. */
function boundEntries(images: ZipEntry[], starts: number[], directoryAt: number): void {
  const sorted = Float64Array.from(starts).sort();
  for (const image of images) {
    let low = 0;
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? 0) <= image.offset) low = middle + 1;
      else high = middle;
    }
    const shared = low > 1 && sorted[low - 2] === image.offset;
    image.end = Math.min(sorted[low] ?? directoryAt, directoryAt);
    if (shared || image.offset + 30 + image.compressedSize > image.end) image.method = OVERLAPPING;
  }
}

export type EntryBytes = { ok: true; bytes: Buffer } | { ok: false; reason: string };

async function readFully(file: Pick<BlobFile, 'read'>, length: number, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

const inflate = promisify(inflateRaw) as (data: Buffer, options: object) => Promise<Buffer>;

/** A page's bytes out of the upload; what is wrong with them is a reason, a failing disk throws. `method` −1 is a plain
 *  file that starts at `offset`. */
export async function readEntry(
  file: Pick<BlobFile, 'read'>,
  entry: Pick<ZipEntry, 'offset' | 'compressedSize' | 'size' | 'method'> & { crc32: number | null },
): Promise<EntryBytes> {
  const no = (reason: string): EntryBytes => ({ ok: false, reason });
  if (entry.method in REFUSED) return no(REFUSED[entry.method as keyof typeof REFUSED]);
  if (entry.size > LARGEST_ENTRY || entry.compressedSize > LARGEST_ENTRY) return no('the file is larger than 256 MB');
  if (entry.method === -1) {
    const bytes = await readFully(file, entry.size, entry.offset);
    return bytes.length === entry.size ? { ok: true, bytes } : no('the file ends early');
  }
  if (entry.method !== 0 && entry.method !== 8)
    return no(`the ZIP entry uses compression method ${entry.method}: use deflate`);
  const header = await readFully(file, 30, entry.offset);
  if (header.length < 30 || header.readUInt32LE(0) !== 0x04034b50)
    return no('the ZIP entry has no header where the directory says');
  if (header.readUInt16LE(8) !== entry.method)
    return no('the ZIP entry’s header and the directory disagree on its method');
  // With bit 3 the sizes follow the data; without it the header must say what the directory says.
  const said = header.readUInt32LE(18);
  if (!(header.readUInt16LE(6) & 8) && said !== 0xffffffff && said !== entry.compressedSize) {
    return no('the ZIP entry’s header and the directory disagree on its size');
  }
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const packed = await readFully(file, entry.compressedSize, start);
  if (packed.length < entry.compressedSize) return no('the ZIP entry ends early');
  let bytes = packed;
  if (entry.method === 8) {
    try {
      bytes = await inflate(packed, { maxOutputLength: Math.max(1, entry.size) });
    } catch {
      return no('the ZIP entry cannot be unpacked: it is damaged');
    }
  }
  if (bytes.length !== entry.size) return no('the ZIP entry’s size is not what the directory says');
  if (entry.crc32 !== null && crc32(bytes) !== entry.crc32)
    return no('the ZIP entry’s checksum is wrong: it is damaged');
  return { ok: true, bytes };
}
