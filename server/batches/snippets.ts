// Pictures of single fields, cut out of the scans they were read from: a page is decoded once for all that is asked of it.
import { cropUpright } from '../../shared/omr/crop.ts';
import type { Homography } from '../../shared/omr/warp.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import type { SheetSnippets } from '../../shared/protocol/snippet.ts';
import { SNIPPET_PX_PER_MM, snippetBox } from '../../shared/template/snippet-box.ts';
import type { Template } from '../../shared/template/template.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import type { Blobs } from '../uploads/blobs.ts';
import { type Images, openScans } from './scans.ts';

export interface SnippetDeps {
  db: Database;
  blobs: Blobs;
  images: Images;
  /** a stored version of a template */
  template: (id: string, version: number) => Promise<Template | null>;
}

/** Pencil is still told from dirt, and a question of five options takes about 6 kB. */
const QUALITY = 60;

/** @param signal stops before the next page, and throws its reason */
export async function cutSnippets(
  deps: SnippetDeps,
  batch: BatchesTable,
  asked: readonly { sheet_id: string; fields: readonly string[] }[],
  signal: AbortSignal,
): Promise<SheetSnippets[]> {
  const ids = asked.map(({ sheet_id }) => Number(sheet_id));
  const pages = await deps.db.sql
    .selectFrom('pages')
    .selectAll()
    .where('batch_id', '=', batch.batch_id)
    .where('sheet_id', 'in', ids)
    .execute();
  const readings = await deps.db.sql.selectFrom('readings').selectAll().where('sheet_id', 'in', ids).execute();
  const scans = await openScans(deps, batch);
  try {
    const items: SheetSnippets[] = [];
    // One page at a time: each is some 8 MB while it is cut.
    for (const { sheet_id, fields } of asked) {
      signal.throwIfAborted();
      const none = (problem: string): SheetSnippets => ({
        sheet_id,
        image_sha256: null,
        template: null,
        snippets: [],
        problem,
      });
      const page = pages.find((one) => one.sheet_id === Number(sheet_id));
      const row = readings.find((one) => one.sheet_id === Number(sheet_id));
      const reading = row && (JSON.parse(row.content) as Reading);
      if (!page) items.push(none('the batch has no such sheet'));
      else if (reading?.kind !== 'sheet') items.push(none('the page was not read as a sheet'));
      else {
        const { template_id, template_version, to_image } = reading;
        const template = await deps.template(template_id, template_version);
        const bytes = await scans.bytes(page);
        const decoded = bytes.ok ? await deps.images.decodeGray(bytes.bytes, page.part ?? undefined) : bytes;
        if (!template || !decoded.ok) {
          items.push(none(decoded.ok ? 'its template is not stored' : decoded.reason));
          continue;
        }
        const snippets: SheetSnippets['snippets'] = [];
        for (const field of fields) {
          const box = snippetBox(template, field);
          if (!box) continue;
          const cut = cropUpright(decoded.image, to_image as unknown as Homography, box, SNIPPET_PX_PER_MM);
          snippets.push({ field, jpeg: (await deps.images.encodeJpeg(cut, QUALITY)).toString('base64') });
        }
        items.push({
          sheet_id,
          image_sha256: row?.image_sha256 ?? null,
          template: `${template_id}@${template_version}`,
          snippets,
          problem: null,
        });
      }
    }
    return items;
  } finally {
    await scans.close();
  }
}
