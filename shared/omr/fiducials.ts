// Finds the four corner squares in a frame. Ink is joined into connected components in the corners of the raster; of
// those that could be squares, the four are taken that lie as the template says and have the size that this implies.
import type { SheafTemplate } from '../template/built-in.ts';
import { type Blob, blobsIn } from './blobs.ts';
import type { GrayImage } from './image.ts';
import { type Frame, inkLevels, type Paper, paperAt, shrink } from './threshold.ts';
import type { Point } from './warp.ts';

export interface Mark extends Point {
  /** side of the square in raster pixels */
  side: number;
  /** how light its middle is: 0 as dark as the rim, 1 as light as paper */
  hole: number;
}

/** Four squares as they lie in the raster, clockwise from its top left. */
export type Corners = readonly [Mark, Mark, Mark, Mark];

/** Corner squares are looked for this far in from the raster's edges: first where a flatbed puts them, then where they are up to
 *  4° askew, then where 10° and a margin around put them. */
export const ZONES = [0.1, 0.16, 0.3] as const;
/** Paper is looked for around the largest square at a zone's end: so much of the frame's short side further. */
const AROUND = 0.06;
/** A 6 mm square is 2.0 % of an A4 page's long side; these allow pages that fill 55 to 120 % of the raster. */
const SMALLEST = 0.55;
const LARGEST = 1.7;
/** In frame pixels: 6 mm at 34 dpi. */
const SMALLEST_SQUARE = 8;
/** Of each corner only the likeliest few are tried in combination. */
const MOST_CANDIDATES = 6;

/** The best four squares, one in each corner of the raster; null when no four lie as the template says. */
export const findCorners = (
  image: GrayImage,
  paper: Paper,
  template: SheafTemplate,
  zone: (typeof ZONES)[number],
): Corners | null => {
  const frame = shrink(image, 'small', zone + AROUND);
  const { size, centres } = template.fiducials;
  const expected = expectedSide(frame, template);
  const zoneWidth = Math.floor(frame.width * zone);
  const zoneHeight = Math.floor(frame.height * zone);
  const right = frame.width - zoneWidth;
  const low = frame.height - zoneHeight;
  const levels = inkLevels(paper);
  const [least, most] = [expected * SMALLEST, expected * LARGEST];
  const candidates = [
    [0, 0],
    [right, 0],
    [right, low],
    [0, low],
  ].map(([x, y]) => {
    const corner = { x: x!, y: y!, width: zoneWidth, height: zoneHeight };
    // cut off at the zone's inner sides a square would be measured beside its middle
    const whole = blobsIn(frame, levels, paper.columns, corner, least, most).filter(
      ({ left, right: end, top, bottom }) =>
        (x === 0 ? end < zoneWidth - 1 : left > x!) && (y === 0 ? bottom < zoneHeight - 1 : top > y!),
    );
    return squaresAmong(whole, frame, paper, expected).slice(0, MOST_CANDIDATES);
  });
  const [a, b, , d] = centres;
  const width = distance({ x: a[0], y: a[1] }, { x: b[0], y: b[1] });
  const height = distance({ x: a[0], y: a[1] }, { x: d[0], y: d[1] });
  return bestFour(candidates, { width, height, size });
};

/** Side of a corner square in frame pixels on a page that fills the raster. */
export const expectedSide = (frame: Frame, { page, fiducials }: SheafTemplate): number =>
  (fiducials.size / Math.max(page.width, page.height)) * Math.max(frame.width, frame.height);

/** Components that could be a corner square, the likeliest first. A square too small to have a hole in it looks like
 *  anything, and anything like it: then there are none. */
export const squaresAmong = (blobs: readonly Blob[], frame: Frame, paper: Paper, expected: number): Mark[] => {
  if (expected < SMALLEST_SQUARE) return [];
  const found: { mark: Mark; unlike: number }[] = [];
  for (const blob of blobs) {
    const w = blob.right - blob.left + 1;
    const h = blob.bottom - blob.top + 1;
    const [short, long] = w < h ? [w, h] : [h, w];
    if (short < expected * SMALLEST || long > expected * LARGEST || long > short * 1.4) continue;
    // half the box is what a hollow square turned by 10° leaves; a ring or a letter leaves less
    const box = blob.area / (w * h);
    if (box < 0.45) continue;
    const mark = measureSquare(frame, paper, blob);
    if (!mark) continue;
    const ratio = mark.side / (expected * frame.shrink);
    found.push({ mark, unlike: (ratio > 1 ? ratio - 1 : 1 / ratio - 1) + (long / short - 1) });
  }
  return found.sort((a, b) => a.unlike - b.unlike).map(({ mark }) => mark);
};

/** Centre of mass of the darkness, which is finer than a pixel, and how light the middle is. */
const measureSquare = (frame: Frame, paper: Paper, blob: Blob): Mark | null => {
  const { width, height, data, shrink } = frame;
  const bright = paperAt(
    paper,
    ((blob.left + blob.right + 1) / 2) * shrink,
    ((blob.top + blob.bottom + 1) / 2) * shrink,
  );
  // two pixels of rim: blurred edges belong to the square on both sides alike
  const left = Math.max(0, blob.left - 2);
  const right = Math.min(width - 1, blob.right + 2);
  const top = Math.max(0, blob.top - 2);
  const bottom = Math.min(height - 1, blob.bottom + 2);
  let [mass, mx, my, deepest] = [0, 0, 0, 255];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const value = data[y * width + x]!;
      if (value < deepest) deepest = value;
      const dark = bright - value;
      // paper's own grain weighs nothing
      if (dark < bright * 0.15) continue;
      mass += dark;
      mx += dark * x;
      my += dark * y;
    }
  }
  if (mass === 0 || bright <= deepest) return null;
  const [cx, cy] = [mx / mass, my / mass];
  const w = blob.right - blob.left + 1;
  const h = blob.bottom - blob.top + 1;
  if (!isClearAround(frame, cx, cy, Math.max(w, h), bright)) return null;
  // the middle quarter of the side lies well inside a hole of half the side
  const reach = Math.max(0, Math.floor(Math.min(w, h) / 8));
  let [sum, count] = [0, 0];
  for (let y = Math.round(cy) - reach; y <= Math.round(cy) + reach; y++) {
    for (let x = Math.round(cx) - reach; x <= Math.round(cx) + reach; x++) {
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      sum += data[y * width + x]!;
      count++;
    }
  }
  const hole = Math.max(0, Math.min(1, (sum / count - deepest) / (bright - deepest)));
  // what the ink covers, with the hole filled in, is the square's area at any skew
  const side = Math.sqrt(blob.area / (hole > 0.5 ? 0.75 : 1));
  return { x: (cx + 0.5) * shrink, y: (cy + 0.5) * shrink, side: side * shrink, hole };
};

/** How far out from the centre the paper is looked at, in sides, and how much of it must be clean. */
const CLEAR_AT = 0.85;
const CLEAR_SHARE = 0.7;

/** Whether bare paper lies around a square, as it does in print; letters, filled bubbles and noise have neighbours. */
const isClearAround = (frame: Frame, cx: number, cy: number, side: number, bright: number): boolean => {
  const reach = side * CLEAR_AT;
  let [clear, all] = [0, 0];
  for (let k = -4; k <= 4; k++) {
    const along = (k / 4) * reach;
    for (const [dx, dy] of [
      [along, -reach],
      [along, reach],
      [-reach, along],
      [reach, along],
    ] as const) {
      const [x, y] = [Math.round(cx + dx), Math.round(cy + dy)];
      if (x < 0 || y < 0 || x >= frame.width || y >= frame.height) continue;
      all++;
      if (frame.data[y * frame.width + x]! > bright * 0.75) clear++;
    }
  }
  return clear >= all * CLEAR_SHARE;
};

const distance = (a: Point, b: Point): number => {
  const [dx, dy] = [a.x - b.x, a.y - b.y];
  return Math.sqrt(dx * dx + dy * dy);
};

/** How far two lengths are from equal: 0 equal, 1 nothing in common. */
const unequal = (a: number, b: number): number => Math.abs(a - b) / (a + b);

interface Shape {
  width: number;
  height: number;
  size: number;
}

/** Corners moved by 8 % of the page either way make opposite sides differ by 0.16; the ticks prove what is let in here. */
const WORST_SIDES = 0.2;
const WORST_RATIO = 0.16;
/** A square measures true to 3 %, and held askew another 12 % nearer or further away. */
const WORST_SIZE = 0.15;

/** How badly four marks fit the template's rectangle, upright or sideways; null when they cannot be it. */
const misfit = (marks: readonly Mark[], { width, height, size }: Shape): number | null => {
  const [a, b, c, d] = marks as [Mark, Mark, Mark, Mark];
  const [top, side, low, other] = [distance(a, b), distance(b, c), distance(c, d), distance(d, a)];
  const sides = unequal(top, low) + unequal(side, other);
  const diagonals = unequal(distance(a, c), distance(b, d));
  if (sides > WORST_SIDES || diagonals > WORST_SIDES) return null;
  const across = top + low;
  const down = side + other;
  const ratio = Math.min(unequal(across * height, down * width), unequal(across * width, down * height));
  if (ratio > WORST_RATIO) return null;
  const wanted = ((across + down) / (2 * (width + height))) * size;
  let sizes = 0;
  for (const mark of marks) {
    const off = unequal(mark.side, wanted);
    if (off > WORST_SIZE) return null;
    sizes += off;
  }
  return sides + diagonals + ratio + sizes / 2;
};

const bestFour = ([as, bs, cs, ds]: readonly Mark[][], shape: Shape): Corners | null => {
  let best: Corners | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const a of as!)
    for (const b of bs!)
      for (const c of cs!)
        for (const d of ds!) {
          const fit = misfit([a, b, c, d], shape);
          if (fit === null || fit >= least) continue;
          least = fit;
          best = [a, b, c, d];
        }
  return best;
};
