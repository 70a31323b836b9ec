// Finds how a page lies when corner squares are torn off, hidden or beyond the glass, or when it is held far askew: from any
// one square and the ticks next to it the fit grows along the page's edges, tick by tick.
import type { SheafTemplate } from '../template/built-in.ts';
import { blobsIn } from './blobs.ts';
import { expectedSide, type Mark, squaresAmong } from './fiducials.ts';
import { type Frame, inkLevels, type Paper } from './threshold.ts';
import { affine, type Homography, homography, type Point, project } from './warp.ts';

export interface Start {
  toImage: Homography;
  /** the squares that were seen, by the template's corner */
  squares: readonly (Mark | null)[];
}

interface Bar extends Point {
  /** whether its long side runs more across than down the raster */
  across: boolean;
}

interface Feature extends Point {
  /** corner of a square; null for a tick */
  corner: number | null;
  /** direction of a tick's long side on the template */
  across: boolean;
}

/** So many of the likeliest squares are tried, filled bubbles among them … */
const MOST_SQUARES = 80;
/** … with no more bars and first fits than this: a sheet has a few dozen of either, noise has any number. */
const MOST_BARS = 120;
const MOST_FITS = 400;
/** Of each edge the two ticks nearest to a corner are tried: the first may be torn off with it. */
const FIRST_TICKS = 2;
/** A square's side says the scale to a tenth, and a page held askew is another fifth nearer or further away there. */
const NEAREST = 0.7;
const FURTHEST = 1.4;
/** Sine of the least angle between the two edges: 90° give or take 25°. */
const LEAST_SINE = 0.9;
/** A feature is predicted from those that are known within this many millimetres … */
const STEP_MM = 62;
/** … to so many millimetres, and to this share of how far away they are. */
const REACH_MM = 1.5;
const REACH_SHARE = 0.11;
const ROUNDS = 14;
/** Fewer features than this, or a smaller share of those on the raster, may lie there by chance. */
const FEWEST = 8;
const FEWEST_SHARE = 0.6;
/** With so many on each of two edges a plane can be fitted in perspective. */
const FOR_PLANE = 3;
/** Only so many of the best are worth a closer look, each another way up. */
const MOST_STARTS = 4;

/** Where the page may lie, the best borne out first. Nothing for a template without ticks. */
export const growStarts = (frame: Frame, paper: Paper, template: SheafTemplate): Start[] => {
  if (template.ticks.length === 0) return [];
  const expected = expectedSide(frame, template);
  const zone = { x: 0, y: 0, width: frame.width, height: frame.height };
  const blobs = blobsIn(frame, inkLevels(paper), paper.columns, zone, 2, expected * 1.7).filter(
    // what the raster cuts has its middle elsewhere
    ({ left, right, top, bottom }) => left > 0 && top > 0 && right < frame.width - 1 && bottom < frame.height - 1,
  );
  const squares = squaresAmong(blobs, frame, paper, expected).slice(0, MOST_SQUARES);
  const bars = barsAmong(blobs, frame, template, expected);
  if (bars.length > MOST_BARS) return [];
  const features = featuresOf(template);
  let fits = 0;
  const grown: { start: Start; count: number; share: number; way: number }[] = [];
  for (const square of squares) {
    for (const first of firstFits(square, bars, template, features)) {
      if (++fits > MOST_FITS) break;
      const one = grow(first, squares, bars, features, frame);
      if (one && one.count >= FEWEST && one.share >= FEWEST_SHARE) {
        grown.push({ ...one, way: wayOf(one.start.toImage, template) });
      }
    }
  }
  grown.sort((a, b) => b.count - a.count || b.share - a.share);
  // the best of each way up
  return grown
    .filter(({ way }, i) => grown.findIndex((other) => other.way === way) === i)
    .slice(0, MOST_STARTS)
    .map(({ start }) => start);
};

/** Quarters of a turn clockwise from the template to the raster. */
export const wayOf = (toImage: Homography, { page }: SheafTemplate): 0 | 1 | 2 | 3 => {
  const centre = project(toImage, page.width / 2, page.height / 2);
  const east = project(toImage, page.width / 2 + 1, page.height / 2);
  const [dx, dy] = [east.x - centre.x, east.y - centre.y];
  if (Math.abs(dx) >= Math.abs(dy)) return dx > 0 ? 0 : 2;
  return dy > 0 ? 1 : 3;
};

const featuresOf = ({ fiducials, ticks }: SheafTemplate): Feature[] => [
  ...fiducials.centres.map(([x, y], corner): Feature => ({ x, y, corner, across: true })),
  ...ticks.flatMap(({ size: [w, h], centres }) =>
    centres.map(([x, y]): Feature => ({ x, y, corner: null, across: w > h })),
  ),
];

/** Components as long and as large as a tick, in raster pixels. */
const barsAmong = (
  blobs: ReturnType<typeof blobsIn>,
  frame: Frame,
  { ticks, fiducials }: SheafTemplate,
  expected: number,
): Bar[] => {
  const [w, h] = ticks[0]!.size;
  const scale = expected / fiducials.size;
  const area = w * h * scale * scale;
  const bars: Bar[] = [];
  for (const { left, right, top, bottom, area: ink } of blobs) {
    const [bw, bh] = [right - left + 1, bottom - top + 1];
    if (ink < area * 0.4 || ink > area * 1.9 || ink < 0.5 * bw * bh) continue;
    if (Math.max(bw, bh) < 1.25 * Math.min(bw, bh)) continue;
    const x = ((left + right + 1) / 2) * frame.shrink;
    const y = ((top + bottom + 1) / 2) * frame.shrink;
    bars.push({ x, y, across: bw > bh });
  }
  return bars;
};

interface FirstFit {
  toImage: Homography;
  known: readonly Feature[];
}

/** What a square would mean as each corner, with two bars as the ticks next to it. */
function* firstFits(
  square: Mark,
  bars: readonly Bar[],
  { fiducials }: SheafTemplate,
  features: readonly Feature[],
): Generator<FirstFit, void, undefined> {
  const scale = square.side / fiducials.size;
  for (let corner = 0; corner < 4; corner++) {
    const [x, y] = fiducials.centres[corner]!;
    const along = (across: boolean): Feature[] =>
      features
        // a tick lies across its edge
        .filter((one) => one.corner === null && one.across === across && Math.abs(across ? one.x - x : one.y - y) < 1)
        .sort((a, b) => away2(a, { x, y }) - away2(b, { x, y }))
        .slice(0, FIRST_TICKS);
    for (const p of along(true)) {
      for (const q of along(false)) {
        const turn = (p.x - x) * (q.y - y) - (p.y - y) * (q.x - x);
        for (const a of within(bars, square, Math.sqrt(away2(p, { x, y })) * scale)) {
          for (const b of within(bars, square, Math.sqrt(away2(q, { x, y })) * scale)) {
            if (a.across === b.across) continue;
            const [ax, ay, bx, by] = [a.x - square.x, a.y - square.y, b.x - square.x, b.y - square.y];
            // the bar of one edge points along the other
            if (a.across !== Math.abs(bx) > Math.abs(by)) continue;
            const cross = ax * by - ay * bx;
            if (cross * turn <= 0 || cross * cross < LEAST_SINE ** 2 * (ax * ax + ay * ay) * (bx * bx + by * by))
              continue;
            const toImage = affine([{ x, y }, p, q], [square, a, b]);
            if (toImage) yield { toImage, known: [features[corner]!, p, q] };
          }
        }
      }
    }
  }
}

const away2 = (a: Point, b: Point): number => (a.x - b.x) ** 2 + (a.y - b.y) ** 2;

const within = (bars: readonly Bar[], from: Point, distance: number): Bar[] =>
  bars.filter((bar) => {
    const away = away2(bar, from);
    return away > (NEAREST * distance) ** 2 && away < (FURTHEST * distance) ** 2;
  });

const grow = (
  first: FirstFit,
  squares: readonly Mark[],
  bars: readonly Bar[],
  features: readonly Feature[],
  frame: Frame,
): { start: Start; count: number; share: number } | null => {
  const [width, height] = [frame.width * frame.shrink, frame.height * frame.shrink];
  let { toImage } = first;
  let known = first.known.map((feature): { feature: Feature; seen: Point | null } => ({ feature, seen: null }));
  // along the edges first, then across the page
  let across = false;
  for (let round = 0; round < ROUNDS; round++) {
    const found: { feature: Feature; seen: Point }[] = [];
    for (const feature of features) {
      let near = Number.POSITIVE_INFINITY;
      for (const { feature: other } of known) if (other !== feature) near = Math.min(near, away2(feature, other));
      near = Math.sqrt(near);
      if (near > STEP_MM && !across) continue;
      const at = project(toImage, feature.x, feature.y);
      const scale = Math.sqrt(away2(project(toImage, feature.x + 1, feature.y), at));
      let best = ((REACH_MM + REACH_SHARE * Math.min(near, STEP_MM)) * scale) ** 2;
      let seen: Point | null = null;
      for (const one of feature.corner === null ? bars : squares) {
        const away = away2(one, at);
        if (away < best) [best, seen] = [away, one];
      }
      if (seen) found.push({ feature, seen });
    }
    if (found.length < 3) return null;
    const same = found.length === known.length && found.every(({ seen }, i) => seen === known[i]!.seen);
    known = found;
    const from = found.map(({ feature }) => feature);
    const to = found.map(({ seen }) => seen);
    const finer = (spans(from) ? homography(from, to) : null) ?? affine(from, to);
    if (!finer) return null;
    toImage = finer;
    if (same && across) break;
    across ||= same;
  }
  const due = features.filter(({ x, y }) => {
    const at = project(toImage, x, y);
    return at.x > 0 && at.y > 0 && at.x < width && at.y < height;
  }).length;
  const seenAt = [0, 1, 2, 3].map((c) => (known.find(({ feature }) => feature.corner === c)?.seen as Mark) ?? null);
  return { start: { toImage, squares: seenAt }, count: known.length, share: known.length / Math.max(1, due) };
};

/** Whether enough points lie on two edges or more to say how they are seen in perspective. */
const spans = (points: readonly Point[]): boolean => {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const on = (edge: (point: Point) => boolean): boolean => points.filter(edge).length >= FOR_PLANE;
  const edges = [
    on(({ x }) => x < left + 1),
    on(({ x }) => x > right - 1),
    on(({ y }) => y < top + 1),
    on(({ y }) => y > bottom - 1),
  ];
  return edges.filter(Boolean).length >= 2;
};
