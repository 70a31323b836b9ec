// What a mark looks like: a blot, a tick or a cross, something scribbled over the bubble's edge, or drawn around it. Looked
// at only where a mark is, for it takes five times as long as measuring how dark a bubble is.
import type { Bubble } from '../template/geometry.ts';
import type { GrayImage } from './image.ts';
import { FRACTION, fixed, linesOf, samplesOf } from './points.ts';
import { type Paper, paperAt } from './threshold.ts';
import { type Homography, type Point, project } from './warp.ts';

export interface Shape {
  /** share of the bubble's inside that the mark covers */
  cover: number;
  /** how drawn-out the mark is: 1 for a round blot, 1.4 and more for crosses, 2 and more for lines */
  drawn: number;
  /** share of a narrow ring just outside the printed outline that is inked */
  beyond: number;
  /** share of that ring that is as dark as a pencil line, however faint the mark inside */
  beside: number;
  /** darkness of the mark itself, not of the paper between its strokes */
  ink: number;
}

// Measured on drawn marks of each kind at 150 and 200 dpi, from clean to level three of the corpus: fills are at most 1.1
// drawn-out (1.3 where small and faint), ticks and crosses at least 1.25; a fill's edge takes up to 0.37 of the ring, what
// is scribbled over 0.45 and more for nine in ten.
export const isTick = ({ drawn, cover, ink }: Shape): boolean => drawn > 1.22 && cover < 0.7 && ink > 0.3;
export const isScribble = ({ beyond, cover }: Shape): boolean => beyond > 0.42 && cover > 0.75;
/** Wide and pale, as an eraser leaves a mark; a mark as faint in the mean that was meant is darker and covers less. */
export const isRubbed = ({ cover, ink }: Shape): boolean => cover > 0.78 && ink < 0.37;
/** Something is drawn around the bubble and not in it. A ring around it takes 0.83 of this one; what neighbours' ticks and
 *  strokes reach of it is a quarter at most. */
export const isOutside = ({ beside }: Shape): boolean => beside > 0.25;

const GRID = 15;
/** In bubble widths from the centre: inside the printed outline, and just beyond it but short of the neighbours'. */
const INSIDE = 0.42;
const RING = 0.585;

/** In units of a bubble's width and height: the inside, and a ring beyond the outline, x and y by turns. */
const INNER = samplesOf(2 * INSIDE, GRID);
/** The inside in whole numbers: halves of a cell of the grid from the centre. */
const HALF_CELLS = Int8Array.from(INNER, (place) => Math.round((place * GRID) / INSIDE));
const INNER_LINES = linesOf(2 * INSIDE, GRID);
const AROUND = ((): Float64Array => {
  const points: number[] = [];
  for (let i = 0; i < 12; i++) {
    // points of a quarter of a circle without sine or cosine, and the three quarters after it
    const t = i / 12;
    const u = (RING * (1 - t * t)) / (1 + t * t);
    const v = (RING * 2 * t) / (1 + t * t);
    points.push(u, v, -v, u, -u, -v, v, -u);
  }
  return Float64Array.from(points);
})();

/** What is darker than this over paper may be ink, and a mark is what is at least half as dark as its darkest tenth. */
const LEAST_INK = 0.14;
const OF_DARKEST = 0.5;
/** A bubble darker than this in the mean is covered all over: strokes leave paper between them. */
const SOLID = 0.64;
/** Grain is not as dark as this, the lightest pencil line is. */
const PENCIL = 0.3;

// scratch memory: what was sampled in and around the bubble being looked at, and how often each grey occurs
const inside = new Uint8Array(INNER.length / 2);
const around = new Uint8Array(AROUND.length / 2);
const counts = new Uint16Array(256);

type Axes = readonly [ux: number, uy: number, vx: number, vy: number];

/** Whether a bubble and the ring around it are on the raster. */
const isOn = ({ width, height }: GrayImage, { x, y }: Point, [ux, uy, vx, vy]: Axes): boolean => {
  const reachX = Math.abs(ux) + Math.abs(vx);
  const reachY = Math.abs(uy) + Math.abs(vy);
  return x > reachX && y > reachY && x + reachX < width && y + reachY < height;
};

/** The greys of sample points around a centre, white beyond the raster. */
const sample = (
  image: GrayImage,
  points: Float64Array,
  to: Uint8Array,
  { x: cx, y: cy }: Point,
  [ux, uy, vx, vy]: Axes,
  on: boolean,
): void => {
  const { data, width, height } = image;
  if (on) {
    for (let i = 0; i < to.length; i++) {
      const u = points[2 * i]!;
      const v = points[2 * i + 1]!;
      // on the raster nothing is below 0, and cutting off is rounding down
      to[i] = data[((cy + u * uy + v * vy) | 0) * width + ((cx + u * ux + v * vx) | 0)]!;
    }
    return;
  }
  for (let i = 0; i < to.length; i++) {
    const u = points[2 * i]!;
    const v = points[2 * i + 1]!;
    const x = Math.floor(cx + u * ux + v * vx);
    const y = Math.floor(cy + u * uy + v * vy);
    to[i] = x < 0 || y < 0 || x >= width || y >= height ? 255 : data[y * width + x]!;
  }
};

/** The same for the inside of a bubble that is on the raster. */
const sampleInside = ({ data, width }: GrayImage, { x: cx, y: cy }: Point, [ux, uy, vx, vy]: Axes): void => {
  const { lines, step } = INNER_LINES;
  const dx = fixed(step * vx);
  const dy = fixed(step * vy);
  let at = 0;
  for (let l = 0; l < lines.length; l += 3) {
    const u = lines[l]!;
    const v = lines[l + 1]!;
    const points = lines[l + 2]! | 0;
    let x = fixed(cx + u * ux + v * vx);
    let y = fixed(cy + u * uy + v * vy);
    for (let i = 0; i < points; i++) {
      inside[at++] = data[(y >> FRACTION) * width + (x >> FRACTION)]!;
      x = (x + dx) | 0;
      y = (y + dy) | 0;
    }
  }
};

/** @param darkness as measured inside the bubble; what is nearly black all over needs no look inside */
export const shapeOf = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  { x, y, width: w, height: h }: Bubble,
  darkness: number,
): Shape => {
  const centre = project(toImage, x, y);
  const east = project(toImage, x + w / 2, y);
  const south = project(toImage, x, y + h / 2);
  const axes = [
    2 * (east.x - centre.x),
    2 * (east.y - centre.y),
    2 * (south.x - centre.x),
    2 * (south.y - centre.y),
  ] as const;
  const bright = Math.max(1, paperAt(paper, centre.x, centre.y));
  const on = isOn(image, centre, axes);
  const [ink, cover, drawn] = darkness > SOLID ? [darkness, 1, 1] : insideOf(image, centre, axes, bright, on);
  sample(image, AROUND, around, centre, axes, on);
  const markBelow = bright * (1 - Math.max(LEAST_INK, OF_DARKEST * ink));
  const pencilBelow = bright * (1 - PENCIL);
  let beyond = 0;
  let beside = 0;
  for (let i = 0; i < around.length; i++) {
    if (around[i]! < markBelow) beyond++;
    if (around[i]! < pencilBelow) beside++;
  }
  return { cover, drawn, beyond: beyond / around.length, beside: beside / around.length, ink };
};

const insideOf = (
  image: GrayImage,
  centre: Point,
  axes: Axes,
  bright: number,
  on: boolean,
): [ink: number, cover: number, drawn: number] => {
  if (on) sampleInside(image, centre, axes);
  else sample(image, INNER, inside, centre, axes, on);
  const n = inside.length;
  counts.fill(0);
  for (let i = 0; i < n; i++) counts[inside[i]!] = counts[inside[i]!]! + 1;
  let darkest = 0;
  for (let below = counts[0]!; below * 10 < n; below += counts[darkest]!) darkest++;
  const ink = Math.max(0, 1 - darkest / bright);
  const markBelow = bright * (1 - Math.max(LEAST_INK, OF_DARKEST * ink));
  const most = Math.floor(markBelow);
  let count = 0;
  let mx = 0;
  let my = 0;
  let m2 = 0;
  for (let i = 0; i < n; i++) {
    // 1 where it is marked: grain would make a branch here go wrong half of the time
    const marked = (inside[i]! - most - 1) >>> 31;
    const u = HALF_CELLS[2 * i]!;
    const v = HALF_CELLS[2 * i + 1]!;
    count += marked;
    mx += marked * u;
    my += marked * v;
    m2 += marked * (u * u + v * v);
  }
  if (count === 0) return [ink, 0, 1];
  // a disc of area A has a mean squared radius of A / 2π; a sample stands for its cell of the grid, of four quarters
  const spread = m2 / count - (mx / count) ** 2 - (my / count) ** 2;
  return [ink, count / n, (spread * 2 * Math.PI) / (count * 4)];
};
