// A disk that keeps what was synced and may forget the rest when the power goes, and that can be full. It holds the
// uploads' files for the fast tier; what the server does with it is the server's own code.
import { createHash } from 'node:crypto';
import type { BlobFile, Blobs } from '../../server/uploads/blobs.ts';
import type { RangeWriter } from '../../server/uploads/writing.ts';
import type { Random } from '../../shared/corpus/random.ts';

interface Stored {
  bytes: Buffer;
  /** what stood there before each write that has not been synced */
  unsynced: { position: number; before: Buffer }[];
}

export interface SimDisk extends Blobs {
  full: boolean;
  /** Takes back some of what was written since the last sync, a part of the newest write perhaps. */
  powerCut(random: Random): void;
  bytesOf(uploadId: string): Buffer | undefined;
}

/** Bytes in one write: small, so that a body that breaks off has been written in part. */
const BLOCK = 8192;
const PLENTY = 2 ** 40;

const noSpace = (): Error => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
const noEntry = (id: string): Error => Object.assign(new Error(`ENOENT: ${id}`), { code: 'ENOENT' });

/** @param honest false: it says that it has synced, and has not */
export function createDisk(honest = true): SimDisk {
  const files = new Map<string, Stored>();
  const need = (id: string): Stored => {
    const file = files.get(id);
    if (!file) throw noEntry(id);
    return file;
  };

  const writer = (file: Stored, start: number, from: number): RangeWriter => {
    let position = from;
    let gathered: Buffer[] = [];
    let count = 0;
    const write = async (): Promise<void> => {
      const bytes = Buffer.concat(gathered);
      [gathered, count] = [[], 0];
      if (bytes.length === 0) return;
      if (disk.full) throw noSpace();
      file.unsynced.push({ position, before: Buffer.from(file.bytes.subarray(position, position + bytes.length)) });
      bytes.copy(file.bytes, position);
      position += bytes.length;
    };
    return {
      get written() {
        return position - from;
      },
      push(piece) {
        gathered.push(Buffer.from(piece));
        count += piece.length;
        return count < BLOCK ? undefined : write();
      },
      flush: write,
      idle: async () => undefined,
      sha256: async () => createHash('sha256').update(file.bytes.subarray(start, position)).digest('hex'),
      end: () => undefined,
    };
  };
  const open = (file: Stored): BlobFile => ({
    async read(target, offset, length, position) {
      const bytes = file.bytes.subarray(position, position + length);
      target.set(bytes, offset);
      return { bytesRead: bytes.length };
    },
    write: (start, position) => writer(file, start, position),
    sha256: async (start, end) => createHash('sha256').update(file.bytes.subarray(start, end)).digest('hex'),
    async datasync() {
      if (disk.full && file.unsynced.length > 0) throw noSpace();
      if (honest) file.unsynced = [];
    },
    close: async () => undefined,
  });

  const disk: SimDisk = {
    full: false,
    powerCut(random) {
      for (const file of files.values()) {
        // The newest first, so that what lay under several writes comes back in the end.
        for (const { position, before } of file.unsynced.reverse()) {
          const kept = random.chance(0.5) ? 0 : random.int(before.length + 1);
          before.copy(file.bytes, position + kept, kept);
        }
        file.unsynced = [];
      }
    },
    bytesOf: (id) => files.get(id)?.bytes,
    path: (id) => id,
    async create(id, size) {
      files.set(id, { bytes: Buffer.alloc(size), unsynced: [] });
    },
    open: async (id) => open(need(id)),
    size: async (id) => files.get(id)?.bytes.length ?? null,
    age: async () => 0,
    async remove(id) {
      files.delete(id);
    },
    list: async () => [...files.keys()],
    free: async () => (disk.full ? 0 : PLENTY),
  };
  return disk;
}
