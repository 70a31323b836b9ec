// A process of `bench -- accuracy` and `bench -- calibrate`: worn pages that its parent names, through JPEG and the whole
// engine, each told back beside its truth.
import { decodeGray, encodeJpeg } from '../../server/adapters/decode.ts';
import { type Level, wornSheet } from '../../shared/corpus/levels.ts';
import { fromBase64 } from '../../shared/omr/base64.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import { type Homography, project } from '../../shared/omr/warp.ts';
import type { SheetReading } from '../../shared/protocol/reading.ts';
import { BUILT_IN, builtIn } from '../../shared/template/built-in.ts';
import { layOut } from '../../shared/template/geometry.ts';
import type { Template } from '../../shared/template/template.ts';
import type { Errand } from './worn.ts';

export interface SeenField {
  label: string;
  truth: string;
  value: string;
  confidence: number;
  flags: readonly string[];
}

/** The two darkest bubbles of a group: how dark, in units of the page's level, and whether they were marked. */
export interface SeenGroup {
  top: number;
  topMarked: boolean;
  second: number;
  secondMarked: boolean;
  /** whether all of its bubbles are on the raster */
  seen: boolean;
  /** whether it was read as something that it is not */
  wrong: boolean;
}

export interface SeenPage {
  page: number;
  effects: readonly string[];
  /** why it was not read as the sheet it is */
  failure: string | null;
  /** not read, and nobody would look for it */
  lost: boolean;
  flags: readonly string[];
  fields: SeenField[];
  groups: SeenGroup[];
}

/** Seeds of different runs share no page: one run has fewer than this many. */
export const SEED_STRIDE = 100_003;

const look = async ({ template: id, seed, dpi }: Errand, level: Level, page: number): Promise<SeenPage> => {
  const template = builtIn(id)!;
  const { image, jpeg, truth, effects } = wornSheet(template, level, seed * SEED_STRIDE + page, dpi);
  const decoded = await decodeGray(await encodeJpeg(image, jpeg));
  if (!decoded.ok) throw new Error(decoded.reason);
  const reading = readPage(decoded.image, BUILT_IN);
  const { flags } = reading;
  if (reading.kind !== 'sheet' || reading.template_id !== id) {
    const foreign = reading.kind === 'foreign';
    const failure = foreign ? reading.reason : reading.kind === 'sheet' ? reading.template_id : reading.kind;
    // called blank, a cover or another template, nobody would look for it
    return { page, effects, failure, lost: !foreign, flags, fields: [], groups: [] };
  }
  const fields = reading.fields.map((field) => ({ ...field, truth: truth.get(field.label)! }));
  const groups = groupsOf(reading, template, truth, decoded.image);
  return { page, effects, failure: null, lost: false, flags, fields, groups };
};

const groupsOf = (
  { fills, threshold, to_image, fields: read }: SheetReading,
  template: Template,
  truth: ReadonlyMap<string, string>,
  { width, height }: { width: number; height: number },
): SeenGroup[] => {
  const { fields, bubbles } = layOut(template);
  const dark = fromBase64(fills);
  return fields.flatMap(({ label, type, groups, options }, field) =>
    groups.map((first, column): SeenGroup => {
      const told = read[field]!.value;
      const value = truth.get(label)!;
      const marked = type === 'grid' ? [value[column]!] : value.split('|');
      const order = options
        .map((option, i) => ({ level: dark[first + i]! / threshold, marked: marked.includes(option) }))
        .sort((a, b) => b.level - a.level);
      const seen = options.every((_, i) => {
        const { x, y } = project(to_image as unknown as Homography, bubbles[first + i]!.x, bubbles[first + i]!.y);
        return x > 0 && y > 0 && x < width && y < height;
      });
      const [top, second] = [order[0]!, order[1] ?? { level: 0, marked: false }];
      const wrong = type === 'grid' ? told[column] !== value[column] : told !== value;
      return { top: top.level, topMarked: top.marked, second: second.level, secondMarked: second.marked, seen, wrong };
    }),
  );
};

const errand = JSON.parse(process.argv[2]!) as Errand;
process.on('message', async ({ level, page }: { level: Level; page: number }) => {
  process.send!({ level, seen: await look(errand, level, page) });
});
