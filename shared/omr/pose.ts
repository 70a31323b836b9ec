// Which way up a page lies and whether its frame is a sheet's or a cover's: the odd corner square says so, and the
// ticks along the edges prove it.
import type { Template } from '../template/template.ts';
import type { Corners } from './fiducials.ts';
import type { GrayImage } from './image.ts';
import { type Paper, paperAt } from './threshold.ts';
import { type Homography, homography, project } from './warp.ts';

export interface Pose {
  /** degrees clockwise that the raster must be turned by to stand upright */
  orientation: 0 | 90 | 180 | 270;
  toImage: Homography;
  /** corner squares that are solid or hollow as the template says, of those seen */
  agreeing: number;
  seen: number;
  /** share of the template's ticks that are there; 1 when it has none */
  ticks: number;
  /** how far ticks lie from where they should, root mean square in millimetres */
  residual: number;
}

const TURNS = [0, 270, 180, 90] as const;
/** Between a solid middle (0) and a hole (1); nearer than this to the middle a square says nothing. */
const UNSURE = 0.15;

/** The best pose of one template on the corners that were found, or null when none is believable. */
export const findPose = (image: GrayImage, paper: Paper, corners: Corners, template: Template): Pose | null => {
  const { centres, hollow } = template.fiducials;
  const from = centres.map(([x, y]) => ({ x, y }));
  let best: Pose | null = null;
  for (let turn = 0; turn < 4; turn++) {
    let [agreeing, seen] = [0, 0];
    for (let corner = 0; corner < 4; corner++) {
      const at = (corner + turn) % 4;
      if (at === corners.inferred) continue;
      const { hole } = corners.marks[at]!;
      seen++;
      if (Math.abs(hole - 0.5) > UNSURE && hole > 0.5 === hollow.includes(corner)) agreeing++;
    }
    if (agreeing < seen - 1 || agreeing < 3 - (seen < 4 ? 0 : 0) || (best && agreeing < best.agreeing)) continue;
    const to = centres.map((_, corner) => corners.marks[(corner + turn) % 4]!);
    const toImage = homography(from, to);
    if (!toImage) continue;
    const { share, residual } = lookForTicks(image, paper, toImage, template);
    const pose: Pose = { orientation: TURNS[turn]!, toImage, agreeing, seen, ticks: share, residual };
    if (!best || agreeing > best.agreeing || share > best.ticks) best = pose;
  }
  return best;
};

/** Ticks are looked for within this many millimetres of their place. */
const SEARCH_MM = 1.2;
const GRID_MM = 0.2;

const lookForTicks = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  template: Template,
): { share: number; residual: number } => {
  let [all, there, squares] = [0, 0, 0];
  for (const { size, centres } of template.ticks) {
    for (const [x, y] of centres) {
      all++;
      const offset = tickOffset(image, paper, toImage, x, y, size);
      if (!offset) continue;
      there++;
      squares += offset.x * offset.x + offset.y * offset.y;
    }
  }
  return { share: all === 0 ? 1 : there / all, residual: there === 0 ? 0 : Math.sqrt(squares / there) };
};

/** Where the tick's centre of mass lies from its place, in millimetres; null when there is no tick. */
const tickOffset = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  x: number,
  y: number,
  [width, height]: readonly [number, number],
): { x: number; y: number } | null => {
  const [rx, ry] = [width / 2 + SEARCH_MM, height / 2 + SEARCH_MM];
  const centre = project(toImage, x, y);
  const bright = paperAt(paper, centre.x, centre.y);
  let [mass, mx, my, count] = [0, 0, 0, 0];
  for (let dy = -ry; dy <= ry; dy += GRID_MM) {
    for (let dx = -rx; dx <= rx; dx += GRID_MM) {
      const { x: px, y: py } = project(toImage, x + dx, y + dy);
      const [ix, iy] = [Math.floor(px), Math.floor(py)];
      if (ix < 0 || iy < 0 || ix >= image.width || iy >= image.height) continue;
      count++;
      if (image.data[iy * image.width + ix]! > bright * 0.6) continue;
      mass++;
      mx += dx;
      my += dy;
    }
  }
  // the tick's own share of the searched area, give or take a half
  const wanted = (width * height) / (4 * rx * ry);
  if (count === 0 || mass / count < wanted * 0.5 || mass / count > wanted * 1.6) return null;
  return { x: mx / mass, y: my / mass };
};
