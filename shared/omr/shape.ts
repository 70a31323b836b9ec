// What a mark looks like: a blot, a tick or a cross, something scribbled over the bubble's edge, or drawn around it. Looked
// at only where a mark is, for it takes five times as long as measuring how dark a bubble is.
import type { Bubble } from '../template/geometry.ts';
import type { GrayImage } from './image.ts';
import { type Paper, paperAt } from './threshold.ts';
import { type Homography, project } from './warp.ts';

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
/** Something is drawn around the bubble and not in it. A ring around it takes 0.83 of this one; what neighbours' ticks and
 *  strokes reach of it is a quarter at most. */
export const isOutside = ({ beside }: Shape): boolean => beside > 0.25;

const GRID = 22;
/** In bubble widths from the centre: inside the printed outline, and just beyond it but short of the neighbours'. */
const INSIDE = 0.42;
const RING = [0.56, 0.61] as const;

interface Samples {
  x: Float64Array;
  y: Float64Array;
}

const samplesIn = (least: number, most: number): Samples => {
  const [x, y]: [number[], number[]] = [[], []];
  for (let j = 0; j < GRID; j++) {
    for (let i = 0; i < GRID; i++) {
      const u = ((i + 0.5) / GRID - 0.5) * 2 * most;
      const v = ((j + 0.5) / GRID - 0.5) * 2 * most;
      const r2 = u * u + v * v;
      if (r2 < least * least || r2 > most * most) continue;
      x.push(u);
      y.push(v);
    }
  }
  return { x: Float64Array.from(x), y: Float64Array.from(y) };
};
const INNER = samplesIn(0, INSIDE);
const AROUND = samplesIn(...RING);

/** What is darker than this over paper may be ink, and a mark is what is at least half as dark as its darkest tenth. */
const LEAST_INK = 0.14;
const OF_DARKEST = 0.5;
/** Grain is not as dark as this, the lightest pencil line is. */
const PENCIL = 0.3;

// scratch memory: what was sampled of the bubble being looked at, and how often each grey occurs
const inside = new Uint8Array(INNER.x.length);
const counts = new Uint16Array(256);
/** What is seen of a bubble beyond the raster: nothing. */
const BEYOND_RASTER = 255;

export const shapeOf = (
  { data, width, height }: GrayImage,
  paper: Paper,
  toImage: Homography,
  { x, y, width: w, height: h }: Bubble,
): Shape => {
  const centre = project(toImage, x, y);
  const east = project(toImage, x + w / 2, y);
  const south = project(toImage, x, y + h / 2);
  const [cx, cy] = [centre.x, centre.y];
  const [ux, uy] = [2 * (east.x - cx), 2 * (east.y - cy)];
  const [vx, vy] = [2 * (south.x - cx), 2 * (south.y - cy)];
  const greyAt = (u: number, v: number): number => {
    const px = Math.floor(cx + u * ux + v * vx);
    const py = Math.floor(cy + u * uy + v * vy);
    return px < 0 || py < 0 || px >= width || py >= height ? BEYOND_RASTER : data[py * width + px]!;
  };
  const n = inside.length;
  counts.fill(0);
  for (let i = 0; i < n; i++) {
    const grey = greyAt(INNER.x[i]!, INNER.y[i]!);
    inside[i] = grey;
    counts[grey] = counts[grey]! + 1;
  }
  let darkest = 0;
  for (let below = counts[0]!; below * 10 < n; below += counts[darkest]!) darkest++;
  const bright = Math.max(1, paperAt(paper, cx, cy));
  const ink = Math.max(0, 1 - darkest / bright);
  const markBelow = bright * (1 - Math.max(LEAST_INK, OF_DARKEST * ink));
  const pencilBelow = bright * (1 - PENCIL);
  let [count, mx, my, m2] = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    if (inside[i]! > markBelow) continue;
    const u = INNER.x[i]!;
    const v = INNER.y[i]!;
    count++;
    mx += u;
    my += v;
    m2 += u * u + v * v;
  }
  let [beyond, beside] = [0, 0];
  const ring = AROUND.x.length;
  for (let i = 0; i < ring; i++) {
    const grey = greyAt(AROUND.x[i]!, AROUND.y[i]!);
    if (grey < markBelow) beyond++;
    if (grey < pencilBelow) beside++;
  }
  // a disc of area A has a mean squared radius of A / 2π; a sample stands for its cell of the grid
  const cell = ((2 * INSIDE) / GRID) ** 2;
  const spread = count === 0 ? 0 : m2 / count - (mx / count) ** 2 - (my / count) ** 2;
  const drawn = count === 0 ? 1 : (spread * 2 * Math.PI) / (count * cell);
  return { cover: count / n, drawn, beyond: beyond / ring, beside: beside / ring, ink };
};
