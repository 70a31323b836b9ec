// A ZIP archive on the device: its directory, and one entry's bytes, read from a Blob without loading the rest. The
// server's reader (server/uploads/zip.ts) is stricter and has the last word; this one must list the same pages in the
// same order. Structures as in PKWARE's APPNOTE 4.3.
import { isScanName } from '../../shared/scan-names.ts';

export interface BlobEntry {
  name: string;
  /** of its local header, bytes */
  offset: number;
  packed: number;
  size: number;
  /** 0 stored, 8 deflated */
  method: number;
  crc32: number;
  encrypted: boolean;
}

/** 22 bytes of end record, a comment of at most 65,535, and before them 20 bytes that lead to zip64 records. */
const LONGEST_END = 20 + 22 + 0xffff;
const MOST_ENTRIES = 200_000;

const view = async (blob: Blob, from: number, to: number): Promise<DataView> =>
  new DataView(await blob.slice(from, to).arrayBuffer());

/** Where the directory begins, and how many entries and bytes it has. */
async function findDirectory(blob: Blob): Promise<{ at: number; length: number; count: number; base: number } | null> {
  const from = Math.max(0, blob.size - LONGEST_END);
  const tail = await view(blob, from, blob.size);
  for (let at = tail.byteLength - 22; at >= 0; at--) {
    if (tail.getUint32(at, true) !== 0x06054b50) continue;
    if (at + 22 + tail.getUint16(at + 20, true) > tail.byteLength) continue;
    const count = tail.getUint16(at + 10, true);
    const length = tail.getUint32(at + 12, true);
    const offset = tail.getUint32(at + 16, true);
    const zip64 = at >= 20 && tail.getUint32(at - 20, true) === 0x07064b50;
    if (!zip64) return { at: from + at - length, length, count, base: from + at - length - offset };
    const end = await view(blob, Number(tail.getBigUint64(at - 12, true)), from + at);
    if (end.byteLength < 56 || end.getUint32(0, true) !== 0x06064b50) return null;
    return {
      count: Number(end.getBigUint64(32, true)),
      length: Number(end.getBigUint64(40, true)),
      at: Number(end.getBigUint64(48, true)),
      base: 0,
    };
  }
  return null;
}

/** The scans in it, in the directory's order; null when it is no archive that can be read here. */
export async function readZipEntries(blob: Blob): Promise<BlobEntry[] | null> {
  const found = await findDirectory(blob);
  if (!found || found.at < 0 || found.count > MOST_ENTRIES) return null;
  const directory = await view(blob, found.at, found.at + found.length);
  const bytes = new Uint8Array(directory.buffer);
  const utf8 = new TextDecoder();
  // Names without the flag for UTF-8 are code page 437; which letters they show matters to nobody here.
  const latin = new TextDecoder('latin1');
  const entries: BlobEntry[] = [];
  for (let at = 0; at + 46 <= bytes.length && directory.getUint32(at, true) === 0x02014b50; ) {
    const flags = directory.getUint16(at + 8, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => directory.getUint16(at + o, true)) as [
      number,
      number,
      number,
    ];
    const rawName = bytes.subarray(at + 46, at + 46 + nameLength);
    const entry = {
      name: (flags & 0x800 ? utf8 : latin).decode(rawName),
      offset: directory.getUint32(at + 42, true),
      packed: directory.getUint32(at + 20, true),
      size: directory.getUint32(at + 24, true),
      method: directory.getUint16(at + 10, true),
      crc32: directory.getUint32(at + 16, true),
      encrypted: (flags & 1) === 1,
    };
    widen(entry, directory, at + 46 + nameLength, extraLength);
    entry.offset += found.base;
    if (isScanName(entry.name)) entries.push(entry);
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}

/** Numbers that do not fit 32 bits stand in the extra field 1, in this order (APPNOTE 4.5.3). */
function widen(entry: BlobEntry, directory: DataView, from: number, length: number): void {
  for (let at = from; at + 4 <= from + length; at += 4 + directory.getUint16(at + 2, true)) {
    if (directory.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    for (const field of ['size', 'packed', 'offset'] as const) {
      if (entry[field] !== 0xffffffff) continue;
      entry[field] = Number(directory.getBigUint64(next, true));
      next += 8;
    }
  }
}

/** The file in an entry; throws when it cannot be unpacked. */
export async function readEntry(blob: Blob, entry: BlobEntry): Promise<Blob> {
  if (entry.encrypted || (entry.method !== 0 && entry.method !== 8))
    throw new Error('packed in a way that cannot be read');
  const header = await view(blob, entry.offset, entry.offset + 30);
  if (header.byteLength < 30 || header.getUint32(0, true) !== 0x04034b50)
    throw new Error('no header where it should be');
  const start = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = blob.slice(start, start + entry.packed);
  if (entry.method === 0) return packed;
  return new Response(packed.stream().pipeThrough(new DecompressionStream('deflate-raw'))).blob();
}
