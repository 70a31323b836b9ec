// Which pages an upload holds, and which of them may be read. The directory is read as soon as it has landed, a page is
// released as soon as all of its bytes have: reading does not wait for the end of the upload.

import type { BatchesTable, PagesTable, UploadsTable } from '../adapters/database.ts';
import { forgetPages } from '../batches/bin.ts';
import type { BlobFile, Blobs } from '../uploads/blobs.ts';
import { byteRanges, heldRanges, type LandedBytes, landedBytes } from '../uploads/landed.ts';
import { MOST_PAGES, readDirectory, readEntry, type ZipDirectory } from '../uploads/zip.ts';
import type { StepDeps } from './steps.ts';

type Place = Pick<
  PagesTable,
  'name' | 'file_offset' | 'file_end' | 'compressed_size' | 'size' | 'method' | 'crc32' | 'part'
>;
export type Directory = { ok: true; pages: Place[]; others: number } | Exclude<ZipDirectory, { ok: true }>;

/** The pages of an upload in file order, as far as its directory has landed. */
async function directoryOf(upload: UploadsTable, bytes: LandedBytes): Promise<Directory> {
  if (upload.files) {
    let end = 0;
    const pages = (JSON.parse(upload.files) as { name: string; size: number }[]).map(({ name, size }) => {
      const start = end;
      end += size;
      return {
        name,
        file_offset: start,
        file_end: end,
        compressed_size: size,
        size,
        method: -1,
        crc32: null,
        part: null,
      };
    });
    return { ok: true, pages, others: 0 };
  }
  const directory = await readDirectory(bytes);
  if (!directory.ok) return directory;
  const pages = directory.images.map((entry) => ({
    name: entry.name,
    file_offset: entry.offset,
    file_end: entry.end,
    compressed_size: entry.compressedSize,
    size: entry.size,
    method: entry.method,
    crc32: entry.crc32,
    part: null,
  }));
  return { ok: true, pages, others: directory.others };
}

/** Files that may hold several pages. In a ZIP a TIFF is one scan: to look into each of thousands would take longer than
 *  to read them, and one that does hold several is refused by name when it is read. */
const DOCUMENT = { zip: /\.pdf$/i, images: /\.(pdf|tiff?)$/i } as const;

/** The same pages with each file of several pages as that many rows; null while such a file has not landed. */
async function eachPage(
  places: readonly Place[],
  upload: UploadsTable,
  bytes: LandedBytes,
  file: Pick<BlobFile, 'read'>,
  { countPages }: StepDeps,
): Promise<Place[] | null> {
  const document = upload.files ? DOCUMENT.images : DOCUMENT.zip;
  const isDocument = ({ name }: Place): boolean => document.test(name);
  if (!places.some(isDocument)) return [...places];
  if (places.some((place) => isDocument(place) && !bytes.covers(place.file_offset, place.file_end))) return null;
  const pages: Place[] = [];
  for (const place of places) {
    const entry = isDocument(place)
      ? await readEntry(file, { ...place, offset: place.file_offset, compressedSize: place.compressed_size })
      : null;
    // what cannot be opened is one page, and says why when it is read
    const counted = entry?.ok ? await countPages(entry.bytes) : null;
    const count = counted?.ok ? counted.pages : 1;
    if (count === 1) pages.push(place);
    else for (let part = 0; part < count; part++) pages.push({ ...place, name: `${place.name}#${part + 1}`, part });
  }
  return pages;
}

/** Runs `work` over what has landed of an upload; all of it once it is sealed. */
export async function overLanded<T>(
  { db, blobs }: { db: StepDeps['db']; blobs: Blobs },
  upload: UploadsTable,
  work: (
    bytes: LandedBytes,
    ranges: readonly (readonly [number, number])[],
    file: Pick<BlobFile, 'read'>,
  ) => Promise<T>,
): Promise<T> {
  const held = await heldRanges(db, upload);
  const ranges = byteRanges(held, upload.chunk_size, upload.size);
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    return await work(landedBytes(file, upload.size, ranges), ranges, file);
  } finally {
    await file.close();
  }
}

/** Rows a statement: under the limit of bound values of both databases. */
const ROWS_AT_ONCE = 500;

/** Makes the rows of the pages. A directory that is not what it was (a damaged chunk was sent again) starts anew. */
export async function keepDirectory(batch: BatchesTable, places: readonly Place[], { db }: StepDeps): Promise<void> {
  const { batch_id } = batch;
  if (batch.directory_known && (await isSame(batch_id, places, db.sql))) return;
  const pages: PagesTable[] = places.map((place, page_index) => ({
    ...place,
    sheet_id: batch.batch_no * MOST_PAGES + page_index,
    batch_id,
    page_index,
    state: 'absent',
    kind: null,
    attempts: 0,
    started_at: null,
    finished_at: null,
    duration_ms: null,
    error_message: null,
    group_index: null,
    task_id: null,
  }));
  await db.write(async (tx) => {
    if (batch.directory_known) await forgetPages(tx, batch_id);
    for (let i = 0; i < pages.length; i += ROWS_AT_ONCE)
      await db.insertNew(tx, 'pages', pages.slice(i, i + ROWS_AT_ONCE));
    await tx
      .updateTable('batches')
      .set({ directory_known: 1, total_pages: pages.length })
      .where('batch_id', '=', batch_id)
      .execute();
  });
}

async function isSame(batchId: string, places: readonly Place[], sql: StepDeps['db']['sql']): Promise<boolean> {
  const columns = ['name', 'file_offset', 'file_end', 'compressed_size', 'size', 'method', 'crc32', 'part'] as const;
  const rows = await sql
    .selectFrom('pages')
    .select(columns)
    .where('batch_id', '=', batchId)
    .orderBy('page_index')
    .execute();
  return (
    rows.length === places.length &&
    rows.every((row, i) => columns.every((column) => row[column] === places[i]?.[column]))
  );
}

/** Lets pages be read whose bytes lie in one of the landed ranges; returns how many were released. */
async function release(
  batchId: string,
  ranges: readonly (readonly [number, number])[],
  { db }: StepDeps,
): Promise<number> {
  const absent = await db.sql
    .selectFrom('pages')
    .select('sheet_id')
    .where('batch_id', '=', batchId)
    .where('state', '=', 'absent')
    .limit(1)
    .execute();
  if (absent.length === 0) return 0;
  return db.write(async (tx) => {
    let released = 0n;
    for (const [start, end] of ranges) {
      const done = await tx
        .updateTable('pages')
        .set({ state: 'waiting' })
        .where('batch_id', '=', batchId)
        .where('state', '=', 'absent')
        .where('file_offset', '>=', start)
        .where('file_end', '<=', end)
        .executeTakeFirst();
      released += done.numUpdatedRows;
    }
    return Number(released);
  });
}

/** Does what can be done with the bytes that are there: learns the directory, releases pages. */
export async function learnAndRelease(
  batch: BatchesTable,
  upload: UploadsTable,
  deps: StepDeps,
): Promise<Directory | null> {
  return overLanded(deps, upload, async (bytes, ranges, file) => {
    let directory: Directory | null = null;
    if (!batch.directory_known || upload.state === 'sealed') {
      directory = await directoryOf(upload, bytes);
      if (!directory.ok) return directory;
      const pages = await eachPage(directory.pages, upload, bytes, file, deps);
      if (!pages) return { ok: false, code: 'NOT_LANDED' };
      if (pages.length > MOST_PAGES) {
        const reason = `it holds ${pages.length} pages; 1,000,000 are the most. Split it and send the parts`;
        return { ok: false, code: 'ZIP_REFUSED', reason };
      }
      directory = { ...directory, pages };
      await keepDirectory(batch, pages, deps);
    }
    await release(batch.batch_id, ranges, deps);
    return directory;
  });
}
