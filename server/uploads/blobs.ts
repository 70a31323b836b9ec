// Where uploaded bytes lie: one file an upload in the blob folder, preallocated, never copied and never renamed.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { hashRange, type RangeWriter, writeRange } from './writing.ts';

/** An upload's file, open. Positions are bytes of the file. */
export interface BlobFile {
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** Writes from `position` on; the hash is that of the range from `start` on. */
  write(start: number, position: number): RangeWriter;
  /** SHA-256 of what lies from `start` to `end`, 64 hex digits. Rejects when the file ends before. */
  sha256(start: number, end: number): Promise<string>;
  /** resolves when the disk has all that was written */
  datasync(): Promise<void>;
  close(): Promise<void>;
}

export interface Blobs {
  path(uploadId: string): string;
  /** Makes the file at its full length, its directory entry synced. */
  create(uploadId: string, size: number): Promise<void>;
  open(uploadId: string, mode: 'read' | 'write'): Promise<BlobFile>;
  size(uploadId: string): Promise<number | null>;
  /** milliseconds since it was last written to */
  age(uploadId: string): Promise<number>;
  remove(uploadId: string): Promise<void>;
  list(): Promise<string[]>;
  /** bytes */
  free(): Promise<number>;
}

/** A second way to a file, past the page cache; null where the file system has none. */
async function openDirect(file: string): Promise<FileHandle | null> {
  return constants.O_DIRECT === undefined
    ? null
    : open(file, constants.O_WRONLY | constants.O_DIRECT).catch(() => null);
}

/** Blobs in a folder of this machine, or of a shared file system. */
export async function openBlobs(folder: string): Promise<Blobs> {
  await mkdir(folder, { recursive: true });
  const at = (uploadId: string): string => {
    if (!/^[0-9a-f-]{36}$/.test(uploadId)) throw new Error(`not an upload id: ${uploadId}`);
    return path.join(folder, uploadId);
  };
  const syncFolder = async (): Promise<void> => {
    const handle = await open(folder, constants.O_RDONLY);
    await handle.sync().finally(() => handle.close());
  };
  return {
    path: at,
    async create(uploadId, size) {
      const file = await open(at(uploadId), 'w');
      try {
        await file.truncate(size);
        await file.sync();
      } finally {
        await file.close();
      }
      await syncFolder();
    },
    async open(uploadId, mode) {
      const file = await open(at(uploadId), mode === 'read' ? 'r' : 'r+');
      const direct = mode === 'write' ? await openDirect(at(uploadId)) : null;
      const written = { fd: file.fd, direct: direct?.fd ?? null };
      return {
        read: (target, offset, length, position) => file.read(target, offset, length, position),
        write: (start, position) => writeRange(written, start, position),
        sha256: (start, end) => hashRange(file.fd, start, end),
        datasync: () => file.datasync(),
        async close() {
          try {
            await direct?.close();
          } finally {
            await file.close();
          }
        },
      };
    },
    async size(uploadId) {
      try {
        return (await stat(at(uploadId))).size;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    age: async (uploadId) => Date.now() - (await stat(at(uploadId))).mtimeMs,
    remove: (uploadId) => rm(at(uploadId), { force: true }),
    list: async () => (await readdir(folder)).filter((name) => /^[0-9a-f-]{36}$/.test(name)),
    async free() {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
  };
}
