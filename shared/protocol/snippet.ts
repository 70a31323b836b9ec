// Pictures of single fields, cut out of the scans on the server: many of them in one answer, so that what a person has to
// look at travels as kilobytes and not as pages.
import * as v from 'valibot';

/** A field that has bubbles: `q7`, `roll`, `variant`, or as another maker's template calls it. */
const FIELD = '[A-Za-z][\\w-]{0,40}';
export const MOST_SNIPPET_SHEETS = 16;
export const MOST_SNIPPETS = 64;

/** `1000012.q3.q7,1000013.roll` */
export const SnippetQuery = v.object({
  of: v.pipe(
    v.string('name sheets and fields: of=1000012.q3.q7,1000013.roll'),
    v.maxLength(4000),
    v.regex(
      new RegExp(`^\\d{1,15}(\\.${FIELD})+(,\\d{1,15}(\\.${FIELD})+)*$`),
      'sheets and fields: 1000012.q3.q7,1000013.roll',
    ),
    v.transform((text) =>
      text.split(',').map((part) => {
        const [sheet_id = '', ...fields] = part.split('.');
        return { sheet_id, fields: [...new Set(fields)] };
      }),
    ),
    v.maxLength(MOST_SNIPPET_SHEETS, `${MOST_SNIPPET_SHEETS} sheets at most`),
    v.check(
      (sheets) => sheets.reduce((sum, { fields }) => sum + fields.length, 0) <= MOST_SNIPPETS,
      `${MOST_SNIPPETS} fields at most`,
    ),
  ),
});

export const SheetSnippets = v.object({
  sheet_id: v.string(),
  /** what they were cut from */
  image_sha256: v.nullable(v.string()),
  /** `template@version` whose fields they are; shared/template/snippet-box.ts says what each shows */
  template: v.nullable(v.string()),
  /** fields that the sheet has not are left out */
  snippets: v.array(v.object({ field: v.string(), /** base64 */ jpeg: v.string() })),
  /** why there is none, in words */
  problem: v.nullable(v.string()),
});
export type SheetSnippets = v.InferOutput<typeof SheetSnippets>;
/** `GET /api/batches/{id}/snippets`, in the order of the question. */
export const SnippetList = v.object({ items: v.array(SheetSnippets) });
