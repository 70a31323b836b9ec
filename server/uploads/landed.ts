// The part of an upload's file that may be read: what the ledger says is verified, and nothing beside it.
import type { Database, UploadsTable } from '../adapters/database.ts';
import type { BlobFile } from './blobs.ts';

/** Bytes that are not all there yet. `endOf` tells how far reading may go from a position. */
export interface LandedBytes {
  readonly size: number;
  /** end (exclusive) of the readable range around `position`; `position` itself when nothing is readable there */
  endOf(position: number): number;
  covers(start: number, end: number): boolean;
  /** where the readable range begins that reaches the file's end; the size when the end has not landed */
  readonly tail: number;
  /** Fills `target` from `position`. @throws NotLanded */
  read(target: Buffer, position: number): Promise<void>;
}

export class NotLanded extends Error {
  override readonly name = 'NotLanded';
}

/** Chunk ranges (inclusive) as byte ranges of the file, ascending and apart. */
export function byteRanges(
  held: readonly (readonly [number, number])[],
  chunkSize: number,
  size: number,
): [number, number][] {
  return held.map(([from, to]) => [from * chunkSize, Math.min(size, (to + 1) * chunkSize)]);
}

export function landedBytes(
  file: Pick<BlobFile, 'read'>,
  size: number,
  ranges: readonly (readonly [number, number])[],
): LandedBytes {
  const endOf = (position: number): number => {
    // The last range that starts at or before the position.
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.[0] ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return Math.max(position, ranges[low - 1]?.[1] ?? 0);
  };
  const covers = (start: number, end: number): boolean => end <= start || endOf(start) >= end;
  const last = ranges.at(-1);
  return {
    size,
    tail: last && last[1] >= size ? last[0] : size,
    endOf,
    covers,
    async read(target, position) {
      if (!covers(position, position + target.length)) {
        throw new NotLanded(`bytes ${position} to ${position + target.length} have not landed`);
      }
      for (let done = 0; done < target.length; ) {
        const { bytesRead } = await file.read(target, done, target.length - done, position + done);
        if (bytesRead === 0)
          throw new Error(`the upload's file ends at ${position + done}, before the ledger says it does`);
        done += bytesRead;
      }
    },
  };
}

/** A file that is all there. */
export const wholeFile = (file: Pick<BlobFile, 'read'>, size: number): LandedBytes =>
  landedBytes(file, size, [[0, size]]);

/** The verified chunks of an upload as inclusive index ranges. */
export async function heldRanges(db: Database, upload: Pick<UploadsTable, 'upload_id'>): Promise<[number, number][]> {
  const chunks = await db.sql
    .selectFrom('chunks')
    .select('chunk_index')
    .where('upload_id', '=', upload.upload_id)
    .where('state', '=', 'verified')
    .orderBy('chunk_index')
    .execute();
  const held: [number, number][] = [];
  for (const { chunk_index } of chunks) {
    const last = held.at(-1);
    if (last && last[1] === chunk_index - 1) last[1] = chunk_index;
    else held.push([chunk_index, chunk_index]);
  }
  return held;
}
