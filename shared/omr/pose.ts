// Which way up a page lies and whether its frame is a sheet's or a cover's: the odd corner square says so, and the
// ticks along the edges prove it and make the fit finer.
import type { SheafTemplate } from '../template/built-in.ts';
import type { Corners } from './fiducials.ts';
import type { Off } from './flatten.ts';
import { growStarts, type Start, wayOf } from './grow.ts';
import type { GrayImage } from './image.ts';
import { FRACTION, fixed } from './points.ts';
import { type Frame, findPaper, type Paper, paperAt } from './threshold.ts';
import { type Homography, homography, inverse, type Point, project } from './warp.ts';

export interface Pose {
  /** degrees clockwise that the raster must be turned by to stand upright */
  orientation: 0 | 90 | 180 | 270;
  toImage: Homography;
  /** corner squares that were not seen */
  missing: number;
  /** how well corner squares and ticks bear this pose out, 0 to 2 */
  belief: number;
  /** share of the template's ticks that are there, of those that lie on the raster; null when it has none */
  ticks: number | null;
  /** how far ticks still lie from where they should, root mean square in millimetres */
  residual: number;
  /** what each square and tick that was seen is still off by */
  offs: readonly Off[];
}

const TURNS = [0, 270, 180, 90] as const;
/** A middle is 0 when solid and 1 when hollow; nearer than this to one half a square says nothing. */
const UNSURE = 0.15;
/** What a template without ticks is believed for them: less than ticks that are there, more than ticks that are not. */
const NO_TICKS = 0.5;
/** Other print may have three squares in its corners, but not these bars as well. Without ticks all four must be there. The
 *  fewer squares were seen (all, three, two, one), the more ticks must prove the rest. */
const FEWEST_TICKS = [0.35, 0.5, 0.6, 0.7] as const;
/** Fewer ticks than this on the raster prove no square that is missing. */
const TICKS_FOR_SQUARES = 8;

/** Poses believed as much as the best one less this are kept beside it: a spoilt corner may leave two ways up. */
export const TIE = 0.05;

/** The believable poses of a template's frame on four squares, the best first. */
export const findPoses = (image: GrayImage, paper: Paper, corners: Corners, template: SheafTemplate): Pose[] => {
  const { centres } = template.fiducials;
  const places = centres.map(([x, y]) => ({ x, y }));
  const poses = [0, 1, 2, 3].flatMap((turn) => {
    const squares = places.map((_, corner) => corners[(corner + turn) % 4]!);
    const toImage = homography(places, squares);
    return toImage ? believable(image, paper, { toImage, squares }, template, TURNS[turn]!) : [];
  });
  return likeliest(poses);
};

/** The same where squares are missing or lie too far askew to be told by themselves. */
export const growPoses = (image: GrayImage, frame: Frame, paper: Paper, template: SheafTemplate): Pose[] =>
  likeliest(
    growStarts(frame, paper, template).flatMap((start) =>
      believable(image, paper, start, template, TURNS[wayOf(start.toImage, template)]),
    ),
  );

const likeliest = (poses: readonly Pose[]): Pose[] => {
  const best = poses.reduce((most, { belief }) => Math.max(most, belief), 0);
  return poses.filter(({ belief }) => belief > best - TIE).sort((a, b) => b.belief - a.belief);
};

const believable = (
  image: GrayImage,
  paper: Paper,
  start: Start,
  template: SheafTemplate,
  orientation: Pose['orientation'],
): Pose[] => {
  const missing = start.squares.filter((square) => square === null).length;
  let agreeing = 0;
  start.squares.forEach((square, corner) => {
    if (!square || Math.abs(square.hole - 0.5) <= UNSURE) return;
    if (square.hole > 0.5 === template.fiducials.hollow.includes(corner)) agreeing++;
  });
  if (agreeing < Math.min(3, 4 - missing)) return [];
  const { toImage, left, due } = settle(image, paper, start, template);
  const ticks = due === 0 ? null : left.length / due;
  if (ticks === null ? agreeing < 4 : ticks < FEWEST_TICKS[Math.min(3, missing)]!) return [];
  if (missing > 0 && left.length < TICKS_FOR_SQUARES) return [];
  const residual = residualOf(left);
  const offs = [...left.map(({ at, dx, dy }) => ({ ...at, dx, dy })), ...squaresOff(toImage, start, template)];
  return [{ orientation, toImage, missing, belief: agreeing / 4 + (ticks ?? NO_TICKS), ticks, residual, offs }];
};

const squaresOff = (toImage: Homography, { squares }: Start, template: SheafTemplate): Off[] => {
  const back = inverse(toImage);
  if (!back) return [];
  return template.fiducials.centres.flatMap(([x, y], corner): Off[] => {
    const square = squares[corner];
    if (!square) return [];
    const seen = project(back, square.x, square.y);
    return [{ x, y, dx: seen.x - x, dy: seen.y - y }];
  });
};

/** Corner squares are measured finer than ticks, and count for this many. */
const CORNER_WEIGHT = 3;
/** Fewer ticks than this do not improve on four corners. */
const ENOUGH_TICKS = 6;
/** How far from their place ticks are looked for, in millimetres, round by round. */
const ROUNDS = [1.2, 1] as const;

/** The fit made finer by the ticks, those that are there after it, and how many should be. */
const settle = (
  image: GrayImage,
  paper: Paper,
  { toImage: first, squares }: Start,
  template: SheafTemplate,
): { toImage: Homography; left: Tick[]; due: number } => {
  const places: Point[] = [];
  const marks: Point[] = [];
  template.fiducials.centres.forEach(([x, y], corner) => {
    const square = squares[corner];
    if (!square) return;
    places.push({ x, y });
    marks.push(square);
  });
  let toImage = first;
  if (template.ticks.length > 0) {
    for (const reach of ROUNDS) {
      const found = lookForTicks(image, paper, toImage, template, reach);
      if (found.length < ENOUGH_TICKS) break;
      const finer = homography(
        [...places, ...found.map(({ at }) => at)],
        [...marks, ...found.map(({ seen }) => seen)],
        [...places.map(() => CORNER_WEIGHT), ...found.map(() => 1)],
      );
      if (!finer) break;
      toImage = finer;
    }
  }
  // what is left after the last fit: folds, curl and stretch that no plane explains
  const left = lookForTicks(image, paper, toImage, template, 1);
  let due = 0;
  for (const { centres } of template.ticks) {
    for (const [x, y] of centres) {
      const at = project(toImage, x, y);
      if (at.x > 0 && at.y > 0 && at.x < image.width && at.y < image.height) due++;
    }
  }
  return { toImage, left, due: Math.max(due, left.length) };
};

/** What each tick that is seen lies off a pose: a reading keeps its pose, and this tells the rest from the raster again. */
export const ticksOff = (image: GrayImage, toImage: Homography, template: SheafTemplate): Off[] =>
  lookForTicks(image, findPaper(image), toImage, template, 1).map(({ at, dx, dy }) => ({ ...at, dx, dy }));

/** Root mean square, in millimetres. */
export const residualOf = (left: readonly { dx: number; dy: number }[]): number => {
  let squares = 0;
  for (const { dx, dy } of left) squares += dx * dx + dy * dy;
  return left.length === 0 ? 0 : Math.sqrt(squares / left.length);
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

/** A tick has 160 points of this grid: its centre of mass is finer than one of them by ten times. */
const GRID_MM = 0.2;

const lookForTicks = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  template: SheafTemplate,
  reach: number,
): Tick[] => {
  const ticks: Tick[] = [];
  for (const { size, centres } of template.ticks) {
    for (const [x, y] of centres) {
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
  const ink = Math.floor(paperAt(paper, centre.x, centre.y) * 0.6);
  const { data, width: across, height: down } = image;
  const reachX = columns * Math.abs(ux) + rows * Math.abs(vx);
  const reachY = columns * Math.abs(uy) + rows * Math.abs(vy);
  // far off the raster there is nothing to see, and whole numbers would not reach
  if (!(centre.x > -reachX && centre.y > -reachY && centre.x < across + reachX && centre.y < down + reachY))
    return null;
  const inside = centre.x > reachX && centre.y > reachY && centre.x + reachX < across && centre.y + reachY < down;
  let mass = 0;
  let mx = 0;
  let my = 0;
  const dx = fixed(vx);
  const dy = fixed(vy);
  for (let i = -columns; i <= columns; i++) {
    let x = fixed(centre.x + i * ux - rows * vx);
    let y = fixed(centre.y + i * uy - rows * vy);
    for (let j = -rows; j <= rows; j++) {
      const ix = x >> FRACTION;
      const iy = y >> FRACTION;
      x = (x + dx) | 0;
      y = (y + dy) | 0;
      if (!inside && (ix < 0 || iy < 0 || ix >= across || iy >= down)) continue;
      if (data[iy * across + ix]! > ink) continue;
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
