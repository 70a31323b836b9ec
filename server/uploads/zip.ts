// ZIP archives as Sheaf meets them: the directory is read from the file's end, entries are read where they lie. Names
// are labels here, never paths. Whatever is odd about one entry is that page's reason, not the archive's end.
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import yauzl from 'yauzl';

export interface ZipEntry {
  name: string;
  /** of the local header */
  offset: number;
  compressedSize: number;
  size: number;
  method: number;
  crc32: number;
}

export type ZipDirectory =
  | { ok: true; images: ZipEntry[]; others: number }
  | { ok: false; code: 'NOT_A_ZIP' | 'ZIP_WITHOUT_IMAGES' | 'ZIP_REFUSED'; reason: string };

const IMAGE = /\.(jpe?g|png|tiff?|webp)$/i;
/** What Finder and Explorer leave beside the scans. */
const LITTER = /(^|\/)(__MACOSX\/|\._|\.DS_Store$|Thumbs\.db$)/;
/** Ids are batch number × 1,000,000 + page. */
export const MOST_PAGES = 1_000_000;
/** No scan of one page is larger; a bomb is. */
export const LARGEST_ENTRY = 256 * 2 ** 20;

const inflate = promisify(inflateRaw) as (data: Buffer, options: object) => Promise<Buffer>;

/** Reads the directory of the archive in `fd` (which stays open). Pages keep the directory's order. */
export async function readDirectory(fd: number, size: number): Promise<ZipDirectory> {
  const refused = (error: unknown): ZipDirectory => {
    const said = error instanceof Error ? error.message : String(error);
    return /end of central directory|too small/i.test(said)
      ? {
          ok: false,
          code: 'NOT_A_ZIP',
          reason: 'it has no ZIP directory at its end. Pack the scans as a ZIP and send it again',
        }
      : { ok: false, code: 'ZIP_REFUSED', reason: `${said}. Pack the scans again and send the new file` };
  };
  if (size < 22) return { ok: false, code: 'NOT_A_ZIP', reason: 'it is too short to be a ZIP. Pick the file again' };
  const images: ZipEntry[] = [];
  let others = 0;
  try {
    // Undecoded, because a name like ../x.jpg would make the library refuse the whole archive.
    const zip = await yauzl.fromFdPromise(fd, { autoClose: false, lazyEntries: true, decodeStrings: false });
    for await (const entry of zip.eachEntry()) {
      const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
      if (name.endsWith('/') || LITTER.test(name) || !IMAGE.test(name)) {
        others += name.endsWith('/') ? 0 : 1;
        continue;
      }
      if (images.length === MOST_PAGES) {
        return {
          ok: false,
          code: 'ZIP_REFUSED',
          reason: 'it holds more than 1,000,000 images. Split it and send the parts',
        };
      }
      images.push({
        name: name.slice(-255),
        offset: entry.relativeOffsetOfLocalHeader,
        compressedSize: entry.compressedSize,
        size: entry.uncompressedSize,
        method: entry.isEncrypted() ? ENCRYPTED : entry.compressionMethod,
        crc32: entry.crc32,
      });
    }
  } catch (error) {
    return refused(error);
  }
  if (images.length === 0) {
    const held = others === 1 ? 'one other file' : `${others} other files`;
    return {
      ok: false,
      code: 'ZIP_WITHOUT_IMAGES',
      reason: `it holds ${others ? `${held}, but ` : ''}no JPG, PNG, TIFF or WebP. Put the scans in it and send it again`,
    };
  }
  return { ok: true, images, others };
}
/** A method number no archive has, standing for an encrypted entry. */
const ENCRYPTED = 0xffff;

export type EntryBytes = { ok: true; bytes: Buffer } | { ok: false; reason: string };

async function readFully(file: FileHandle, length: number, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** A page's bytes out of the upload; what is wrong with them is a reason, a failing disk throws. `method` −1 is a plain
 *  file that starts at `offset`. */
export async function readEntry(
  file: FileHandle,
  entry: Omit<ZipEntry, 'crc32'> & { crc32: number | null },
): Promise<EntryBytes> {
  const no = (reason: string): EntryBytes => ({ ok: false, reason });
  if (entry.size > LARGEST_ENTRY || entry.compressedSize > LARGEST_ENTRY) return no('the file is larger than 256 MB');
  if (entry.method === -1) {
    const bytes = await readFully(file, entry.size, entry.offset);
    return bytes.length === entry.size ? { ok: true, bytes } : no('the file ends early');
  }
  if (entry.method === ENCRYPTED) return no('the ZIP entry is encrypted: pack it without a password');
  if (entry.method !== 0 && entry.method !== 8)
    return no(`the ZIP entry uses compression method ${entry.method}: use deflate`);
  const header = await readFully(file, 30, entry.offset);
  if (header.length < 30 || header.readUInt32LE(0) !== 0x04034b50)
    return no('the ZIP entry has no header where the directory says');
  if (header.readUInt16LE(8) !== entry.method)
    return no('the ZIP entry’s header and the directory disagree on its method');
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
