// Reads the template folders of OMRChecker, so that organisations keep the forms they have: template.json in pixels of a
// cropped page, and the picture of a marker. Pure: whoever calls brings the files. What its pre-processors do to an image
// the engine does in its own way; those it has no way for are refused by name.
import * as v from 'valibot';
import type { GrayImage } from '../omr/image.ts';
import { fieldErrors } from './issues.ts';
import { type MarkKind, markIn } from './omrchecker-marker.ts';
import { type Block, parseTemplate, type Template, type TemplateError } from './template.ts';

const Pixels = v.pipe(v.number('a number of pixels'), v.finite('a finite number'), v.minValue(0, 'not negative'));
const Side = v.pipe(v.number('a number of pixels'), v.finite('a finite number'), v.gtValue(0, 'more than 0'));
const Size = v.tuple([Side, Side], '[width, height] in pixels');
const Strings = v.pipe(v.array(v.string('text')), v.minLength(1, 'at least one'));

const FieldBlock = v.object({
  origin: v.tuple([Pixels, Pixels], 'the first bubble’s upper left corner, [x, y]'),
  bubblesGap: Pixels,
  labelsGap: v.union([Pixels, v.array(Pixels)], 'a number of pixels, or one for each gap'),
  fieldLabels: Strings,
  fieldType: v.optional(v.string('text')),
  bubbleValues: v.optional(Strings),
  direction: v.optional(v.picklist(['horizontal', 'vertical'], 'horizontal or vertical')),
  bubbleDimensions: v.optional(Size),
  emptyValue: v.optional(v.string('text')),
});
type FieldBlock = v.InferOutput<typeof FieldBlock>;

const PreProcessor = v.object({
  name: v.string('its name'),
  options: v.optional(v.record(v.string(), v.unknown()), {}),
});

const File = v.object({
  pageDimensions: Size,
  bubbleDimensions: Size,
  preProcessors: v.optional(v.array(PreProcessor), []),
  fieldBlocks: v.record(v.string(), FieldBlock),
  customLabels: v.optional(v.record(v.string(), Strings), {}),
  emptyValue: v.optional(v.string('text'), ''),
});
type File = v.InferOutput<typeof File>;

const DIGITS = [...'0123456789'];
const TYPES: Record<string, { values: readonly string[]; direction: 'horizontal' | 'vertical' }> = {
  QTYPE_MCQ4: { values: [...'ABCD'], direction: 'horizontal' },
  QTYPE_MCQ5: { values: [...'ABCDE'], direction: 'horizontal' },
  QTYPE_INT: { values: DIGITS, direction: 'vertical' },
  QTYPE_INT_FROM_1: { values: [...'1234567890'], direction: 'vertical' },
};

/** What the engine does by itself on every page, in its own way. */
const NEEDLESS = new Set(['GaussianBlur', 'MedianBlur', 'Levels', 'AutoRotate']);
/** Part of what its development version adds to a template.json; this reader knows the released one. */
const DEVELOPMENT = ['templateDimensions', 'customBubbleFieldTypes', 'alignment'];

/** Width of a page over that of its markers, where the template does not say. */
const MARKER_RATIO = 17;
/** Markers stand inside the page: its width over the distance of their centres, as sheets are drawn. */
const PAGE_OVER_FRAME = 1.1;
/** Paper that is kept around the frame of the markers, as a share of its long side. */
const MARGIN = 0.1;
/** Nobody says how large the paper is. The engine measures in shares of it, so that the long side of an A4 page will do. */
const LONG_MM = 297;

export type FormFolder =
  | {
      ok: true;
      template: Template;
      /** what of the folder has no effect here, in words */
      notes: string[];
    }
  | { ok: false; errors: TemplateError[] };

/** The file that holds the picture of the marker, as its template.json names it; null when it needs none. */
export const markerFile = (json: unknown): string | null => {
  const parsed = v.safeParse(v.object({ preProcessors: v.array(PreProcessor) }), json);
  const crop = parsed.success && parsed.output.preProcessors.find(({ name }) => name === 'CropOnMarkers');
  if (!crop || typeof (crop.options.type ?? '') !== 'string' || crop.options.type !== undefined) return null;
  const named = crop.options.relativePath ?? 'omr_marker.jpg';
  return typeof named === 'string' ? named : null;
};

/** Whether a template.json is OMRChecker's and not one of ours. */
export const isOmrChecker = (json: unknown): boolean =>
  typeof json === 'object' && json !== null && 'fieldBlocks' in json && !('fields' in json);

/**
 * @param id of the template that is made @param json of template.json @param config of config.json, null without one
 * @param marker the picture that `markerFile` names; null when there is none
 */
export const readOmrChecker = (id: string, json: unknown, config: unknown, marker: GrayImage | null): FormFolder => {
  const newer = typeof json === 'object' && json !== null ? DEVELOPMENT.find((name) => name in json) : undefined;
  if (newer) {
    const message = 'belongs to the development version of OMRChecker; templates of its released version are read';
    return { ok: false, errors: [{ field: newer, message }] };
  }
  const parsed = v.safeParse(File, json);
  if (!parsed.success) {
    return { ok: false, errors: fieldErrors(parsed.issues) };
  }
  const file = parsed.output;
  const errors: TemplateError[] = [];
  const notes: string[] = [];
  const { frame, mark } = alignmentOf(file, marker, errors, notes);
  if (typeof config === 'object' && config !== null && 'threshold_params' in config) {
    notes.push('config.json: threshold_params have no effect, levels are found on each page');
  }
  const [width, height] = file.pageDimensions;
  const margin = frame === 'marks' ? MARGIN * Math.max(width, height) : 0;
  const scale = LONG_MM / (Math.max(width, height) + 2 * margin);
  const mm = (pixels: number): number => Math.round(pixels * scale * 1e4) / 1e4;
  const at = (x: number, y: number): [number, number] => [mm(x + margin), mm(y + margin)];

  const names = Object.keys(file.fieldBlocks);
  // of each block of the new template, the one it was
  const origins: string[] = [];
  const fields: Block[] = [];
  for (const name of names) {
    const block = file.fieldBlocks[name]!;
    const made = blocksOf(name, block, file, mm, at, errors);
    fields.push(...made);
    origins.push(...made.map(() => name));
  }
  const joined = Object.entries(file.customLabels).map(([label, parts]) => ({
    label,
    of: parts.flatMap((part, i) => labelsIn(part, `customLabels.${label}.${i}`, errors)),
  }));
  if (errors.length > 0) return { ok: false, errors };

  const made = parseTemplate({
    id:
      id
        .replace(/[^A-Za-z0-9._-]+/g, '-')
        .replace(/^[^A-Za-z0-9]+/, '')
        .slice(0, 63) || 'form',
    version: 1,
    kind: 'sheet',
    page: { width: mm(width + 2 * margin), height: mm(height + 2 * margin) },
    fiducials: mark
      ? {
          type: 'marks',
          marks: [at(0, 0), at(width, 0), at(width, height), at(0, height)].map((centre) => ({
            shape: mark.shape,
            at: centre,
            size: mm(mark.size),
          })),
        }
      : { type: frame },
    qr: null,
    bubble: file.bubbleDimensions.map(mm),
    fields,
    joined,
  });
  if (made.ok) return { ok: true, template: made.template, notes };
  return {
    ok: false,
    errors: made.errors.map(({ field, message }) => ({ field: inTheirWords(field, origins, joined), message })),
  };
};

interface Alignment {
  frame: 'marks' | 'edge' | 'none';
  /** side in pixels of the page */
  mark: { shape: MarkKind; size: number } | null;
}

/** Their pre-processors say in which frame the pixels of a template count: that of the markers, the page, or the image. */
const alignmentOf = (
  { preProcessors, pageDimensions: [width] }: File,
  marker: GrayImage | null,
  errors: TemplateError[],
  notes: string[],
): Alignment => {
  const alignment: Alignment = { frame: 'none', mark: null };
  preProcessors.forEach(({ name, options }, i) => {
    const field = `preProcessors.${i}`;
    if (name === 'CropPage') {
      alignment.frame = 'edge';
    } else if (name === 'CropOnMarkers') {
      alignment.frame = 'marks';
      if (options.type !== undefined) {
        errors.push({ field: `${field}.options.type`, message: `markers of the type ${options.type} are not read` });
        return;
      }
      const ratio = options.sheetToMarkerWidthRatio ?? MARKER_RATIO;
      if (typeof ratio !== 'number' || !(ratio >= 2 && ratio <= 200)) {
        errors.push({ field: `${field}.options.sheetToMarkerWidthRatio`, message: 'a number from 2 to 200' });
        return;
      }
      const kind = marker && markIn(marker);
      if (!kind) {
        const message = marker
          ? 'the picture holds no dark marker on light paper'
          : 'the picture of the marker is missing';
        errors.push({ field: `${field}.options.relativePath`, message });
        return;
      }
      alignment.mark = { shape: kind.shape, size: ((PAGE_OVER_FRAME * width) / ratio) * kind.share };
    } else if (name === 'FeatureBasedAlignment') {
      notes.push(`${field}: ${name} is replaced by the engine's own, which looks for the outlines of the bubbles`);
    } else if (NEEDLESS.has(name)) {
      notes.push(`${field}: ${name} has no effect, the engine needs none`);
    } else {
      errors.push({ field: `${field}.name`, message: `${name} is not supported` });
    }
  });
  return alignment;
};

/** `q1..20` is a range, anything else one label. */
const labelsIn = (text: string, field: string, errors: TemplateError[]): string[] => {
  if (!text.includes('.')) return [text.trim()];
  const range = /^([^.\d]*(?:\d+[^.\d]+)*)(\d{1,6})\.{2,3}(\d{1,6})$/.exec(text);
  const [first, last] = [Number(range?.[2]), Number(range?.[3])];
  if (!range || !(first < last) || last - first > 1000) {
    errors.push({ field, message: `${text} is not a range like q1..20` });
    return [];
  }
  return Array.from({ length: last - first + 1 }, (_, i) => `${range[1]}${first + i}`);
};

const blocksOf = (
  name: string,
  block: FieldBlock,
  file: File,
  mm: (pixels: number) => number,
  at: (x: number, y: number) => [number, number],
  errors: TemplateError[],
): Block[] => {
  const field = `fieldBlocks.${name}`;
  const labels = block.fieldLabels.flatMap((text, i) => labelsIn(text, `${field}.fieldLabels.${i}`, errors));
  const { bubbleValues, direction } = block;
  const type = block.fieldType === undefined ? undefined : TYPES[block.fieldType];
  if (block.fieldType !== undefined && !type) {
    const known = Object.keys(TYPES).join(', ');
    errors.push({ field: `${field}.fieldType`, message: `${block.fieldType} is not one of ${known}` });
    return [];
  }
  const options = bubbleValues ?? type?.values;
  const way = direction ?? type?.direction;
  if (!options || !way) {
    const missing = options ? 'direction' : 'bubbleValues';
    errors.push({ field: `${field}.${missing}`, message: 'is missing, and there is no fieldType that says it' });
    return [];
  }
  const bubble = block.bubbleDimensions ?? file.bubbleDimensions;
  const empty = block.emptyValue ?? file.emptyValue;
  const across = way === 'horizontal';
  const along = (step: number): [number, number] => (across ? [step, 0] : [0, step]);
  const beside = (step: number): [number, number] => (across ? [0, step] : [step, 0]);
  const [x, y] = [block.origin[0] + bubble[0] / 2, block.origin[1] + bubble[1] / 2];
  const common = {
    type: 'choice' as const,
    options: [...options],
    option_step: along(mm(block.bubblesGap)),
    bubble: [mm(bubble[0]), mm(bubble[1])] as [number, number],
    ...(empty === '' ? {} : { empty }),
  };
  const { labelsGap } = block;
  if (typeof labelsGap === 'number') {
    return [
      { ...common, labels, origin: at(x, y), ...(labels.length > 1 ? { label_step: beside(mm(labelsGap)) } : {}) },
    ];
  }
  if (labelsGap.length < labels.length - 1) {
    errors.push({ field: `${field}.labelsGap`, message: `${labels.length} labels need ${labels.length - 1} gaps` });
    return [];
  }
  let offset = 0;
  return labels.map((label, i) => {
    if (i > 0) offset += labelsGap[i - 1]!;
    const [dx, dy] = beside(offset);
    return { ...common, labels: [label], origin: at(x + dx, y + dy) };
  });
};

const THEIR_NAMES: Record<string, string> = {
  labels: 'fieldLabels',
  options: 'bubbleValues',
  option_step: 'bubblesGap',
  label_step: 'labelsGap',
  bubble: 'bubbleDimensions',
  empty: 'emptyValue',
};

/** The field of template.json that a field of the template made of it comes from. */
const inTheirWords = (field: string, origins: readonly string[], joined: readonly { label: string }[]): string => {
  const [top, index, part, ...rest] = field.split('.');
  if (top === 'fields' && index !== undefined) {
    return ['fieldBlocks', origins[Number(index)], part && (THEIR_NAMES[part] ?? part), ...rest]
      .filter(Boolean)
      .join('.');
  }
  if (top === 'joined' && index !== undefined) return `customLabels.${joined[Number(index)]?.label}`;
  return top === 'page' ? 'pageDimensions' : top === 'bubble' ? 'bubbleDimensions' : (top ?? '');
};
