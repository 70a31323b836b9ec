// Reads one page from raster to reading, in one pass: shrink, find the corners, say what the page is, measure, decide.
// Pure: the same raster gives the same reading everywhere, and no raster makes it throw.
import type { FieldReading, Reading, SheetReading } from '../protocol/reading.ts';
import { COVER, type SheafTemplate } from '../template/built-in.ts';
import { type Bubble, layOut } from '../template/geometry.ts';
import { parseQr, sheetQr } from '../template/qr-text.ts';
import type { Template } from '../template/template.ts';
import { toBase64 } from './base64.ts';
import { glyphDarkness, measureBubbles, outlineMatch, wornDarkness } from './bubbles.ts';
import { MISALIGNED_ERROR } from './confidence-steps.ts';
import { blankLevel, decideField, type Look, netDarkness, pageLevels } from './decide.ts';
import { type Corners, findCorners, ZONES } from './fiducials.ts';
import { flatten, type Off } from './flatten.ts';
import { findForm } from './form.ts';
import type { GrayImage } from './image.ts';
import { hasStreak, isLowContrast, looksLikeSheet } from './look.ts';
import { findPoses, growPoses, type Pose, residualOf, TIE, ticksOff } from './pose.ts';
import { readQr, type SeenQr } from './qr.ts';
import { shapeOf } from './shape.ts';
import { type Frame, findPaper, inkShare, type Paper, shrink } from './threshold.ts';
import type { Homography } from './warp.ts';

/** Raised whenever the same raster may read differently: readings are kept beside it. */
export const ENGINE_VERSION = 5;

/** Nothing smaller holds a page: 100 pixels are 9 dpi. */
const SMALLEST_SIDE = 100;
/** Less ink than 0.03 % of the page's inside (about 10 mm²) is dust. */
const BLANK_INK = 0.0003;
/** Bubbles narrower than this begin to be misread. */
const LOW_RESOLUTION_PX = 12;
/** More off than this share of a bubble at the ticks, and bubbles are looked for where the ticks say … */
const FLAT = 0.03;
/** … and more than this is beyond what ticks 34 mm apart can tell. */
const MOST_BENT = 0.15;
/** Parts of a page that does not lie flat, each of whose outlines must be there. */
const PARTS = 40;
/** Outlines fainter than this are not where the template says. */
const WEAK_OUTLINES = 0.08;
/** Share of the ticks from which on a page lies as they say. */
const CLEAR_TICKS = 0.75;
/** And here a group of bubbles is torn off or covered: there is paper, but no print on it. */
const MISSING_OUTLINES = 0.04;
/** The second best template may match this share of the best at most. */
const CLEAR_LEAD = 0.6;

type PageFlag = SheetReading['flags'][number];

const foreign = (reason: string, looks_like: 'sheet' | null = null): Reading => ({
  kind: 'foreign',
  reason,
  looks_like,
  flags: [],
});

/**
 * @param templates what the page may be; Sheaf's own cover is always among them. A sheet is taken for the one its QR
 *   code names; without a readable code for the one whose bubbles fit, and then flagged `template-guessed`.
 */
export const readPage = (image: GrayImage, templates: readonly Template[]): Reading => {
  const { width, height, data } = image;
  if (width < SMALLEST_SIDE || height < SMALLEST_SIDE || data.length < width * height) {
    return foreign(`the image is too small for a page (${width} × ${height})`);
  }
  walk(data);
  const candidates = templates.includes(COVER) ? templates : [...templates, COVER];
  const paper = findPaper(image);
  const marked = readMarked(image, paper, candidates);
  // seen from behind, squares and ticks still make a pose, but no bubble is where it should be
  if (marked)
    return marked.kind === 'foreign' && !marked.looks_like ? (readMirrored(image, candidates) ?? marked) : marked;

  const frame = shrink(image);
  const ink = inkShare(frame, paper);
  const forms = candidates.filter((template) => !isSheaf(template));
  if (forms.length > 0 && ink.share >= BLANK_INK) {
    const reading = readForm(image, frame, paper, forms);
    if (reading) return reading;
  }
  if (ink.paper < 0.5) return foreign('the image is too dark to hold a page');
  if (ink.share < BLANK_INK) return { kind: 'blank', flags: [] };
  // the frame's memory is used again from here on
  const looks = looksLikeSheet(frame, paper) ? 'sheet' : null;
  const mirrored = readMirrored(image, candidates);
  if (mirrored) return mirrored;
  return foreign('no corner squares were found', looks);
};

/** Bytes that come from memory at once; of a raster larger than this most is never asked for, and the walk costs what it saves. */
const LINE = 64;
const MOST_WALKED = 6 * 2 ** 20;
/** Kept, so that no compiler takes the walk for idle. */
const kept = { walked: 0 };

/** A raster was just written by another core, and comes faster in a row than from all over the page: by turns, the reading took
 *  2.4 ms of 200 dpi with this walk and 2.7 without. */
const walk = (data: Uint8Array): void => {
  if (data.length > MOST_WALKED) return;
  let sum = 0;
  for (let at = 0; at < data.length; at += LINE) sum += data[at]!;
  kept.walked = sum;
};

/** Built-in sheets share one frame: it is looked for once. */
const byFrame = (templates: readonly SheafTemplate[]): SheafTemplate[][] => {
  const framed = new Map<string, SheafTemplate[]>();
  for (const template of templates) {
    const { whole } = frameKeys(template);
    const known = framed.get(whole);
    if (known) known.push(template);
    else framed.set(whole, [template]);
  }
  return [...framed.values()];
};

/** A page with Sheaf's own marks; null when they are not there. Fewer than four squares are looked at when four are not
 *  in their places. */
const readMarked = (image: GrayImage, paper: Paper, candidates: readonly Template[]): Reading | null => {
  const framed = byFrame(candidates.filter(isSheaf));
  const onFour = (zone: (typeof ZONES)[number]) => {
    const cornersBy = new Map<string, Corners | null>();
    return (template: SheafTemplate): Pose[] => {
      const { squares } = frameKeys(template);
      let corners = cornersBy.get(squares);
      if (corners === undefined) {
        corners = findCorners(image, paper, template, zone);
        cornersBy.set(squares, corners);
      }
      return corners ? findPoses(image, paper, corners, template) : [];
    };
  };
  const grown = (template: SheafTemplate): Pose[] => growPoses(image, shrink(image), paper, template);
  let weak: Found[] = [];
  for (const posesOf of [...ZONES.map(onFour), grown]) {
    const found = framed.flatMap((templates) => {
      const poses = posesOf(templates[0]!);
      return templates.flatMap((template) => poses.map((pose): Found => ({ template, pose })));
    });
    const best = found.reduce((most, { pose }) => Math.max(most, pose.belief), 0);
    const likely = found.filter(({ pose }) => pose.belief > best - TIE);
    // four blots may lie like corners by chance: few ticks go with them, and the page itself is tried for first
    if (likely.some(({ pose }) => (pose.ticks ?? 1) >= CLEAR_TICKS)) return readAs(image, paper, likely, candidates);
    if (weak.length === 0) weak = likely;
  }
  return weak.length > 0 ? readAs(image, paper, weak, candidates) : null;
};

const readAs = (image: GrayImage, paper: Paper, likely: Found[], candidates: readonly Template[]): Reading => {
  const covers = likely.filter(({ template }) => template.kind === 'cover');
  return covers.length > 0 ? readCover(image, paper, covers) : readSheet(image, paper, likely, candidates);
};

/** Squares without a pose may be those of a page seen from behind: then it is read from behind, and says so. */
const readMirrored = (image: GrayImage, candidates: readonly Template[]): Reading | null => {
  const { width, height } = image;
  const data = image.data.slice(0, width * height);
  for (let y = 0; y < height; y++) data.subarray(y * width, (y + 1) * width).reverse();
  const flipped = { width, height, data };
  const reading = readMarked(flipped, findPaper(flipped), candidates);
  if (!reading || (reading.kind !== 'sheet' && reading.kind !== 'cover')) return null;
  reading.flags.push('mirrored');
  if (reading.kind === 'sheet') {
    const h = reading.to_image;
    for (let i = 0; i < 3; i++) h[i] = width * h[6 + i]! - h[i]!;
  }
  return reading;
};

const isSheaf = (template: Template): template is SheafTemplate => template.fiducials.type === 'squares';

/** A page of another maker's form: the one of these whose bubbles are most surely there. */
const readForm = (image: GrayImage, frame: Frame, paper: Paper, forms: readonly Template[]): Reading | null => {
  const found = forms
    .flatMap((template) => {
      const pose = findForm(image, frame, paper, template);
      return pose ? [{ template, pose }] : [];
    })
    .sort((a, b) => b.pose.match - a.pose.match);
  const best = found[0];
  if (!best) return null;
  const { template, pose } = best;
  const flags: PageFlag[] = [];
  const second = found[1];
  if (second && second.pose.match > CLEAR_LEAD * pose.match) flags.push('template-guessed');
  const { bubbles } = layOut(template);
  const dark = measureBubbles(image, paper, pose.toImage, bubbles, { ...pose, outline: template.outline ?? 'ellipse' });
  const expected = glyphDarkness(dark, bubbles);
  const misaligned = !pose.upright || (template.fiducials.type !== 'marks' && pose.match === 0);
  return toReading(image, template, pose, dark, expected, misaligned, NO_QR, flags);
};

const NO_QR: SeenQr = { text: null, inked: false, like: null };

interface Found {
  template: Template;
  pose: Pose;
}

const keys = new WeakMap<Template, { whole: string; squares: string }>();

/** Templates with equal keys lie alike on the page. */
const frameKeys = (template: SheafTemplate): { whole: string; squares: string } => {
  let known = keys.get(template);
  if (!known) {
    const { page, fiducials, ticks } = template;
    const { size, centres, hollow } = fiducials;
    const squares = JSON.stringify([page, size, centres]);
    known = { squares, whole: JSON.stringify([squares, hollow, ticks]) };
    keys.set(template, known);
  }
  return known;
};

/** The first QR code that can be read in the zone of any of these poses, or else one that looks like a likely one, and
 *  which pose it is. */
const readQrOf = (image: GrayImage, paper: Paper, likely: readonly Found[]): { qr: SeenQr; pose: Pose } => {
  let alike: { qr: SeenQr; pose: Pose } | null = null;
  let inked = false;
  const tried: { zone: string; pose: Pose }[] = [];
  for (const { template, pose } of likely) {
    const zone = JSON.stringify(template.qr);
    if (tried.some((before) => before.zone === zone && before.pose === pose)) continue;
    tried.push({ zone, pose });
    const qr = readQr(image, paper, pose.toImage, template.qr, textsFor(likely));
    if (qr.text !== null) return { qr, pose };
    if (qr.like !== null) alike ??= { qr, pose };
    inked ||= qr.inked;
  }
  return alike ?? { qr: { ...NO_QR, inked }, pose: likely[0]!.pose };
};

/** What the codes of these templates say on their first page; covers all say something else. */
const textsFor = (likely: readonly Found[]): string[] =>
  likely
    .filter(({ template }) => template.kind === 'sheet' && template.qr !== null)
    .map(({ template }) => sheetQr({ templateId: template.id, version: template.version }));

const readCover = (image: GrayImage, paper: Paper, covers: readonly Found[]): Reading => {
  const { qr, pose } = readQrOf(image, paper, covers);
  const said = qr.text === null ? null : parseQr(qr.text);
  const flags: PageFlag[] = [];
  if (pose.missing > 0) flags.push('inferred-corner');
  if (qr.text === null) flags.push('qr-unreadable');
  const task_id = said?.kind === 'cover' ? said.task_id : null;
  return { kind: 'cover', task_id, qr: qr.text, orientation: pose.orientation, flags };
};

const readSheet = (image: GrayImage, paper: Paper, likely: Found[], candidates: readonly Template[]): Reading => {
  const flags: PageFlag[] = [];
  const { qr, pose: upright } = readQrOf(image, paper, likely);
  const text = qr.text ?? qr.like;
  const said = text === null ? null : parseQr(text);
  let chosen: Found | undefined;
  /** how well its outlines lie as printed, when that was asked */
  let match: number | null = null;
  if (said?.kind === 'sheet') {
    const names = ({ id, version }: Template): boolean => id === said.template_id && version === said.version;
    chosen = likely.find(({ template, pose }) => pose === upright && names(template));
    if (qr.text === null) {
      flags.push('template-guessed', 'qr-unreadable');
      if (!chosen || byOutlines(image, paper, [chosen]).length === 0) {
        return foreign(
          'its QR code cannot be read, and its bubbles are not those of the template it looks like',
          'sheet',
        );
      }
    }
    if (!chosen) {
      const known = candidates.some(names);
      const name = `${said.template_id} version ${said.version}`;
      return foreign(
        known ? `the page says ${name}, but its marks do not` : `the template ${name} is not known`,
        'sheet',
      );
    }
  } else if (likely.every(({ pose }) => pose.missing > 1)) {
    return foreign('corner squares are missing, and its QR code cannot be read', 'sheet');
  } else {
    // a sole template without a QR zone leaves nothing to guess
    const sure = likely.every(({ template }) => template.qr === null && template === likely[0]!.template);
    if (!sure) flags.push('template-guessed');
    if (qr.text === null && qr.inked) flags.push('qr-unreadable');
    const fitting = byOutlines(image, paper, likely);
    chosen = fitting[0]?.found;
    match = fitting[0]?.match ?? null;
    if (!chosen) return foreign('it has corner squares, but the bubbles of no known template');
    // a guess must be beyond doubt: read by the wrong template a page is all wrong answers
    if (fitting[1] && fitting[1].match > CLEAR_LEAD * fitting[0]!.match) {
      return foreign('its QR code cannot be read, and its bubbles fit more than one template', 'sheet');
    }
  }

  const { template, pose } = chosen;
  const { toImage } = pose;
  const flat = liesFlat(template, pose.residual);
  const bubbles = placesBy(template, pose.residual, pose.offs);
  const dark = measureBubbles(image, paper, toImage, bubbles);
  const misaligned =
    (pose.ticks ?? 1) < CLEAR_TICKS ||
    (flat
      ? (match ?? outlineMatch(image, paper, toImage, bubbles)) < WEAK_OUTLINES
      : pose.residual > MOST_BENT * smallestBubble(template) ||
        weakestPart(image, paper, toImage, bubbles) < WEAK_OUTLINES);
  // a guess that lies beside its bubbles may as well be another template's page
  if (misaligned && flags.includes('template-guessed')) {
    return foreign(
      'its QR code cannot be read, and its bubbles do not lie where those of any known template do',
      'sheet',
    );
  }
  if (isLowContrast(image, paper, pose, template.ticks)) flags.push('low-contrast');
  const look: Look = {
    shape: (bubble) => shapeOf(image, paper, toImage, bubbles[bubble]!, dark[bubble]!),
    printed: (first, count) =>
      outlineMatch(image, paper, toImage, bubbles.slice(first, first + count)) > MISSING_OUTLINES,
  };
  return toReading(image, template, pose, dark, wornDarkness(template, dark), misaligned, qr, flags, look);
};

const liesFlat = (template: Template, residual: number): boolean => residual < FLAT * smallestBubble(template);

const placesBy = (template: Template, residual: number, offs: readonly Off[]): readonly Bubble[] => {
  const printed = layOut(template).bubbles;
  return liesFlat(template, residual) ? printed : (flatten(printed, offs) ?? printed);
};

/**
 * Where the bubbles of a sheet lie on its raster, in the millimetres that the reading's `to_image` takes there: as printed
 * on a page that lies flat, else moved as its ticks say. Other makers' forms have no ticks, and theirs are as printed.
 */
export const placesOn = (image: GrayImage, reading: SheetReading, template: Template): readonly Bubble[] => {
  if (!isSheaf(template)) return layOut(template).bubbles;
  const offs = ticksOff(image, reading.to_image as unknown as Homography, template);
  return placesBy(template, residualOf(offs), offs);
};

const weakestPart = (image: GrayImage, paper: Paper, toImage: Homography, bubbles: readonly Bubble[]): number => {
  const size = Math.ceil(bubbles.length / PARTS);
  let least = 1;
  for (let first = 0; first < bubbles.length; first += size) {
    least = Math.min(least, outlineMatch(image, paper, toImage, bubbles.slice(first, first + size)));
  }
  return least;
};

const smallest = new WeakMap<Template, number>();

const smallestBubble = (template: Template): number => {
  let known = smallest.get(template);
  if (known === undefined) {
    known = layOut(template).bubbles.reduce((least, { width, height }) => Math.min(least, width, height), 5);
    smallest.set(template, known);
  }
  return known;
};

const toReading = (
  image: GrayImage,
  template: Template,
  pose: Pose,
  dark: Float64Array,
  expected: Float64Array,
  misaligned: boolean,
  qr: SeenQr,
  flags: PageFlag[],
  look: Look | null = null,
): SheetReading => {
  const { fields } = layOut(template);
  const levels = pageLevels(dark, expected);
  const net = netDarkness(dark, expected, levels.offset);
  if (pose.missing > 0) flags.push('inferred-corner');
  if (misaligned) flags.push('alignment');
  if (hasStreak(image)) flags.push('streak');
  if (Math.sqrt(Math.abs(area(pose))) * smallestBubble(template) < LOW_RESOLUTION_PX) flags.push('low-resolution');
  const blank = blankLevel(levels, look ? 'known' : 'guessed');
  const decided = fields.map((field) => decideField(field, net, levels.threshold, blank, look));
  return {
    kind: 'sheet',
    template_id: template.id,
    template_version: template.version,
    qr: qr.text,
    orientation: pose.orientation,
    to_image: [...pose.toImage],
    // measured beside the bubbles, no answer is sure, however dark it is
    fields: misaligned ? decided.map(doubted) : decided,
    fills: toBase64(Uint8Array.from(net, byte)),
    threshold: byte(levels.threshold),
    flags,
  };
};

const doubted = (field: FieldReading): FieldReading => ({
  ...field,
  confidence: Math.min(field.confidence, 1 - MISALIGNED_ERROR),
  flags: field.flags.includes('doubtful') ? field.flags : [...field.flags, 'doubtful'],
});

const byte = (value: number): number => Math.round(Math.max(0, Math.min(1, value)) * 255);

/** Square pixels per square millimetre near the page's origin. */
const area = ({ toImage: h }: Pose): number => h[0] * h[4] - h[1] * h[3];

/** Candidates whose printed outlines are there, the best first. */
const byOutlines = (image: GrayImage, paper: Paper, likely: readonly Found[]): { found: Found; match: number }[] =>
  likely
    .map((found) => ({
      found,
      match: outlineMatch(image, paper, found.pose.toImage, layOut(found.template).bubbles),
    }))
    .filter(({ match }) => match > WEAK_OUTLINES)
    .sort((a, b) => b.match - a.match);
