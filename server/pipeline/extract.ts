// Extracting: the upload's directory becomes the batch's pages. Nothing is unpacked: a page is where its bytes lie.
import type { PagesTable, UploadsTable } from '../adapters/database.ts';
import { move } from '../batches/life.ts';
import { beginStage, endStage, tell } from '../progress/log.ts';
import type { Blobs } from '../uploads/blobs.ts';
import { MOST_PAGES, readDirectory, type ZipDirectory } from '../uploads/zip.ts';
import type { Step } from './steps.ts';

type PagePlace = Pick<PagesTable, 'name' | 'file_offset' | 'compressed_size' | 'size' | 'method' | 'crc32'>;

/** The pages of an upload in file order; for `images`, the files one after the other. */
async function pagesOf(
  upload: UploadsTable,
  blobs: Blobs,
): Promise<{ ok: true; pages: PagePlace[]; others: number } | Exclude<ZipDirectory, { ok: true }>> {
  if (upload.files) {
    const files = JSON.parse(upload.files) as { name: string; size: number }[];
    let offset = 0;
    const pages = files.map(({ name, size }) => {
      const place = { name, file_offset: offset, compressed_size: size, size, method: -1, crc32: null };
      offset += size;
      return place;
    });
    return { ok: true, pages, others: 0 };
  }
  const file = await blobs.open(upload.upload_id, 'read');
  try {
    const directory = await readDirectory(file.fd, upload.size);
    if (!directory.ok) return directory;
    const pages = directory.images.map((e) => ({
      name: e.name,
      file_offset: e.offset,
      compressed_size: e.compressedSize,
      size: e.size,
      method: e.method,
      crc32: e.crc32,
    }));
    return { ok: true, pages, others: directory.others };
  } finally {
    await file.close();
  }
}

/** Rows a statement: under the limit of bound values of both databases. */
const ROWS_AT_ONCE = 500;

export const extract: Step = async (batch, { db, blobs, announce }) => {
  const { batch_id } = batch;
  const upload = await db.sql
    .selectFrom('uploads')
    .selectAll()
    .where('batch_id', '=', batch_id)
    .executeTakeFirstOrThrow();
  const what = upload.upload_type === 'images' ? 'images' : 'ZIP';
  announce(
    await db.write(async (tx) => {
      await move(tx, batch_id, 'validating');
      const at = Date.now();
      const begun = await beginStage(db, tx, batch_id, 'extracting', at, batch.uploaded_at);
      return begun
        ? tell(tx, batch_id, { stage: 'extracting', message: `Reading the ${what}`, percentage: 0 }, at)
        : [];
    }),
  );
  const found = await pagesOf(upload, blobs);
  if (!found.ok) return { failed: `${upload.name}: ${found.reason}` };
  const pages: PagesTable[] = found.pages.map((place, page_index) => ({
    ...place,
    sheet_id: batch.batch_no * MOST_PAGES + page_index,
    batch_id,
    page_index,
    state: 'waiting',
    kind: null,
    attempts: 0,
    started_at: null,
    finished_at: null,
    duration_ms: null,
    error_message: null,
    group_index: null,
    task_id: null,
  }));
  for (let i = 0; i < pages.length; i += ROWS_AT_ONCE) {
    await db.write((tx) => db.insertNew(tx, 'pages', pages.slice(i, i + ROWS_AT_ONCE)));
  }
  announce(
    await db.write(async (tx) => {
      const at = Date.now();
      if (!(await endStage(tx, batch_id, 'extracting', at))) return [];
      await tx.updateTable('batches').set({ total_pages: pages.length }).where('batch_id', '=', batch_id).execute();
      await move(tx, batch_id, 'processing');
      const more = found.others ? `, ${found.others} other files left alone` : '';
      const told = await tell(
        tx,
        batch_id,
        { stage: 'extracting', message: `Extracted ${pages.length} files from ${what}${more}`, percentage: 100 },
        at,
      );
      // Pages are read once, and that one reading tells covers from sheets: both stages begin here and run side by side.
      await beginStage(db, tx, batch_id, 'organizing_qr', at, at);
      told.push(
        ...(await tell(
          tx,
          batch_id,
          { stage: 'organizing_qr', message: 'Looking for cover sheets', percentage: 0 },
          at,
        )),
      );
      await beginStage(db, tx, batch_id, 'processing_sheets', at, at);
      told.push(
        ...(await tell(
          tx,
          batch_id,
          { stage: 'processing_sheets', message: `Dispatched ${pages.length} pages to workers`, percentage: 0 },
          at,
        )),
      );
      return told;
    }),
  );
  return 'done';
};
