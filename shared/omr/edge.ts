// The page's own four edges, for forms that print nothing in their corners and are photographed on a darker ground.
import type { Frame } from './threshold.ts';
import type { Point } from './warp.ts';

/** Of the whole raster: what is smaller is not the page. */
const SMALLEST_SHARE = 0.06;

/** The corners of the bright page in raster pixels, clockwise from the raster's top left; null when nothing stands out. */
export const findPageEdge = (frame: Frame): [Point, Point, Point, Point] | null => {
  const mask = largestBright(frame, otsu(frame));
  if (!mask) return null;
  const outline = outlineOf(mask, frame.width, frame.height);
  const quad = outline.length < 8 ? null : widest(hull(outline));
  if (!quad) return null;
  const sides = quad.map((corner, i) => lineAlong(outline, corner, quad[(i + 1) % 4]!));
  const corners = sides.map((side, i) => cross(sides[(i + 3) % 4]!, side));
  if (corners.some((corner) => corner === null)) return null;
  const upright = fromTopLeft(corners as Point[]);
  const half = frame.shrink / 2;
  return upright.map(({ x, y }) => ({ x: x * frame.shrink + half, y: y * frame.shrink + half })) as never;
};

/** The grey that parts a picture best into dark and bright (Otsu 1979). */
const otsu = ({ data, width, height }: Frame): number => {
  const counts = new Float64Array(256);
  for (let i = 0; i < width * height; i++) counts[data[i]!]!++;
  let total = 0;
  for (let v = 0; v < 256; v++) total += v * counts[v]!;
  const all = width * height;
  let [below, sum, best, level] = [0, 0, -1, 127];
  for (let v = 0; v < 255; v++) {
    below += counts[v]!;
    sum += v * counts[v]!;
    if (below === 0 || below === all) continue;
    const apart = sum / below - (total - sum) / (all - below);
    const between = below * (all - below) * apart * apart;
    if (between > best) [best, level] = [between, v];
  }
  return level;
};

/** The largest connected bright part, 1 for its pixels. */
const largestBright = ({ data, width, height }: Frame, level: number): Uint8Array | null => {
  const label = new Int32Array(width * height);
  const stack = new Int32Array(width * height);
  let [best, bestSize, next] = [0, 0, 0];
  for (let start = 0; start < width * height; start++) {
    if (label[start] !== 0 || data[start]! <= level) continue;
    next++;
    let [top, size] = [0, 0];
    stack[top++] = start;
    label[start] = next;
    while (top > 0) {
      const at = stack[--top]!;
      size++;
      const x = at % width;
      for (const to of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (to < 0 || to >= width * height || label[to] !== 0 || data[to]! <= level) continue;
        label[to] = next;
        stack[top++] = to;
      }
    }
    if (size > bestSize) [best, bestSize] = [next, size];
  }
  if (bestSize < SMALLEST_SHARE * width * height) return null;
  const mask = new Uint8Array(width * height);
  for (let i = 0; i < mask.length; i++) if (label[i] === best) mask[i] = 1;
  return mask;
};

/** First and last pixel of every row and column. */
const outlineOf = (mask: Uint8Array, width: number, height: number): Point[] => {
  const points: Point[] = [];
  for (let y = 0; y < height; y++) {
    const first = mask.indexOf(1, y * width);
    if (first < 0 || first >= (y + 1) * width) continue;
    points.push({ x: first - y * width, y });
    points.push({ x: mask.lastIndexOf(1, (y + 1) * width - 1) - y * width, y });
  }
  for (let x = 0; x < width; x++) {
    let first = 0;
    while (first < height && mask[first * width + x] === 0) first++;
    if (first === height) continue;
    let last = height - 1;
    while (mask[last * width + x] === 0) last--;
    points.push({ x, y: first }, { x, y: last });
  }
  return points;
};

const turnOf = (o: Point, a: Point, b: Point): number => (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);

/** Convex hull, clockwise in the raster (Andrew's monotone chain). */
const hull = (points: readonly Point[]): Point[] => {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (list: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of list) {
      while (chain.length > 1 && turnOf(chain[chain.length - 2]!, chain[chain.length - 1]!, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
};

/** The four corners of a hull that enclose most. */
const widest = (corners: readonly Point[]): [Point, Point, Point, Point] | null => {
  const n = corners.length;
  if (n < 4) return null;
  let best: [Point, Point, Point, Point] | null = null;
  let most = 0;
  // on either side of every diagonal the furthest corner
  for (let i = 0; i < n; i++) {
    for (let j = i + 2; j < n; j++) {
      const furthest = (from: number, to: number): [number, number] => {
        let [at, area] = [from, 0];
        for (let k = from + 1; k < to; k++) {
          const own = Math.abs(turnOf(corners[i]!, corners[j]!, corners[k % n]!));
          if (own > area) [at, area] = [k, own];
        }
        return [at, area];
      };
      const [p, above] = furthest(i, j);
      const [q, below] = furthest(j, i + n);
      if (above > 0 && below > 0 && above + below > most) {
        most = above + below;
        best = [corners[i]!, corners[p % n]!, corners[j]!, corners[q % n]!];
      }
    }
  }
  return best;
};

type Line = readonly [number, number, number];

/** The line that most of the outline near a side lies on: points within reach, refitted with ever less reach. */
const lineAlong = (outline: readonly Point[], a: Point, b: Point): Line => {
  const length = Math.sqrt((b.x - a.x) ** 2 + (b.y - a.y) ** 2);
  let line: Line = through(a, b);
  for (const reach of [length * 0.02 + 2, 3, 2]) {
    const near = outline.filter((point) => {
      const along = ((point.x - a.x) * (b.x - a.x) + (point.y - a.y) * (b.y - a.y)) / (length * length);
      return along > 0.05 && along < 0.95 && Math.abs(line[0] * point.x + line[1] * point.y + line[2]) < reach;
    });
    if (near.length < 8) break;
    line = fitted(near);
  }
  return line;
};

const through = (a: Point, b: Point): Line => {
  const [nx, ny] = [b.y - a.y, a.x - b.x];
  const size = Math.sqrt(nx * nx + ny * ny) || 1;
  return [nx / size, ny / size, -(nx * a.x + ny * a.y) / size];
};

/** Least squares across the line's own direction, which of x and y runs more along it. */
const fitted = (points: readonly Point[]): Line => {
  let [mx, my, xx, yy, xy] = [0, 0, 0, 0, 0];
  for (const { x, y } of points) {
    mx += x / points.length;
    my += y / points.length;
  }
  for (const { x, y } of points) {
    xx += (x - mx) ** 2;
    yy += (y - my) ** 2;
    xy += (x - mx) * (y - my);
  }
  const middle = { x: mx, y: my };
  return xx > yy
    ? through(middle, { x: mx + 1, y: my + xy / xx })
    : through(middle, { x: mx + (yy === 0 ? 0 : xy / yy), y: my + 1 });
};

const cross = ([a, b, c]: Line, [d, e, f]: Line): Point | null => {
  const w = a * e - b * d;
  return Math.abs(w) < 1e-6 ? null : { x: (b * f - c * e) / w, y: (c * d - a * f) / w };
};

/** The same four, clockwise from the one nearest to the raster's top left. */
const fromTopLeft = (corners: readonly Point[]): Point[] => {
  const [a, b, c] = corners as [Point, Point, Point];
  const clockwise = turnOf(a, b, c) > 0 ? [...corners] : [...corners].reverse();
  let first = 0;
  clockwise.forEach(({ x, y }, i) => {
    if (x + y < clockwise[first]!.x + clockwise[first]!.y) first = i;
  });
  return clockwise.map((_, i) => clockwise[(first + i) % 4]!);
};
