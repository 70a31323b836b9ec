// How a form lies that Sheaf did not print: a first guess from its marks, its edge or the raster itself, then the
// outlines of its bubbles, which are where the template says on the right guess and nowhere on a wrong one.
import { type Bubble, layOut } from '../template/geometry.ts';
import type { Template } from '../template/template.ts';
import { type Blob, blobsIn } from './blobs.ts';
import { findPageEdge } from './edge.ts';
import type { GrayImage } from './image.ts';
import { findMarks } from './marks.ts';
import type { Pose } from './pose.ts';
import { type Frame, findPaper, inkLevels, type Paper, shrink } from './threshold.ts';
import { affine, type Homography, homography, type Point, project } from './warp.ts';

export interface FormPose extends Pose {
  /** share of the bubbles whose outlines are where they should be */
  match: number;
  /** whether it is told from the same page turned by a half or a quarter */
  upright: boolean;
  /** how far each bubble lies from its place, x and y by turns in millimetres: paper is not flat, print not exact */
  shift: Float64Array;
  /** the printed outline's size over the template's */
  grown: number;
}

interface Guess {
  toImage: Homography;
  turn: number;
  /** what holds the fit where there are no bubbles */
  anchors: readonly { at: Point; seen: Point }[];
  weight: number;
  /** whether the guess may be some bubbles off */
  rough: boolean;
}

const TURNS = [0, 270, 180, 90] as const;
/** Reach in which an outline is looked for, round by round, in bubbles. */
const ROUNDS = [0.95, 0.7, 0.5, 0.4, 0.35] as const;
/** From so many outlines on, they say better than the marks where the bubbles are. */
const ENOUGH = 12;
/** With so many a plane is fitted in perspective, with fewer only stretched and turned. */
const PLENTY = 60;
/** Share of the outlines that must be found for them to count as evidence of how a page lies; where there is nothing
 *  else, letters that happen to lie right must not be enough. */
const FEWEST_SHARE = { squares: 1, marks: 0.15, edge: 0.15, none: 0.4 } as const;
const FEWEST = 4;
/** Templates draw bubbles a third larger to half as large as the printed outlines; beyond that those are letters. */
const GROWN = [0.68, 2.2] as const;
/** A page fed as it was printed is likelier than one that was turned: what a turn must gain in outlines. */
const TURN_LEAD = 0.03;

/** The likeliest pose of the template on the page, null when neither marks nor outlines are there. */
export const findForm = (image: GrayImage, frame: Frame, paper: Paper, template: Template): FormPose | null => {
  const { bubbles } = layOut(template);
  if (bubbles.length === 0) return null;
  const guesses = guessesFor(frame, paper, template);
  if (guesses.length === 0) return null;
  const outlines = findOutlines(image, template, guesses);
  let best: { guess: Guess; toImage: Homography; pairs: Pair[] } | null = null;
  let most = Number.NEGATIVE_INFINITY;
  const counts = [-1, -1, -1, -1];
  for (const guess of guesses) {
    const starts = guess.rough ? offsetsOf(guess, bubbles, outlines) : [guess.toImage];
    for (const start of starts) {
      const settled = settle(start, guess, bubbles, outlines);
      const grown = grownOf(settled.pairs);
      const fits = grown > GROWN[0] && grown < GROWN[1] && settled.pairs.length >= FEWEST;
      const count = fits ? settled.pairs.length : 0;
      counts[guess.turn] = Math.max(counts[guess.turn]!, count);
      if (count < FEWEST_SHARE[template.fiducials.type] * bubbles.length) {
        settled.pairs = [];
        settled.toImage = guess.toImage;
      }
      const value = count / bubbles.length - (guess.turn === 0 ? 0 : TURN_LEAD);
      if (value > most) [best, most] = [{ guess, ...settled }, value];
    }
  }
  if (!best) return null;
  const { turn } = best.guess;
  const other = counts.reduce((second, count, at) => (at === turn ? second : Math.max(second, count)), -1);
  // marks that differ leave one way up; others leave it to the outlines
  const upright = other < 0 || counts[turn]! >= other + Math.max(FEWEST, other / 2);
  const match = best.pairs.length / bubbles.length;
  const told = best.pairs.length > 0;
  if (!told && best.guess.rough && template.fiducials.type === 'edge') return null;
  const local = told
    ? localShift(best.toImage, best.pairs, bubbles)
    : { shift: new Float64Array(bubbles.length * 2), residual: 0 };
  return {
    orientation: TURNS[best.guess.turn]!,
    toImage: best.toImage,
    missing: 0,
    offs: [],
    belief: match,
    ticks: null,
    residual: local.residual,
    match,
    upright,
    shift: local.shift,
    grown: told ? grownOf(best.pairs) : 1,
  };
};

const rect = (width: number, height: number): [Point, Point, Point, Point] => [
  { x: 0, y: 0 },
  { x: width, y: 0 },
  { x: width, y: height },
  { x: 0, y: height },
];

const guessesFor = (frame: Frame, paper: Paper, template: Template): Guess[] => {
  const { fiducials, page } = template;
  switch (fiducials.type) {
    case 'squares':
      return [];
    case 'marks': {
      const places = fiducials.marks.map(({ at: [x, y] }) => ({ x, y }));
      return findMarks(frame, paper, fiducials, page).flatMap(({ points, turn }): Guess[] => {
        const toImage = homography(places, points);
        const anchors = places.map((at, i) => ({ at, seen: points[i]! }));
        return toImage ? [{ toImage, turn, anchors, weight: 4, rough: false }] : [];
      });
    }
    case 'edge':
    case 'none': {
      const whole = rect(frame.width * frame.shrink, frame.height * frame.shrink);
      const corners = fiducials.type === 'edge' ? (findPageEdge(frame) ?? whole) : whole;
      const places = rect(page.width, page.height);
      return [0, 1, 2, 3].flatMap((turn): Guess[] => {
        const points = places.map((_, i) => corners[(i + turn) % 4]!);
        const toImage = homography(places, points);
        const anchors = places.map((at, i) => ({ at, seen: points[i]! }));
        // an image without a page's edge may be a stretched one; only its turns must be told apart
        const stretched = fiducials.type === 'none' && turn % 2 === 0;
        if (!toImage || !(stretched || keepsShape(points, page))) return [];
        return [{ toImage, turn, anchors, weight: fiducials.type === 'edge' ? 1 : 0.2, rough: true }];
      });
    }
  }
};

/** A page on its side is not the page: its sides must have the template's ratio within a quarter or so. */
const keepsShape = ([a, b, c, d]: readonly Point[], page: { width: number; height: number }): boolean => {
  const length = (p: Point, q: Point): number => Math.sqrt((p.x - q.x) ** 2 + (p.y - q.y) ** 2);
  const ratio = ((length(a!, b!) + length(c!, d!)) * page.height) / ((length(b!, c!) + length(d!, a!)) * page.width);
  return ratio > 0.7 && ratio < 1.43;
};

/** Components up to so many times a bubble are looked at. */
const MOST_GROWN = 2.2;

/** Centres and sides of all components that could be a bubble, in raster pixels, in cells for quick look-up. */
interface Outlines {
  x: Float64Array;
  y: Float64Array;
  w: Float64Array;
  h: Float64Array;
  cell: number;
  columns: number;
  rows: number;
  /** first outline of a cell, and the next of each: -1 none */
  head: Int32Array;
  next: Int32Array;
}

const findOutlines = (image: GrayImage, template: Template, guesses: readonly Guess[]): Outlines => {
  const fine = shrink(image, 'fine');
  const paper = findPaper(image, 'fine');
  const { bubbles } = layOut(template);
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const { toImage } of guesses) {
    for (let b = 0; b < bubbles.length; b += Math.max(1, bubbles.length >> 4)) {
      const { width, height } = sizeAt(toImage, bubbles[b]!);
      least = Math.min(least, width, height);
      most = Math.max(most, width, height);
    }
  }
  least = Math.max(3, Math.floor((least * 0.55) / fine.shrink));
  most = Math.ceil((most * MOST_GROWN) / fine.shrink) + 2;
  const zone = { x: 0, y: 0, width: fine.width, height: fine.height };
  const blobs: Blob[] = [];
  // thin and faint outlines show at the upper levels, those that touch something grey at the lower ones
  for (const share of [0.93, 0.82, 0.6]) {
    blobs.push(...blobsIn(fine, inkLevels(paper, share), paper.columns, zone, least, most));
  }
  const n = blobs.length;
  const cell = Math.max(4, most * fine.shrink);
  const columns = Math.ceil(image.width / cell) + 1;
  const rows = Math.ceil(image.height / cell) + 1;
  const outlines: Outlines = {
    x: new Float64Array(n),
    y: new Float64Array(n),
    w: new Float64Array(n),
    h: new Float64Array(n),
    cell,
    columns,
    rows,
    head: new Int32Array(columns * rows).fill(-1),
    next: new Int32Array(n),
  };
  blobs.forEach(({ left, right, top, bottom }, i) => {
    const x = ((left + right + 1) / 2) * fine.shrink;
    const y = ((top + bottom + 1) / 2) * fine.shrink;
    outlines.x[i] = x;
    outlines.y[i] = y;
    outlines.w[i] = (right - left + 1) * fine.shrink;
    outlines.h[i] = (bottom - top + 1) * fine.shrink;
    const at = Math.floor(y / cell) * columns + Math.floor(x / cell);
    outlines.next[i] = outlines.head[at]!;
    outlines.head[at] = i;
  });
  return outlines;
};

/** A bubble's box in raster pixels, however it is turned. */
const sizeAt = (toImage: Homography, { x, y, width, height }: Bubble): { width: number; height: number } => {
  const centre = project(toImage, x, y);
  const east = project(toImage, x + width / 2, y);
  const south = project(toImage, x, y + height / 2);
  const [ux, uy] = [Math.abs(east.x - centre.x), Math.abs(east.y - centre.y)];
  const [vx, vy] = [Math.abs(south.x - centre.x), Math.abs(south.y - centre.y)];
  // an ellipse's box grows with the root of the squares
  return { width: 2 * Math.sqrt(ux * ux + vx * vx), height: 2 * Math.sqrt(uy * uy + vy * vy) };
};

interface Pair {
  bubble: number;
  at: Point;
  seen: Point;
  /** the outline's size over the bubble's */
  grown: number;
}

const pairsOf = (toImage: Homography, bubbles: readonly Bubble[], outlines: Outlines, reach: number): Pair[] => {
  const { x, y, w, h, cell, columns, rows, head, next } = outlines;
  const pairs: Pair[] = [];
  for (let b = 0; b < bubbles.length; b++) {
    const bubble = bubbles[b]!;
    const at = project(toImage, bubble.x, bubble.y);
    const size = sizeAt(toImage, bubble);
    const own = (size.width + size.height) / 2;
    let nearest = (reach * own) ** 2;
    let found = -1;
    const [cx, cy] = [Math.floor(at.x / cell), Math.floor(at.y / cell)];
    for (let r = Math.max(0, cy - 1); r <= Math.min(rows - 1, cy + 1); r++) {
      for (let c = Math.max(0, cx - 1); c <= Math.min(columns - 1, cx + 1); c++) {
        for (let i = head[r * columns + c]!; i >= 0; i = next[i]!) {
          if (w[i]! < size.width * 0.55 || w[i]! > size.width * MOST_GROWN + 2) continue;
          if (h[i]! < size.height * 0.55 || h[i]! > size.height * MOST_GROWN + 2) continue;
          const away = (x[i]! - at.x) ** 2 + (y[i]! - at.y) ** 2;
          if (away < nearest) [nearest, found] = [away, i];
        }
      }
    }
    if (found < 0) continue;
    pairs.push({
      bubble: b,
      at: { x: bubble.x, y: bubble.y },
      seen: { x: x[found]!, y: y[found]! },
      grown: (w[found]! + h[found]!) / (size.width + size.height),
    });
  }
  return pairs;
};

const settle = (
  start: Homography,
  { anchors, weight, rough }: Guess,
  bubbles: readonly Bubble[],
  outlines: Outlines,
): { toImage: Homography; pairs: Pair[] } => {
  let toImage = start;
  for (const reach of ROUNDS) {
    const pairs = sane(pairsOf(toImage, bubbles, outlines, reach));
    if (pairs.length < ENOUGH) {
      if (!rough || pairs.length < 3) break;
      // too few for more than a shift
      const dx = middle(pairs.map(({ at, seen }) => seen.x - project(toImage, at.x, at.y).x));
      const dy = middle(pairs.map(({ at, seen }) => seen.y - project(toImage, at.x, at.y).y));
      toImage = shifted(toImage, dx, dy);
      continue;
    }
    const from = pairs.map(({ at }) => at);
    const to = pairs.map(({ seen }) => seen);
    const held = weight >= 1 || pairs.length >= PLENTY;
    const finer = held
      ? homography(
          [...from, ...anchors.map(({ at }) => at)],
          [...to, ...anchors.map(({ seen }) => seen)],
          [...from.map(() => 1), ...anchors.map(() => weight)],
        )
      : affine(from, to);
    if (!finer) break;
    toImage = finer;
  }
  return { toImage, pairs: sane(pairsOf(toImage, bubbles, outlines, ROUNDS[ROUNDS.length - 1]!)) };
};

/** Outlines of one printing have one size: others are letters, or marks with a tail. */
const sane = (pairs: readonly Pair[]): Pair[] => {
  const grown = grownOf(pairs);
  return pairs.filter((pair) => pair.grown > grown * 0.8 && pair.grown < grown * 1.25);
};

const grownOf = (pairs: readonly Pair[]): number => {
  const sizes = Float64Array.from(pairs, ({ grown }) => grown).sort();
  return sizes[sizes.length >> 1] ?? 1;
};

/** How far a rough guess may be off, as a share of the page, and how finely that is counted, in bubbles. */
const FURTHEST = 0.07;
const BIN = 0.5;

/** The guess itself and the shifts that bring most bubbles onto outlines. */
const offsetsOf = ({ toImage }: Guess, bubbles: readonly Bubble[], outlines: Outlines): Homography[] => {
  const first = sizeAt(toImage, bubbles[0]!);
  const bin = Math.max(2, Math.min(first.width, first.height) * BIN);
  const reach = FURTHEST * outlines.cell * Math.max(outlines.columns, outlines.rows);
  const half = Math.ceil(reach / bin);
  const side = 2 * half + 1;
  const votes = new Int32Array(side * side);
  const stride = Math.max(1, Math.floor(bubbles.length / 120));
  for (let b = 0; b < bubbles.length; b += stride) {
    const at = project(toImage, bubbles[b]!.x, bubbles[b]!.y);
    const size = sizeAt(toImage, bubbles[b]!);
    for (let i = 0; i < outlines.x.length; i++) {
      const [dx, dy] = [outlines.x[i]! - at.x, outlines.y[i]! - at.y];
      if (Math.abs(dx) > reach || Math.abs(dy) > reach) continue;
      if (outlines.w[i]! < size.width * 0.55 || outlines.w[i]! > size.width * MOST_GROWN + 2) continue;
      if (outlines.h[i]! < size.height * 0.55 || outlines.h[i]! > size.height * MOST_GROWN + 2) continue;
      const at2 = (Math.round(dy / bin) + half) * side + Math.round(dx / bin) + half;
      votes[at2] = votes[at2]! + 1;
    }
  }
  const sums = votes.map((_, i) => {
    const [r, c] = [Math.floor(i / side), i % side];
    let sum = 0;
    for (let y = Math.max(0, r - 1); y <= Math.min(side - 1, r + 1); y++) {
      for (let x = Math.max(0, c - 1); x <= Math.min(side - 1, c + 1); x++) sum += votes[y * side + x]!;
    }
    return sum;
  });
  const order = [...sums.keys()].sort((a, b) => sums[b]! - sums[a]!).slice(0, 12);
  return [
    toImage,
    ...order.map((i) => shifted(toImage, ((i % side) - half) * bin, (Math.floor(i / side) - half) * bin)),
  ];
};

/** The same map with everything moved on the raster. */
const shifted = ([h0, h1, h2, h3, h4, h5, h6, h7, h8]: Homography, dx: number, dy: number): Homography => [
  h0 + dx * h6,
  h1 + dx * h7,
  h2 + dx * h8,
  h3 + dy * h6,
  h4 + dy * h7,
  h5 + dy * h8,
  h6,
  h7,
  h8,
];

const middle = (values: readonly number[]): number => Float64Array.from(values).sort()[values.length >> 1] ?? 0;

/** Neighbours within this far, in millimetres, say where a bubble lies … */
const NEIGHBOUR_MM = 9;
/** … and how little they may say before the plane is believed instead. */
const DAMPING = 0.6;

const localShift = (
  toImage: Homography,
  pairs: readonly Pair[],
  bubbles: readonly Bubble[],
): { shift: Float64Array; residual: number } => {
  const shift = new Float64Array(bubbles.length * 2);
  const off = pairs.map(({ at, seen }) => {
    const centre = project(toImage, at.x, at.y);
    const east = project(toImage, at.x + 1, at.y);
    const south = project(toImage, at.x, at.y + 1);
    const [ux, uy, vx, vy] = [east.x - centre.x, east.y - centre.y, south.x - centre.x, south.y - centre.y];
    const det = ux * vy - uy * vx || 1;
    const [dx, dy] = [seen.x - centre.x, seen.y - centre.y];
    return { x: at.x, y: at.y, dx: (dx * vy - dy * vx) / det, dy: (dy * ux - dx * uy) / det };
  });
  let squares = 0;
  for (let b = 0; b < bubbles.length; b++) {
    const bubble = bubbles[b]!;
    let [weight, sx, sy] = [DAMPING, 0, 0];
    for (const one of off) {
      const away = ((one.x - bubble.x) ** 2 + (one.y - bubble.y) ** 2) / (NEIGHBOUR_MM * NEIGHBOUR_MM);
      if (away > 4) continue;
      const w = 1 / (1 + away * away * 4);
      weight += w;
      sx += w * one.dx;
      sy += w * one.dy;
    }
    shift[2 * b] = sx / weight;
    shift[2 * b + 1] = sy / weight;
  }
  for (let i = 0; i < off.length; i++) {
    const b = pairs[i]!.bubble;
    squares += (off[i]!.dx - shift[2 * b]!) ** 2 + (off[i]!.dy - shift[2 * b + 1]!) ** 2;
  }
  return { shift, residual: Math.sqrt(squares / Math.max(1, off.length)) };
};
