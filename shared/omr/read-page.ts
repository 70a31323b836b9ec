// Reads one page from raster to reading, in one pass: shrink, find the corners, say what the page is, measure, decide.
// Pure: the same raster gives the same reading everywhere, and no raster makes it throw.
import type { Reading, SheetReading } from '../protocol/reading.ts';
import { COVER } from '../template/built-in.ts';
import { layOut } from '../template/geometry.ts';
import { parseQr } from '../template/qr-text.ts';
import type { Template } from '../template/template.ts';
import { toBase64 } from './base64.ts';
import { blankDarkness, measureBubbles, outlineMatch } from './bubbles.ts';
import { decideField, netDarkness, pageLevels } from './decide.ts';
import { type Corners, findCorners } from './fiducials.ts';
import type { GrayImage } from './image.ts';
import { findPose, type Pose } from './pose.ts';
import { readQr, type SeenQr } from './qr.ts';
import { findPaper, inkShare, type Paper, shrink } from './threshold.ts';

/** Raised whenever the same raster may read differently: readings are kept beside it. */
export const ENGINE_VERSION = 1;

/** Nothing smaller holds a page: 100 pixels are 9 dpi. */
const SMALLEST_SIDE = 100;
/** Less ink than 0.03 % of the page's inside (about 10 mm²) is dust. */
const BLANK_INK = 0.0003;
/** Bubbles narrower than this begin to be misread. */
const LOW_RESOLUTION_PX = 12;
/** More than this off at the ticks is a tenth of a bubble, from where errors grow. */
const MISALIGNED = 0.1;
/** Outlines fainter than this are not where the template says. */
const WEAK_OUTLINES = 0.08;

type PageFlag = SheetReading['flags'][number];

const foreign = (reason: string): Reading => ({ kind: 'foreign', reason, flags: [] });

/**
 * @param templates what the page may be; Sheaf's own cover is always among them. A sheet is taken for the one its QR
 *   code names; without a readable code for the one whose bubbles fit, and then flagged `template-guessed`.
 */
export const readPage = (image: GrayImage, templates: readonly Template[]): Reading => {
  const { width, height, data } = image;
  if (width < SMALLEST_SIDE || height < SMALLEST_SIDE || data.length < width * height) {
    return foreign(`the image is too small for a page (${width} × ${height})`);
  }
  const frame = shrink(image);
  const paper = findPaper(frame);
  const candidates = templates.includes(COVER) ? templates : [...templates, COVER];

  const cornersBy = new Map<string, Corners | null>();
  const found: { template: Template; pose: Pose; corners: Corners }[] = [];
  for (const template of candidates) {
    const frameKey = JSON.stringify([template.page, template.fiducials.size, template.fiducials.centres]);
    let corners = cornersBy.get(frameKey);
    if (corners === undefined) {
      corners = findCorners(frame, paper, template);
      cornersBy.set(frameKey, corners);
    }
    const pose = corners && findPose(image, paper, corners, template);
    if (corners && pose) found.push({ template, pose, corners });
  }

  const best = found.reduce((most, { pose }) => Math.max(most, belief(pose)), 0);
  const likely = found.filter(({ pose }) => belief(pose) > best - 0.05);
  const cover = likely.find(({ template }) => template.kind === 'cover');
  if (cover) return readCover(image, paper, cover);
  if (likely.length > 0) return readSheet(image, paper, likely, candidates);

  const ink = inkShare(frame, paper);
  if (ink.paper < 0.5) return foreign('the image is too dark to hold a page');
  if (ink.share < BLANK_INK) return { kind: 'blank', flags: [] };
  return foreign('no corner squares were found');
};

/** How well corner squares and ticks bear a template out, 0 to 2. */
const belief = ({ agreeing, seen, ticks }: Pose): number => agreeing / seen + ticks;

interface Found {
  template: Template;
  pose: Pose;
  corners: Corners;
}

const readCover = (image: GrayImage, paper: Paper, { template, pose, corners }: Found): Reading => {
  const qr = readQr(image, paper, pose.toImage, template.qr);
  const said = qr.text === null ? null : parseQr(qr.text);
  const flags: PageFlag[] = [];
  if (corners.inferred !== null) flags.push('inferred-corner');
  if (qr.text === null) flags.push('qr-unreadable');
  const task_id = said?.kind === 'cover' ? said.task_id : null;
  return { kind: 'cover', task_id, qr: qr.text, orientation: pose.orientation, flags };
};

const readSheet = (image: GrayImage, paper: Paper, likely: Found[], candidates: readonly Template[]): Reading => {
  const flags: PageFlag[] = [];
  let qr: SeenQr = { text: null, inked: false };
  const zones = new Set<string>();
  for (const { template, pose } of likely) {
    const zone = JSON.stringify([template.qr, pose.toImage]);
    if (zones.has(zone)) continue;
    zones.add(zone);
    const seen = readQr(image, paper, pose.toImage, template.qr);
    if (seen.text !== null || seen.inked) qr = seen;
    if (seen.text !== null) break;
  }
  const said = qr.text === null ? null : parseQr(qr.text);
  let chosen: Found | undefined;
  if (said?.kind === 'sheet') {
    const names = ({ id, version }: Template): boolean => id === said.template_id && version === said.version;
    chosen = likely.find(({ template }) => names(template));
    if (!chosen) {
      const known = candidates.some(names);
      const name = `${said.template_id} version ${said.version}`;
      return foreign(known ? `the page says ${name}, but its marks do not` : `the template ${name} is not known`);
    }
  } else {
    // a sole template without a QR zone leaves nothing to guess
    const sure = likely.length === 1 && likely[0]!.template.qr === null;
    if (!sure) flags.push('template-guessed');
    if (qr.text === null && qr.inked) flags.push('qr-unreadable');
    chosen = bestOutlines(image, paper, likely);
    if (!chosen) return foreign('it has corner squares, but the bubbles of no known template');
  }

  const { template, pose, corners } = chosen;
  const { bubbles, fields } = layOut(template);
  const expected = blankDarkness(template);
  const dark = measureBubbles(image, paper, pose.toImage, bubbles);
  const levels = pageLevels(dark, expected);
  const net = netDarkness(dark, expected, levels.offset);

  if (corners.inferred !== null) flags.push('inferred-corner');
  const widths = bubbles.map((bubble) => Math.min(bubble.width, bubble.height));
  const smallest = widths.length === 0 ? 5 : Math.min(...widths);
  const misaligned = pose.residual > MISALIGNED * smallest || pose.ticks < 0.75;
  if (misaligned || outlineMatch(image, paper, pose.toImage, bubbles) < WEAK_OUTLINES) flags.push('alignment');
  const pixels = (Math.sqrt(Math.abs(area(pose))) * smallest) as number;
  if (pixels < LOW_RESOLUTION_PX) flags.push('low-resolution');
  return {
    kind: 'sheet',
    template_id: template.id,
    template_version: template.version,
    qr: qr.text,
    orientation: pose.orientation,
    to_image: [...pose.toImage],
    fields: fields.map((field) => decideField(field, net, levels.threshold)),
    fills: toBase64(Uint8Array.from(net, byte)),
    threshold: byte(levels.threshold),
    flags,
  };
};

const byte = (value: number): number => Math.round(Math.max(0, Math.min(1, value)) * 255);

/** Square pixels per square millimetre near the page's origin. */
const area = ({ toImage: h }: Pose): number => h[0] * h[4] - h[1] * h[3];

const bestOutlines = (image: GrayImage, paper: Paper, likely: readonly Found[]): Found | undefined => {
  let best: Found | undefined;
  let most = WEAK_OUTLINES;
  for (const candidate of likely) {
    const match = outlineMatch(image, paper, candidate.pose.toImage, layOut(candidate.template).bubbles);
    if (match <= most) continue;
    most = match;
    best = candidate;
  }
  return best;
};
