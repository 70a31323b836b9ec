// Extracting: the upload's directory becomes the batch's pages. Nothing is unpacked: a page is where its bytes lie. Most
// of it is done by now when the directory landed early; here it is done over the whole file, and told.
import { move } from '../batches/life.ts';
import { beginStage, endStage, tell } from '../progress/log.ts';
import { learnAndRelease } from './pages.ts';
import type { Step } from './steps.ts';

export const extract: Step = async (batch, deps) => {
  const { db, announce } = deps;
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
  const directory = await learnAndRelease(batch, upload, deps);
  if (!directory?.ok)
    return {
      failed: `${upload.name}: ${directory && directory.code !== 'NOT_LANDED' ? directory.reason : 'its bytes are gone'}`,
    };
  const { pages, others } = directory;
  announce(
    await db.write(async (tx) => {
      const at = Date.now();
      if (!(await endStage(tx, batch_id, 'extracting', at))) return [];
      await move(tx, batch_id, 'processing');
      const more = others ? `, ${others} other files left alone` : '';
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
      const { done_pages } = await tx
        .selectFrom('batches')
        .select('done_pages')
        .where('batch_id', '=', batch_id)
        .executeTakeFirstOrThrow();
      const early = done_pages > 0 ? `, ${done_pages} read while they arrived` : '';
      const message = `Dispatched ${pages.length} pages to workers${early}`;
      told.push(...(await tell(tx, batch_id, { stage: 'processing_sheets', message, percentage: 0 }, at)));
      return told;
    }),
  );
  return 'done';
};
