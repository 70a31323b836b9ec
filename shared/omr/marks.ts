// Finds the four marks that other makers print: discs, rings, squares, brackets. Any component of ink may be one; four of
// them are taken when they lie and measure as the template says.
import type { MarkFiducials } from '../template/template.ts';
import { type Blob, blobsIn } from './blobs.ts';
import { type Frame, inkLevels, type Paper } from './threshold.ts';
import type { Point } from './warp.ts';

/** Four marks in the template's order, in raster pixels, and how badly they fit: 0 perfectly. */
export interface FoundMarks {
  points: [Point, Point, Point, Point];
  /** quarters of a turn clockwise from the template to the raster */
  turn: number;
  unlike: number;
}

type Mark = MarkFiducials['marks'][number];

/** Share of its box that a mark's ink covers, least and most. */
const COVER: Record<Mark['shape'], readonly [number, number]> = {
  square: [0.6, 1],
  disc: [0.5, 0.95],
  ring: [0.15, 0.9],
  bracket: [0.03, 0.5],
  ell: [0.45, 0.95],
};

/** A page fills 30 to 140 % of the raster's long side. */
const SMALLEST = 0.3;
const LARGEST = 1.4;
/** So many of the outermost candidates are tried for each corner. */
const OUTERMOST = 9;
const WORST_SIDES = 0.12;
const WORST_RATIO = 0.12;
const WORST_SIZE = 0.22;
/** Only so many of the best are worth a closer look. */
const MOST_FOUND = 4;

export const findMarks = (
  frame: Frame,
  paper: Paper,
  { marks }: MarkFiducials,
  page: { width: number; height: number },
): FoundMarks[] => {
  const scale = Math.max(frame.width, frame.height) / Math.max(page.width, page.height);
  const sizes = marks.map(({ size }) => size * scale);
  const all = blobsIn(
    frame,
    inkLevels(paper, 0.62),
    paper.columns,
    { x: 0, y: 0, width: frame.width, height: frame.height },
    Math.max(3, Math.floor(Math.min(...sizes) * SMALLEST)),
    Math.ceil(Math.max(...sizes) * LARGEST),
  );
  const found: FoundMarks[] = [];
  for (let turn = 0; turn < 4; turn++) {
    // which of the template's marks shows at each corner of the raster
    const shown = [0, 1, 2, 3].map((corner) => marks[(corner - turn + 4) % 4]!);
    const candidates = shown.map((mark, corner) => outermost(all, mark, mark.size * scale, corner));
    for (const four of fours(candidates)) {
      const unlike = misfit(four, shown);
      if (unlike === null) continue;
      const points = [0, 1, 2, 3].map((i) => centreOf(four[(i + turn) % 4]!, frame.shrink)) as FoundMarks['points'];
      found.push({ points, turn, unlike });
    }
  }
  found.sort((a, b) => a.unlike - b.unlike);
  // the best of each turn, and then the best of all
  const firsts = [0, 1, 2, 3].flatMap((turn) => found.find((one) => one.turn === turn) ?? []);
  const rest = found.slice(0, MOST_FOUND).filter((one) => !firsts.includes(one));
  return [...firsts, ...rest];
};

const centreOf = ({ left, right, top, bottom }: Blob, shrink: number): Point => ({
  x: ((left + right + 1) / 2) * shrink,
  y: ((top + bottom + 1) / 2) * shrink,
});

const sideOf = ({ left, right, top, bottom }: Blob): number => (right - left + bottom - top) / 2 + 1;

/** Candidates for a mark, those furthest towards the raster's corner first. */
const outermost = (all: readonly Blob[], { shape }: Mark, expected: number, corner: number): Blob[] => {
  const [least, most] = COVER[shape];
  const towards = ({ left, right, top, bottom }: Blob): number =>
    (corner === 0 || corner === 3 ? -(left + right) : left + right) + (corner < 2 ? -(top + bottom) : top + bottom);
  return all
    .filter((blob) => {
      const [w, h] = [blob.right - blob.left + 1, blob.bottom - blob.top + 1];
      const side = sideOf(blob);
      if (side < expected * SMALLEST || side > expected * LARGEST || Math.max(w, h) > 1.45 * Math.min(w, h) + 2) {
        return false;
      }
      const cover = blob.area / (w * h);
      return cover >= least && cover <= most;
    })
    .sort((a, b) => towards(b) - towards(a))
    .slice(0, OUTERMOST);
};

function* fours([as, bs, cs, ds]: readonly Blob[][]): Generator<[Blob, Blob, Blob, Blob], void, undefined> {
  for (const a of as!)
    for (const b of bs!)
      for (const c of cs!) for (const d of ds!) if (a !== b && b !== c && c !== d && a !== d) yield [a, b, c, d];
}

const unequal = (a: number, b: number): number => Math.abs(a - b) / (a + b);

const apart = (a: Point, b: Point): number => Math.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2);

const misfit = (four: readonly Blob[], shown: readonly Mark[]): number | null => {
  const [a, b, c, d] = four.map((blob) => centreOf(blob, 1)) as [Point, Point, Point, Point];
  // each in its own corner: the same four read a quarter further on are another way up
  const across = (from: Point, to: Point): boolean => to.x - from.x > Math.abs(to.y - from.y);
  const down = (from: Point, to: Point): boolean => to.y - from.y > Math.abs(to.x - from.x);
  if (!across(a, b) || !across(d, c) || !down(a, d) || !down(b, c)) return null;
  const [p, q, r, s] = shown.map(({ at: [x, y] }) => ({ x, y })) as [Point, Point, Point, Point];
  const seen = [apart(a, b), apart(b, c), apart(c, d), apart(d, a)] as const;
  const wanted = [apart(p, q), apart(q, r), apart(r, s), apart(s, p)] as const;
  const scale = (seen[0] + seen[1] + seen[2] + seen[3]) / (wanted[0] + wanted[1] + wanted[2] + wanted[3]);
  const sides = unequal(seen[0] * wanted[2], seen[2] * wanted[0]) + unequal(seen[1] * wanted[3], seen[3] * wanted[1]);
  const diagonals = unequal(apart(a, c) * apart(q, s), apart(b, d) * apart(p, r));
  if (sides > WORST_SIDES || diagonals > WORST_SIDES) return null;
  const ratio = unequal((seen[0] + seen[2]) * (wanted[1] + wanted[3]), (seen[1] + seen[3]) * (wanted[0] + wanted[2]));
  if (ratio > WORST_RATIO) return null;
  let sizes = 0;
  for (let i = 0; i < 4; i++) {
    const side = sideOf(four[i]!);
    // a pixel either way is nothing on a small mark
    const off = Math.max(0, Math.abs(side - shown[i]!.size * scale) - 1) / (side + shown[i]!.size * scale);
    if (off > WORST_SIZE) return null;
    sizes += off;
  }
  return sides + diagonals + ratio + sizes / 2;
};
