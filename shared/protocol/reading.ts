// What the engine saw on one page. Kept for good: scoring is a pure function of it, so that a key may change without
// the image being read again.
import * as v from 'valibot';

export const FIELD_FLAGS = ['blank', 'multiple', 'faint', 'erased', 'outside', 'tick', 'scribble', 'doubtful'] as const;
export type FieldFlag = (typeof FIELD_FLAGS)[number];
export const PAGE_FLAGS = [
  'inferred-corner',
  'alignment',
  'low-contrast',
  'low-resolution',
  'streak',
  'qr-unreadable',
  'template-guessed',
  'mirrored',
] as const;

export const FieldReading = v.object({
  /** `roll`, `variant`, `q1`, `q2` … as the template names it */
  label: v.string(),
  /** choice: '' blank, 'B', or 'A|C' when several are marked; grid: one character a column, '_' blank, '?' several */
  value: v.string(),
  /** 0 to 1: how sure the engine is of `value` */
  confidence: v.number(),
  flags: v.array(v.picklist(FIELD_FLAGS)),
});
export type FieldReading = v.InferOutput<typeof FieldReading>;

const PageFlags = v.array(v.picklist(PAGE_FLAGS));
const Orientation = v.picklist([0, 90, 180, 270]);

export const SheetReading = v.object({
  kind: v.literal('sheet'),
  template_id: v.string(),
  template_version: v.number(),
  /** text of the sheet's own QR, null when it has none or it could not be read */
  qr: v.nullable(v.string()),
  /** degrees clockwise that the raster must be turned by to stand upright */
  orientation: Orientation,
  /** 3×3 row-major: template millimetres → raster pixels */
  to_image: v.array(v.number()),
  fields: v.array(FieldReading),
  /** base64, a byte a bubble in the template's order: net darkness over paper and print, 0 none to 255 black */
  fills: v.string(),
  /** the page's own decision level, on the scale of `fills` */
  threshold: v.number(),
  flags: PageFlags,
});
export type SheetReading = v.InferOutput<typeof SheetReading>;

export const CoverReading = v.object({
  kind: v.literal('cover'),
  /** 8 digits, null when the QR could not be read: the group is then held for a person */
  task_id: v.nullable(v.string()),
  qr: v.nullable(v.string()),
  orientation: Orientation,
  flags: PageFlags,
});
export const BlankReading = v.object({ kind: v.literal('blank'), flags: PageFlags });
export const ForeignReading = v.object({
  kind: v.literal('foreign'),
  reason: v.string(),
  /** 'sheet' when it is full of bubbles: a damaged sheet, and not a cover whose group would be lost */
  looks_like: v.optional(v.nullable(v.picklist(['sheet']))),
  flags: PageFlags,
});

export const Reading = v.variant('kind', [SheetReading, CoverReading, BlankReading, ForeignReading]);
export type Reading = v.InferOutput<typeof Reading>;
