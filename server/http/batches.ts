// What the office asks for: lists, one batch, its groups and sheets, images, exports; the bin.
import { once } from 'node:events';
import type { Request } from 'express';
import * as v from 'valibot';
import { BatchQuery, ReprocessForm, SettleForm, SheetQuery } from '../../shared/protocol/batch.ts';
import { SnippetQuery } from '../../shared/protocol/snippet.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import type { RouteKey } from '../auth/access.ts';
import type { User } from '../auth/sessions.ts';
import { binBatch, purgeBatch, restoreBatch } from '../batches/bin.ts';
import { cancelBatch, pauseBatch, reprocessBatch, resumeBatch } from '../batches/control.ts';
import { hasEnded } from '../batches/life.ts';
import {
  batchDetail,
  findPage,
  findVisible,
  listBatches,
  listGroups,
  listSheets,
  sheetDetail,
} from '../batches/queries.ts';
import { type Images, openScans } from '../batches/scans.ts';
import { settleGroup } from '../batches/settle.ts';
import { cutSnippets } from '../batches/snippets.ts';
import { writeExport } from '../exports/csv.ts';
import { rescoreAsked } from '../keys/rescore.ts';
import { refuse } from '../problem.ts';
import type { Announce } from '../progress/announce.ts';
import { iso, type Logged } from '../progress/log.ts';
import { snapshot } from '../progress/snapshot.ts';
import { templateStore } from '../templates.ts';
import { createTurns } from '../turns.ts';
import type { Blobs } from '../uploads/blobs.ts';
import { sendPacked } from './packed.ts';
import { parse, type Routes } from './routes.ts';

const ExportQuery = v.object({ format: v.optional(v.picklist(['wide', 'long'], 'use wide or long'), 'wide') });
const ImageQuery = v.object({
  /** pixels: a small JPEG instead of the scan itself */
  width: v.optional(
    v.pipe(v.string(), v.regex(/^\d{2,4}$/, 'a width in pixels'), v.transform(Number), v.maxValue(1600)),
  ),
});
const DeleteQuery = v.object({ purge: v.optional(v.picklist(['true', 'false'], 'use true or false'), 'false') });

/** Answers with snippets that are cut at the same time by this process: one decodes while another cuts, 8 MB a page each. */
const CUTTERS = 2;

export interface BatchRouteDeps {
  db: Database;
  blobs: Blobs;
  images: Images;
  announce: Announce;
  wake: (batchId: string) => void;
  /** takes the copy of a purged batch's log away */
  forget: (batchId: string) => void;
  /** tells who watches the list that a batch went into the bin, came back or is gone */
  touch: (batchId: string) => void;
}

export function batchRoutes(
  routes: Routes,
  { db, blobs, images, announce, wake, forget, touch }: BatchRouteDeps,
): void {
  const cutting = { db, blobs, images, template: templateStore(db) };
  const cutters = createTurns(CUTTERS);

  routes.on('GET /api/batches', async (req, res, { user }) => {
    res.json(await listBatches(db, user, parse(BatchQuery, req.query, 'query')));
  });

  routes.on('GET /api/batches/:batch_id/status', async (req, res, { user }) => {
    res.json(await batchDetail(db, await findVisible(db, user, String(req.params.batch_id))));
  });

  routes.on('GET /api/batches/:batch_id/progress', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const detail = await batchDetail(db, batch);
    const items = await snapshot(db, batch.batch_id);
    const now = Date.now();
    const end = batch.processing_completed_at ?? now;
    const seconds = (from: number) => Math.max(0, Math.round((end - from) / 100) / 10);
    const stage = detail.stages.find((s) => s.stage === detail.stage);
    res.set('Cache-Control', 'no-store').json({
      batch_id: batch.batch_id,
      status: batch.status,
      stage: batch.stage,
      message: batch.message,
      progress_percentage: batch.progress_percentage,
      sheets_total: detail.total_sheets,
      sheets_total_final: batch.uploaded_at !== null && batch.total_pages > 0 && batch.done_pages >= batch.total_pages,
      sheets_processed: detail.processed_sheets,
      failed_sheets: batch.failed_sheets,
      elapsed_seconds: seconds(batch.first_byte_at ?? batch.created_at),
      stage_elapsed_seconds: stage ? seconds(Date.parse(stage.started_at)) : 0,
      timestamp: iso(now),
      items,
      last_event_id: String(batch.event_seq),
    });
  });

  routes.on('GET /api/batches/:batch_id/groups', async (req, res, { user }) => {
    res.json({ items: await listGroups(db, await findVisible(db, user, String(req.params.batch_id))) });
  });

  routes.on('POST /api/batches/:batch_id/groups/:group_id/settle', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    await settleGroup(db, user, batch, String(req.params.group_id), parse(SettleForm, req.body ?? {}, 'settle form'));
    // Asked for in the same transaction: if this process ends here, a worker does it.
    await rescoreAsked(db, [batch.batch_id]);
    touch(batch.batch_id);
    res.json({ items: await listGroups(db, batch) });
  });

  routes.on('GET /api/batches/:batch_id/sheets', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    res.json(await listSheets(db, batch, parse(SheetQuery, req.query, 'query')));
  });

  routes.on('GET /api/batches/:batch_id/sheets/:sheet_id', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    res.json(await sheetDetail(db, batch, String(req.params.sheet_id)));
  });

  routes.on('GET /api/batches/:batch_id/sheets/:sheet_id/image', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const page = await findPage(db, batch, String(req.params.sheet_id));
    const { width } = parse(ImageQuery, req.query, 'query');
    const scans = await openScans({ db, blobs }, batch);
    try {
      const entry = await scans.bytes(page);
      if (!entry.ok) return refuse('IMAGE_REFUSED', `${page.name}: ${entry.reason}.`);
      const shown = await images.showable(entry.bytes, page.part ?? undefined, width);
      if (!shown.ok) return refuse('IMAGE_REFUSED', `${page.name}: ${shown.reason}.`);
      if (shown.raster) res.set('X-Scan-Size', `${shown.raster.width}x${shown.raster.height}`);
      return (
        res
          // A browser's cache knows no users: the next one at the same tablet would be shown what this one may see.
          .set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
          .type(shown.type)
          .send(shown.bytes)
      );
    } finally {
      await scans.close();
    }
  });

  routes.on('GET /api/batches/:batch_id/snippets', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const { of } = parse(SnippetQuery, req.query, 'query');
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    const items = await cutters(gone.signal, () => cutSnippets(cutting, batch, of, gone.signal)).catch(
      (error: unknown) => {
        if (gone.signal.aborted) return null;
        throw error;
      },
    );
    if (items) await sendPacked(req, res, { items });
  });

  routes.on('GET /api/batches/:batch_id/export', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const { format } = parse(ExportQuery, req.query, 'query');
    if (!hasEnded(batch.status) || batch.status === 'failed') {
      refuse(
        'CONFLICT',
        `Batch ${batch.batch_id} is ${batch.status}: results of record exist when it has completed. Wait for that, then export.`,
      );
    }
    await db.write((tx) =>
      audit(db, tx, {
        ...by(user),
        action: 'batch.export',
        subject: `batch:${batch.batch_id}`,
        after: { format, name: batch.name, sheets: batch.total_pages - batch.covers },
      }),
    );
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    const name = batch.name.replace(/[^\w.-]+/g, '_').slice(0, 100);
    res.set('Content-Disposition', `attachment; filename="${name}-${format}.csv"`).type('text/csv; charset=utf-8');
    await writeExport(db, batch, format, res, gone.signal).catch((error: unknown) => {
      if (!gone.signal.aborted) throw error;
    });
    if (!res.writableFinished && !gone.signal.aborted) await once(res, 'finish');
  });

  routes.on('DELETE /api/batches/:batch_id', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const purge = parse(DeleteQuery, req.query, 'query').purge === 'true';
    if (purge) {
      await purgeBatch(db, blobs, user, batch);
      forget(batch.batch_id);
    } else {
      await binBatch(db, user, batch);
    }
    touch(batch.batch_id);
    res.json({ batch_id: batch.batch_id, deleted: true, purged: purge });
  });

  /** Does something to a batch, tells the watchers, wakes the pipeline, and answers with the batch as it is now. */
  const control = (key: RouteKey, act: (user: User, batch: BatchesTable, req: Request) => Promise<Logged[]>): void =>
    routes.on(key, async (req, res, { user }) => {
      const batch = await findVisible(db, user, String(req.params.batch_id));
      announce(await act(user, batch, req));
      wake(batch.batch_id);
      res.json(await batchDetail(db, await findVisible(db, user, batch.batch_id)));
    });
  control('POST /api/batches/:batch_id/pause', (user, batch) => pauseBatch(db, user, batch));
  control('POST /api/batches/:batch_id/resume', (user, batch) => resumeBatch(db, user, batch));
  control('POST /api/batches/:batch_id/cancel', (user, batch) => cancelBatch(db, user, batch));
  control('POST /api/batches/:batch_id/reprocess', (user, batch, req) => {
    const { what, sheet_ids } = parse(ReprocessForm, req.body ?? {}, 'reprocess form');
    return reprocessBatch(
      db,
      user,
      batch,
      what === 'sheets' ? { what, sheet_ids: [...new Set(sheet_ids)].map(Number) } : { what },
    );
  });

  routes.on('POST /api/batches/:batch_id/restore', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    await restoreBatch(db, user, batch);
    touch(batch.batch_id);
    res.json(await batchDetail(db, await findVisible(db, user, batch.batch_id)));
  });
}
