// How dark each bubble is, against the paper around it and the letter printed in it.

import { type Bubble, layOut } from '../template/geometry.ts';
import { textStrokes, textWidth } from '../template/glyphs.ts';
import { LETTER_HEIGHT, LETTER_INK, LETTER_LINE } from '../template/print.ts';
import type { Template } from '../template/template.ts';
import type { GrayImage } from './image.ts';
import { FRACTION, fixed, linesOf, samplesOf } from './points.ts';
import { brightnessOf, type Paper, paperAt } from './threshold.ts';
import { type Homography, type Point, project } from './warp.ts';

/** Share of the radius that is measured: inside the printed outline at 0.1 bubble of misalignment. */
const INNER = 0.76;
const GRID = 10;

/** Of a box the corners count too, and its sides are further out than an ellipse's. */
const INNER_BOX = 0.7;

const SAMPLES = linesOf(INNER, GRID);
/** Of forms whose letters may be black and scanned in black and white, where a coarse grid meets a stroke by chance. */
const DENSE = { ellipse: linesOf(INNER, 24), box: linesOf(INNER_BOX, 24, true) };

/** What is known of the bubbles of one page beyond the plane they lie in. */
export interface Lie {
  /** how far each bubble lies from its place, x and y by turns in millimetres */
  shift?: Float64Array;
  /** the printed outline's size over the template's */
  grown?: number;
  /** of another maker's bubbles */
  outline?: 'ellipse' | 'box';
}

/** A bubble is seen when this share of it is on the raster. */
const MOSTLY = 0.8;
/** Below this share of a page's usual brightness there is no paper: the page is torn there, or a lid shows. */
const NO_PAPER = 0.3;

/** Darkness of every bubble in the template's order: 0 as light as the paper, 1 black, NaN where the bubble lies beyond the
 *  raster or where there is no paper. */
export const measureBubbles = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  bubbles: readonly Bubble[],
  { shift, grown = 1, outline }: Lie = {},
): Float64Array => {
  const { width, height, data } = image;
  const samples = outline ? DENSE[outline] : SAMPLES;
  const { lines } = samples;
  const dark = new Float64Array(bubbles.length);
  const darkest = NO_PAPER * brightnessOf(paper);
  for (let b = 0; b < bubbles.length; b++) {
    const bubble = bubbles[b]!;
    const bx = bubble.x + (shift ? shift[2 * b]! : 0);
    const by = bubble.y + (shift ? shift[2 * b + 1]! : 0);
    const halfWide = (bubble.width / 2) * grown;
    const halfHigh = (bubble.height / 2) * grown;
    const centre = project(toImage, bx, by);
    // within one bubble perspective is straight enough to be a pair of steps
    const east = project(toImage, bx + halfWide, by);
    const west = project(toImage, bx - halfWide, by);
    const south = project(toImage, bx, by + halfHigh);
    const north = project(toImage, bx, by - halfHigh);
    const ux = east.x - west.x;
    const uy = east.y - west.y;
    const vx = south.x - north.x;
    const vy = south.y - north.y;
    const reachX = (Math.abs(ux) + Math.abs(vx)) / 2;
    const reachY = (Math.abs(uy) + Math.abs(vy)) / 2;
    // far off the raster there is nothing to count, and whole numbers would not reach
    if (!(centre.x > -reachX && centre.y > -reachY && centre.x < width + reachX && centre.y < height + reachY)) {
      dark[b] = Number.NaN;
      continue;
    }
    const inside =
      centre.x > reachX && centre.y > reachY && centre.x + reachX < width - 1 && centre.y + reachY < height - 1;
    const dx = fixed(samples.step * vx);
    const dy = fixed(samples.step * vy);
    let sum = 0;
    let count = inside ? samples.points : 0;
    for (let l = 0; l < lines.length; l += 3) {
      const u = lines[l]!;
      const v = lines[l + 1]!;
      const points = lines[l + 2]! | 0;
      let x = fixed(centre.x + u * ux + v * vx);
      let y = fixed(centre.y + u * uy + v * vy);
      if (inside) {
        for (let i = 0; i < points; i++) {
          sum += data[(y >> FRACTION) * width + (x >> FRACTION)]!;
          x = (x + dx) | 0;
          y = (y + dy) | 0;
        }
        continue;
      }
      for (let i = 0; i < points; i++) {
        const ix = x >> FRACTION;
        const iy = y >> FRACTION;
        x = (x + dx) | 0;
        y = (y + dy) | 0;
        if (ix < 0 || iy < 0 || ix >= width || iy >= height) continue;
        sum += data[iy * width + ix]!;
        count++;
      }
    }
    const bright = paperAt(paper, centre.x, centre.y);
    const seen = count > MOSTLY * samples.points && bright > darkest;
    dark[b] = seen ? Math.max(0, 1 - sum / count / bright) : Number.NaN;
  }
  return dark;
};

/** What other makers print inside bubbles is not known, but most bubbles of a letter are unmarked on the page itself. */
const MOST_GLYPH = 0.22;
/** With few bubbles of a letter the page's middle is believed as much. */
const GLYPH_WEIGHT = 6;

const FEW = 40;
const DARKEST_BLANK = 0.12;

/** Bubbles by what is printed in them and how large they are, by index. */
const alike = (bubbles: readonly Bubble[]): number[][] => {
  const groups = new Map<string, number[]>();
  bubbles.forEach(({ option, width, height }, i) => {
    const kind = `${option}/${Math.round(width * 4)}/${Math.round(height * 4)}`;
    const group = groups.get(kind);
    if (group) group.push(i);
    else groups.set(kind, [i]);
  });
  return [...groups.values()];
};

/** Middle of the numbers, the lower one of two; those that are not seen (NaN) do not count. */
const middle = (values: Float64Array): number => {
  values.sort();
  let seen = values.length;
  while (seen > 0 && Number.isNaN(values[seen - 1]!)) seen--;
  return values[(seen - 1) >> 1] ?? 0;
};

/** How dark each bubble is without a mark, from the page itself: the middle of all bubbles with that letter. */
export const glyphDarkness = (dark: Float64Array, bubbles: readonly Bubble[]): Float64Array => {
  // print is seldom darker than this inside; where all of few bubbles are marked, their middle is a mark's
  const page = Math.min(middle(dark.slice()), dark.length < FEW ? DARKEST_BLANK : 1);
  const expected = new Float64Array(dark.length);
  for (const group of alike(bubbles)) {
    const own = middle(Float64Array.from(group, (i) => dark[i]!));
    const extra =
      Math.max(-MOST_GLYPH, Math.min(MOST_GLYPH, own - page)) * (group.length / (group.length + GLYPH_WEIGHT));
    for (const i of group) expected[i] = page + extra;
  }
  return expected;
};

/** Blur, ink and the scanner's curve make a letter differ this much from what was printed; a letter that differs more is
 *  marked on most of the page. */
const MOST_WORN = 0.06;

const kinds = new WeakMap<Template, number[][]>();

/**
 * How dark each bubble of a sheet of Sheaf's own is without a mark: what its letter covers, and how that came out on this
 * page by the middle of all bubbles with that letter.
 */
export const wornDarkness = (template: Template, dark: Float64Array): Float64Array => {
  const printed = blankDarkness(template);
  const groups = kinds.get(template) ?? alike(layOut(template).bubbles);
  kinds.set(template, groups);
  const over = new Float64Array(dark.length);
  for (let i = 0; i < over.length; i++) over[i] = dark[i]! - printed[i]!;
  const page = middle(over.slice());
  const expected = printed.slice();
  for (const group of groups) {
    const own = new Float64Array(group.length);
    for (let i = 0; i < own.length; i++) own[i] = over[group[i]!]!;
    const extra = middle(own) - page;
    if (!(Math.abs(extra) < MOST_WORN)) continue;
    for (const i of group) expected[i] = expected[i]! + extra * (group.length / (group.length + GLYPH_WEIGHT));
  }
  return expected;
};

const known = new WeakMap<Template, Float64Array>();

/** How dark each bubble of a template is when nobody marked it: what its letter covers of the measured part. */
const blankDarkness = (template: Template): Float64Array => {
  const before = known.get(template);
  if (before) return before;
  const byKind = new Map<string, number>();
  const expected = Float64Array.from(layOut(template).bubbles, (bubble) => {
    const kind = `${bubble.option}/${bubble.width}/${bubble.height}`;
    const value = byKind.get(kind) ?? letterShare(bubble) * LETTER_INK;
    byKind.set(kind, value);
    return value;
  });
  known.set(template, expected);
  return expected;
};

/** Finer than what is measured: a stroke must not meet or miss a coarse grid by chance. */
const FINE_SAMPLES = samplesOf(INNER, 40);

/** Share of the measured part that lies on the letter's strokes. */
const letterShare = ({ option, width, height }: Bubble): number => {
  const h = height * LETTER_HEIGHT;
  const segments = textStrokes(option, -textWidth(option, h) / 2, -h / 2, h);
  const reach = (LETTER_LINE / 2) * (LETTER_LINE / 2);
  let on = 0;
  for (let s = 0; s < FINE_SAMPLES.length; s += 2) {
    const [x, y] = [FINE_SAMPLES[s]! * width, FINE_SAMPLES[s + 1]! * height];
    for (let k = 0; k < segments.length; k += 4) {
      const [x1, y1, x2, y2] = segments.slice(k, k + 4) as [number, number, number, number];
      const [dx, dy] = [x2 - x1, y2 - y1];
      const t = Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
      const [ex, ey] = [x - x1 - t * dx, y - y1 - t * dy];
      if (ex * ex + ey * ey > reach) continue;
      on++;
      break;
    }
  }
  return (2 * on) / FINE_SAMPLES.length;
};

/** The outline is looked for on this many points around each bubble, x and y by turns: a unit circle in eighths and between. */
const AROUND = Float64Array.from(
  [
    [1, 0],
    [0.8, 0.6],
    [0.6, 0.8],
    [0, 1],
    [-0.6, 0.8],
    [-0.8, 0.6],
    [-1, 0],
    [-0.8, -0.6],
    [-0.6, -0.8],
    [0, -1],
    [0.6, -0.8],
    [0.8, -0.6],
  ].flat(),
);
/** In bubble widths from the centre: on the outline, and just outside it. */
const ON = Float64Array.of(0.44, 0.48, 0.52);
const OFF = Float64Array.of(0.58);

/**
 * How well the printed outlines lie where the template says, over about 50 bubbles: mean darkness on the outline less
 * that just outside it. About 0.2 or more on the right template, near 0 on a wrong one.
 */
export const outlineMatch = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  bubbles: readonly Bubble[],
): number => {
  const stride = Math.max(1, Math.floor(bubbles.length / 50));
  let sum = 0;
  let count = 0;
  for (let b = 0; b < bubbles.length; b += stride) {
    const { x, y, width, height } = bubbles[b]!;
    const centre = project(toImage, x, y);
    const east = project(toImage, x + width, y);
    const south = project(toImage, x, y + height);
    const ux = east.x - centre.x;
    const uy = east.y - centre.y;
    const vx = south.x - centre.x;
    const vy = south.y - centre.y;
    const bright = Math.max(1, paperAt(paper, centre.x, centre.y));
    for (let i = 0; i < AROUND.length; i += 2) {
      const u = AROUND[i]!;
      const v = AROUND[i + 1]!;
      const dx = u * ux + v * vx;
      const dy = u * uy + v * vy;
      const on = darkest(image, centre, dx, dy, ON);
      const off = darkest(image, centre, dx, dy, OFF);
      if (on > 255 || off > 255) continue;
      sum += (off - on) / bright;
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
};

/** The darkest pixel in a direction from a point at these shares of it; more than 255 when none is on the raster. */
const darkest = (
  { data, width, height }: GrayImage,
  { x, y }: Point,
  dx: number,
  dy: number,
  shares: Float64Array,
): number => {
  let least = 256;
  for (let i = 0; i < shares.length; i++) {
    const ix = Math.floor(x + dx * shares[i]!);
    const iy = Math.floor(y + dy * shares[i]!);
    if (ix < 0 || iy < 0 || ix >= width || iy >= height) continue;
    const value = data[iy * width + ix]!;
    if (value < least) least = value;
  }
  return least;
};
