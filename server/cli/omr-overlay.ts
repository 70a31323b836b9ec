// What the engine saw, drawn over the page it saw it on, as SVG. Everything has a shape of its own beside its colour:
// unmarked bubbles a thin line, marked ones a thick line with a cross, doubted fields a dashed frame with words.
import { fromBase64 } from '../../shared/omr/base64.ts';
import type { GrayImage } from '../../shared/omr/image.ts';
import { placesOn } from '../../shared/omr/read-page.ts';
import { type Homography, project } from '../../shared/omr/warp.ts';
import type { Reading, SheetReading } from '../../shared/protocol/reading.ts';
import { type Bubble, type LaidField, layOut, optionsOf } from '../../shared/template/geometry.ts';
import { textStrokes, textWidth } from '../../shared/template/glyphs.ts';
import type { Template } from '../../shared/template/template.ts';

const OUTLINE = '#7a1fa2';
const UNMARKED = '#0b6bcb';
const MARKED = '#087f23';
const DOUBT = '#d84a00';

/** @param templates those that the page was read with */
export const overlaySvg = (image: GrayImage, reading: Reading, templates: readonly Template[]): string => {
  const { width, height } = image;
  const unit = Math.max(width, height) / 100;
  const body: string[] = [];
  if (reading.kind === 'sheet') {
    const template = templates.find(
      ({ id, version }) => id === reading.template_id && version === reading.template_version,
    );
    if (template) body.push(...sheet(image, reading, template));
  }
  // on a ground of its own: the page may be dark there
  const lines = [headOf(reading), ...(reading.flags.length > 0 ? [`FLAGS: ${reading.flags.join(', ')}`] : [])];
  const high = unit * 1.4;
  const wide = Math.max(...lines.map((line) => textWidth(line, high)));
  body.push(
    `<rect width="${n(wide + high * 2)}" height="${n(high * (lines.length * 1.6 + 0.8))}" fill="#fff" stroke="${OUTLINE}" stroke-width="${n(unit / 8)}"/>`,
    ...lines.map((line, i) => words(line, high, high * (0.7 + 1.6 * i), high, OUTLINE)),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${body.join('')}</svg>`;
};

const headOf = (reading: Reading): string => {
  switch (reading.kind) {
    case 'blank':
      return 'BLANK PAGE';
    case 'foreign':
      return `NO SHEET: ${reading.reason}`;
    case 'cover':
      return `COVER ${reading.task_id ?? 'WITHOUT A TASK'}, TURNED BY ${reading.orientation}`;
    case 'sheet':
      return `${reading.template_id} / ${reading.template_version}, TURNED BY ${reading.orientation}`;
  }
};

/** Two decimals of a pixel. */
const n = (value: number): string => String(Math.round(value * 100) / 100);

const words = (text: string, x: number, y: number, high: number, colour: string): string => {
  const segments = textStrokes(text, x, y, high);
  let path = '';
  for (let i = 0; i < segments.length; i += 4) {
    path += `M${n(segments[i]!)} ${n(segments[i + 1]!)}L${n(segments[i + 2]!)} ${n(segments[i + 3]!)}`;
  }
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${n(high / 7)}" stroke-linecap="round"/>`;
};

const sheet = (image: GrayImage, reading: SheetReading, template: Template): string[] => {
  const toImage = reading.to_image as unknown as Homography;
  const at = (x: number, y: number): string => {
    const point = project(toImage, x, y);
    return `${n(point.x)} ${n(point.y)}`;
  };
  const polygon = (points: readonly (readonly [number, number])[]): string =>
    `M${points.map(([x, y]) => at(x, y)).join('L')}Z`;
  const { fields } = layOut(template);
  const bubbles = placesOn(image, reading, template);
  const fills = fromBase64(reading.fills);
  const origin = project(toImage, template.page.width / 2, template.page.height / 2);
  const beside = project(toImage, template.page.width / 2 + 1, template.page.height / 2);
  const mm = Math.sqrt((beside.x - origin.x) ** 2 + (beside.y - origin.y) ** 2);
  const thin = n(Math.max(1, mm * 0.15));
  const thick = n(Math.max(2, mm * 0.45));
  const parts: string[] = [];

  // where the page's frame was found
  parts.push(
    `<path d="${polygon(frameOf(template))}" fill="none" stroke="${OUTLINE}" stroke-width="${thick}" stroke-dasharray="${n(mm * 4)} ${n(mm * 1.5)}"/>`,
  );
  const [plain, chosen, crosses, bars]: [string[], string[], string[], string[]] = [[], [], [], []];
  fields.forEach((field, i) => {
    const read = reading.fields[i];
    field.groups.forEach((first, group) => {
      optionsOf(field, group).forEach((option, k) => {
        const bubble = bubbles[first + k]!;
        const ring = polygon(template.outline === 'box' ? boxOf(bubble) : ovalOf(bubble));
        if (read && isChosen(field, read.value, group, option)) {
          chosen.push(ring);
          const [dx, dy] = [bubble.width * 0.3, bubble.height * 0.3];
          crosses.push(
            `M${at(bubble.x - dx, bubble.y - dy)}L${at(bubble.x + dx, bubble.y + dy)}M${at(bubble.x + dx, bubble.y - dy)}L${at(bubble.x - dx, bubble.y + dy)}`,
          );
        } else plain.push(ring);
        // how dark it is: a bar under it, of its width when black
        const share = (fills[first + k] ?? 0) / 255;
        const [left, below] = [bubble.x - bubble.width / 2, bubble.y + bubble.height * 0.58];
        if (share > 0.02) bars.push(`M${at(left, below)}L${at(left + bubble.width * share, below)}`);
      });
    });
    const flags = (read?.flags ?? []).filter((flag) => flag !== 'blank');
    if (flags.length === 0) return;
    const own = field.groups.flatMap((first, group) => bubbles.slice(first, first + optionsOf(field, group).length));
    const box = around(own);
    parts.push(
      `<path d="${polygon(box)}" fill="none" stroke="${DOUBT}" stroke-width="${thick}" stroke-dasharray="${n(mm)} ${n(mm * 0.7)}"/>`,
    );
    const corner = project(toImage, ...box[0]!);
    const high = mm * 1.7;
    parts.push(words(`${field.label} ${flags.join(' ')}`, corner.x, corner.y - high * 1.2, high, DOUBT));
  });
  parts.push(
    `<path d="${plain.join('')}" fill="none" stroke="${UNMARKED}" stroke-width="${thin}"/>`,
    `<path d="${bars.join('')}" fill="none" stroke="${UNMARKED}" stroke-width="${n(Math.max(2, mm * 0.4))}"/>`,
    `<path d="${chosen.join('')}" fill="none" stroke="${MARKED}" stroke-width="${thick}"/>`,
    `<path d="${crosses.join('')}" fill="none" stroke="#fff" stroke-width="${thick}"/>`,
    `<path d="${crosses.join('')}" fill="none" stroke="${MARKED}" stroke-width="${n(Math.max(1.5, mm * 0.25))}"/>`,
  );
  return parts;
};

const isChosen = (field: LaidField, value: string, group: number, option: string): boolean =>
  field.type === 'grid' ? [...value][group] === option : value.split('|').includes(option);

/** The quadrilateral through the marks, or the page's own edge. */
const frameOf = ({ fiducials, page }: Template): readonly (readonly [number, number])[] => {
  if (fiducials.type === 'squares') return fiducials.centres;
  if (fiducials.type === 'marks') return fiducials.marks.map(({ at }) => at);
  return [
    [0, 0],
    [page.width, 0],
    [page.width, page.height],
    [0, page.height],
  ];
};

const boxOf = ({ x, y, width, height }: Bubble): [number, number][] => [
  [x - width / 2, y - height / 2],
  [x + width / 2, y - height / 2],
  [x + width / 2, y + height / 2],
  [x - width / 2, y + height / 2],
];

const ovalOf = ({ x, y, width, height }: Bubble): [number, number][] =>
  Array.from({ length: 16 }, (_, i) => {
    const angle = (i * Math.PI) / 8;
    return [x + (width / 2) * Math.cos(angle), y + (height / 2) * Math.sin(angle)];
  });

/** A frame around the bubbles of a field, in millimetres, from its upper left corner on. */
const around = (bubbles: readonly Bubble[]): [number, number][] => {
  const [left, right, top, bottom] = [
    Math.min(...bubbles.map(({ x, width }) => x - width / 2)) - 0.8,
    Math.max(...bubbles.map(({ x, width }) => x + width / 2)) + 0.8,
    Math.min(...bubbles.map(({ y, height }) => y - height / 2)) - 0.8,
    Math.max(...bubbles.map(({ y, height }) => y + height / 2)) + 0.8,
  ];
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
};
