// The scans behind a batch's pages, as they were sent: read from where their bytes lie in the upload.
import type { GrayImage } from '../../shared/omr/image.ts';
import type { BatchesTable, Database, PagesTable } from '../adapters/database.ts';
import type { Blobs } from '../uploads/blobs.ts';
import { type EntryBytes, readEntry } from '../uploads/zip.ts';

type Refused = { ok: false; reason: string };

/** What is made of an image file's bytes. @param page of a file that holds several, from 0 */
export interface Images {
  /** as browsers show it; with a width in pixels a small JPEG, and how large the raster is that pages are read on */
  showable: (
    bytes: Buffer,
    page?: number,
    width?: number,
  ) => Promise<{ ok: true; type: string; bytes: Buffer; raster: { width: number; height: number } | null } | Refused>;
  /** the raster that a page is read on */
  decodeGray: (bytes: Buffer, page?: number) => Promise<{ ok: true; image: GrayImage } | Refused>;
  encodeJpeg: (image: GrayImage, quality: number) => Promise<Buffer>;
}

export interface Scans {
  bytes(page: PagesTable): Promise<EntryBytes>;
  close(): Promise<void>;
}

export async function openScans(
  { db, blobs }: { db: Database; blobs: Blobs },
  batch: Pick<BatchesTable, 'batch_id'>,
): Promise<Scans> {
  const upload = await db.sql
    .selectFrom('uploads')
    .select('upload_id')
    .where('batch_id', '=', batch.batch_id)
    .executeTakeFirstOrThrow();
  const file = await blobs.open(upload.upload_id, 'read');
  return {
    bytes: (page) => readEntry(file, { ...page, offset: page.file_offset, compressedSize: page.compressed_size }),
    close: () => file.close(),
  };
}
