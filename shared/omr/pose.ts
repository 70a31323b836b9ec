// Which way up a page lies and whether its frame is a sheet's or a cover's: the odd corner square says so, and the
// ticks along the edges prove it and make the fit finer.
import type { SheafTemplate } from '../template/built-in.ts';
import type { Corners } from './fiducials.ts';
import type { GrayImage } from './image.ts';
import { type Paper, paperAt } from './threshold.ts';
import { affine, type Homography, homography, type Point, project } from './warp.ts';

export interface Pose {
  /** degrees clockwise that the raster must be turned by to stand upright */
  orientation: 0 | 90 | 180 | 270;
  toImage: Homography;
  /** the corner of the raster, clockwise from its top left, whose square was worked out and not seen */
  inferred: number | null;
  /** how well corner squares and ticks bear this pose out, 0 to 2 */
  belief: number;
  /** share of the template's ticks that are there; null when it has none */
  ticks: number | null;
  /** how far ticks still lie from where they should, root mean square in millimetres */
  residual: number;
}

const TURNS = [0, 270, 180, 90] as const;
/** A middle is 0 when solid and 1 when hollow; nearer than this to one half a square says nothing. */
const UNSURE = 0.15;
/** What a template without ticks is believed for them: less than ticks that are there, more than ticks that are not. */
const NO_TICKS = 0.5;
/** Other print may have three squares in its corners, but not these bars as well. Without ticks all four must be there. The
 *  fewer squares were seen (all, three, two), the more ticks must prove the rest. */
const FEWEST_TICKS = [0.35, 0.5, 0.55] as const;

/** Poses believed as much as the best one less this are kept beside it: a spoilt corner may leave two ways up. */
export const TIE = 0.05;

/** The believable poses of a template's frame on the corners that were found, at most one a way up, the best first. */
export const findPoses = (
  image: GrayImage,
  paper: Paper,
  guesses: readonly Corners[],
  template: SheafTemplate,
): Pose[] => {
  const poses: Pose[] = [];
  const most = template.ticks.length > 0 ? 1 : NO_TICKS;
  let best = 0;
  for (const corners of guesses) {
    for (let turn = 0; turn < 4; turn++) {
      const agreement = cornersAgree(corners, template, turn);
      if (agreement === null || agreement + most <= best - TIE) continue;
      if (poses.some((pose) => pose.orientation === TURNS[turn] && pose.belief >= agreement + most - TIE)) continue;
      const pose = settle(image, paper, corners, template, turn);
      const fewest = FEWEST_TICKS[Math.min(2, corners.inferred.length)]!;
      if (!pose || (pose.ticks === null ? agreement < 1 : pose.ticks < fewest)) continue;
      pose.belief = agreement + (pose.ticks ?? NO_TICKS);
      best = Math.max(best, pose.belief);
      const other = poses.findIndex(({ orientation }) => orientation === pose.orientation);
      if (other < 0) poses.push(pose);
      else if (poses[other]!.belief < pose.belief) poses[other] = pose;
    }
  }
  return poses.filter(({ belief }) => belief > best - TIE).sort((a, b) => b.belief - a.belief);
};

/** Share of the four squares that are there, and solid or hollow as the template has them; null when too few are. */
const cornersAgree = (corners: Corners, template: SheafTemplate, turn: number): number | null => {
  let agreeing = 0;
  for (let corner = 0; corner < 4; corner++) {
    const at = (corner + turn) % 4;
    if (corners.inferred.includes(at)) continue;
    const { hole } = corners.marks[at]!;
    if (Math.abs(hole - 0.5) > UNSURE && hole > 0.5 === template.fiducials.hollow.includes(corner)) agreeing++;
  }
  return agreeing < Math.min(3, 4 - corners.inferred.length) ? null : agreeing / 4;
};

/** Corner squares are measured finer than ticks, and count for this many. */
const CORNER_WEIGHT = 3;
/** Fewer ticks than this do not improve on four corners. */
const ENOUGH_TICKS = 6;
/** How far from their place ticks are looked for, in millimetres, round by round. */
const ROUNDS = [1.2, 1] as const;
/** Where corners are missing the first fit may be far off there: ticks near a square are found first and pull it in. How
 *  far they may be from the nearest square, and from their place, in millimetres. */
const GROWING = [
  [60, 3],
  [95, 3],
  [130, 3],
  [170, 3],
  [400, 3],
  [400, 2],
  [400, 1],
] as const;
/** Ticks all round hold a fit in perspective; fewer only a stretched and turned one. */
const TICKS_FOR_PLANE = 11;

const settle = (
  image: GrayImage,
  paper: Paper,
  corners: Corners,
  template: SheafTemplate,
  turn: number,
): Pose | null => {
  const { centres } = template.fiducials;
  const from: Point[] = [];
  const to: Point[] = [];
  centres.forEach(([x, y], corner) => {
    from.push({ x, y });
    to.push(corners.marks[(corner + turn) % 4]!);
  });
  let toImage = homography(from, to);
  if (!toImage) return null;
  const inferred = corners.inferred[0] ?? null;
  const all = template.ticks.reduce((sum, { centres: at }) => sum + at.length, 0);
  if (all === 0) return { orientation: TURNS[turn]!, toImage, inferred, belief: 0, ticks: null, residual: 0 };

  // once ticks are known, an inferred corner is not evidence any more
  const known = [0, 1, 2, 3].filter((corner) => !corners.inferred.includes((corner + turn) % 4));
  const places = known.map((corner) => from[corner]!);
  const marks = known.map((corner) => to[corner]!);
  const rounds = inferred === null ? ROUNDS.map((reach) => [1000, reach] as const) : GROWING;
  for (const [within, reach] of rounds) {
    const near = inferred === null ? null : places;
    const found = lookForTicks(image, paper, toImage, template, reach, near, within);
    if (inferred === null && found.length < ENOUGH_TICKS) break;
    if (known.length + found.length < 4) continue;
    const ats = [...places, ...found.map(({ at }) => at)];
    const seen = [...marks, ...found.map(({ seen }) => seen)];
    const finer =
      inferred === null || found.length >= TICKS_FOR_PLANE
        ? homography(ats, seen, [...known.map(() => CORNER_WEIGHT), ...found.map(() => 1)])
        : affine(ats, seen);
    if (!finer) break;
    toImage = finer;
  }
  // what is left after the last fit: folds, curl and stretch that no plane explains
  const left = lookForTicks(image, paper, toImage, template, 1);
  let squares = 0;
  for (const { dx, dy } of left) squares += dx * dx + dy * dy;
  const residual = left.length === 0 ? 0 : Math.sqrt(squares / left.length);
  return { orientation: TURNS[turn]!, toImage, inferred, belief: 0, ticks: left.length / all, residual };
};

interface Tick {
  /** its place on the template, in millimetres */
  at: Point;
  /** where its centre of mass was seen, in raster pixels */
  seen: Point;
  /** the difference in millimetres */
  dx: number;
  dy: number;
}

const GRID_MM = 0.2;

const lookForTicks = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  template: SheafTemplate,
  reach: number,
  near: readonly Point[] | null = null,
  within = 0,
): Tick[] => {
  const ticks: Tick[] = [];
  for (const { size, centres } of template.ticks) {
    for (const [x, y] of centres) {
      if (near && !near.some((point) => (point.x - x) ** 2 + (point.y - y) ** 2 < within * within)) continue;
      const tick = findTick(image, paper, toImage, x, y, size, reach);
      if (tick) ticks.push(tick);
    }
  }
  return ticks;
};

/** The tick near its place, by the centre of mass of the ink there; null when there is no tick. */
const findTick = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  x: number,
  y: number,
  [width, height]: readonly [number, number],
  reach: number,
): Tick | null => {
  const columns = Math.ceil((width / 2 + reach) / GRID_MM);
  const rows = Math.ceil((height / 2 + reach) / GRID_MM);
  // so near by, perspective is a pair of steps
  const centre = project(toImage, x, y);
  const east = project(toImage, x + 1, y);
  const south = project(toImage, x, y + 1);
  const [ux, uy] = [(east.x - centre.x) * GRID_MM, (east.y - centre.y) * GRID_MM];
  const [vx, vy] = [(south.x - centre.x) * GRID_MM, (south.y - centre.y) * GRID_MM];
  const ink = paperAt(paper, centre.x, centre.y) * 0.6;
  const { data, width: across, height: down } = image;
  let mass = 0;
  let mx = 0;
  let my = 0;
  for (let j = -rows; j <= rows; j++) {
    const rx = centre.x + j * vx;
    const ry = centre.y + j * vy;
    for (let i = -columns; i <= columns; i++) {
      const ix = Math.floor(rx + i * ux);
      const iy = Math.floor(ry + i * uy);
      if (ix < 0 || iy < 0 || ix >= across || iy >= down || data[iy * across + ix]! > ink) continue;
      mass++;
      mx += i;
      my += j;
    }
  }
  // as much ink as the tick has, give or take a third
  const wanted = (width * height) / (GRID_MM * GRID_MM);
  if (mass < wanted * 0.65 || mass > wanted * 1.4) return null;
  const [gx, gy] = [mx / mass, my / mass];
  const seen = { x: centre.x + gx * ux + gy * vx, y: centre.y + gx * uy + gy * vy };
  return { at: { x, y }, seen, dx: gx * GRID_MM, dy: gy * GRID_MM };
};
