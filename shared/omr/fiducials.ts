// Finds the four corner squares in a frame. Ink is joined into connected components in the corners of the raster; of
// those that could be squares, the four are taken that lie as the template says and have the size that this implies.
import type { SheafTemplate } from '../template/built-in.ts';
import { type Blob, blobsIn } from './blobs.ts';
import { type Frame, inkLevels, type Paper, paperAt } from './threshold.ts';
import type { Point } from './warp.ts';

export interface Mark extends Point {
  /** side of the square in raster pixels */
  side: number;
  /** how light its middle is: 0 as dark as the rim, 1 as light as paper */
  hole: number;
}

/** The corners as they lie in the raster, clockwise from its top left. */
export interface Corners {
  marks: [Mark, Mark, Mark, Mark];
  /** those that were not seen but worked out from the others */
  inferred: readonly number[];
}

/** Corner squares are looked for this far in from the raster's edges: covers 10° of skew and a margin around. */
const ZONE = 0.3;
/** A 6 mm square is 2.0 % of an A4 page's long side; these allow pages that fill 55 to 120 % of the raster. */
const SMALLEST = 0.55;
const LARGEST = 1.7;
/** In frame pixels: 6 mm at 34 dpi. */
const SMALLEST_SQUARE = 8;
/** Of each corner only the likeliest few are tried in combination. */
const MOST_CANDIDATES = 6;

export interface Guesses {
  /** the best four that were seen, and for each corner the best three with the fourth worked out: the ticks show which */
  likely: Corners[];
  /** what any two squares would mean, when nothing likelier proves right */
  desperate(): Corners[];
}

export const findCorners = (frame: Frame, paper: Paper, template: SheafTemplate): Guesses => {
  const { size, centres } = template.fiducials;
  const long = Math.max(template.page.width, template.page.height);
  const expected = (size / long) * Math.max(frame.width, frame.height);
  // a square too small to have a hole in it looks like anything, and anything like it
  if (expected < SMALLEST_SQUARE) return { likely: [], desperate: () => [] };
  const zoneWidth = Math.floor(frame.width * ZONE);
  const zoneHeight = Math.floor(frame.height * ZONE);
  const right = frame.width - zoneWidth;
  const low = frame.height - zoneHeight;
  const levels = inkLevels(paper);
  const candidates = [
    [0, 0],
    [right, 0],
    [right, low],
    [0, low],
  ].map(([x, y]) => squaresIn(frame, paper, levels, x!, y!, zoneWidth, zoneHeight, expected));
  const [a, b, , d] = centres;
  const width = distance({ x: a[0], y: a[1] }, { x: b[0], y: b[1] });
  const height = distance({ x: a[0], y: a[1] }, { x: d[0], y: d[1] });
  const shape = { width, height, size };
  const raster = { width: frame.width * frame.shrink, height: frame.height * frame.shrink };
  return { likely: bestFour(candidates, shape), desperate: () => [...allTwos(candidates, shape, raster)] };
};

const squaresIn = (
  frame: Frame,
  paper: Paper,
  levels: Uint8Array,
  x0: number,
  y0: number,
  width: number,
  height: number,
  expected: number,
): Mark[] => {
  const found: { mark: Mark; unlike: number }[] = [];
  const [least, most] = [expected * SMALLEST, expected * LARGEST];
  for (const blob of blobsIn(frame, levels, paper.columns, { x: x0, y: y0, width, height }, least, most)) {
    const w = blob.right - blob.left + 1;
    const h = blob.bottom - blob.top + 1;
    const [short, long] = w < h ? [w, h] : [h, w];
    if (long > short * 1.4) continue;
    // half the box is what a hollow square turned by 10° leaves; a ring or a letter leaves less
    const box = blob.area / (w * h);
    if (box < 0.45) continue;
    const mark = measureSquare(frame, paper, blob);
    if (!mark) continue;
    const ratio = mark.side / (expected * frame.shrink);
    found.push({ mark, unlike: (ratio > 1 ? ratio - 1 : 1 / ratio - 1) + (long / short - 1) });
  }
  found.sort((a, b) => a.unlike - b.unlike);
  return found.slice(0, MOST_CANDIDATES).map(({ mark }) => mark);
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

const bestFour = (candidates: readonly Mark[][], shape: Shape): Corners[] => {
  const guesses: Corners[] = [];
  const keepBest = (all: Iterable<Corners>): void => {
    let best: Corners | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const corners of all) {
      const fit = misfit(corners.marks, shape);
      if (fit === null || fit >= least) continue;
      least = fit;
      best = corners;
    }
    if (best) guesses.push(best);
  };
  keepBest(allFours(candidates));
  for (let missing = 0; missing < 4; missing++) keepBest(allThrees(candidates, missing));
  return guesses;
};

function* allFours([as, bs, cs, ds]: readonly Mark[][]): Generator<Corners, void, undefined> {
  for (const a of as!)
    for (const b of bs!) for (const c of cs!) for (const d of ds!) yield { marks: [a, b, c, d], inferred: [] };
}

/** A square torn off or hidden: the fourth corner of the parallelogram stands in for it. */
function* allThrees(candidates: readonly Mark[][], missing: number): Generator<Corners, void, undefined> {
  const [next, opposite, before] = [1, 2, 3].map((k) => candidates[(missing + k) % 4]!) as [Mark[], Mark[], Mark[]];
  for (const p of next)
    for (const q of opposite)
      for (const r of before) {
        const mark = { x: p.x + r.x - q.x, y: p.y + r.y - q.y, side: (p.side + r.side) / 2, hole: 0.5 };
        const inOrder = [mark, p, q, r];
        const marks = [0, 1, 2, 3].map((i) => inOrder[(i - missing + 4) % 4]!) as Corners['marks'];
        yield { marks, inferred: [missing] };
      }
}

/** Of each corner so many candidates are tried in pairs. */
const PAIR_CANDIDATES = 3;
/** How far beyond the raster a corner may lie that is not on it, as a share of its sides. */
const BEYOND = 0.15;

/** Two squares say how the page lies, if not yet how it is held askew: turned, scaled and moved, no more. */
function* allTwos(
  candidates: readonly Mark[][],
  { width, height, size }: Shape,
  raster: { width: number; height: number },
): Generator<Corners, void, undefined> {
  for (const [w, h] of [
    [width, height],
    [height, width],
  ] as const) {
    const rect = [
      { x: 0, y: 0 },
      { x: w, y: 0 },
      { x: w, y: h },
      { x: 0, y: h },
    ] as const;
    for (let i = 0; i < 4; i++) {
      for (let j = i + 1; j < 4; j++) {
        const [p, q] = [rect[i]!, rect[j]!];
        const [dx, dy] = [q.x - p.x, q.y - p.y];
        const length2 = dx * dx + dy * dy;
        for (const a of candidates[i]!.slice(0, PAIR_CANDIDATES)) {
          for (const b of candidates[j]!.slice(0, PAIR_CANDIDATES)) {
            const [ex, ey] = [b.x - a.x, b.y - a.y];
            const wanted = Math.sqrt((ex * ex + ey * ey) / length2) * size;
            if (unequal(a.side, wanted) > WORST_SIZE || unequal(b.side, wanted) > WORST_SIZE) continue;
            // as complex numbers: what turns and scales p → q into a → b
            const [re, im] = [(ex * dx + ey * dy) / length2, (ey * dx - ex * dy) / length2];
            const at = ({ x, y }: Point): Point => ({
              x: a.x + re * (x - p.x) - im * (y - p.y),
              y: a.y + im * (x - p.x) + re * (y - p.y),
            });
            const marks = rect.map(
              (corner, k): Mark =>
                k === i ? a : k === j ? b : { ...at(corner), side: (a.side + b.side) / 2, hole: 0.5 },
            ) as Corners['marks'];
            const near = marks.every(
              ({ x, y }) =>
                x > -BEYOND * raster.width &&
                y > -BEYOND * raster.height &&
                x < (1 + BEYOND) * raster.width &&
                y < (1 + BEYOND) * raster.height,
            );
            if (near) yield { marks, inferred: [0, 1, 2, 3].filter((k) => k !== i && k !== j) };
          }
        }
      }
    }
  }
}
