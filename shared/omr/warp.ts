// Plane to plane: the homography between template millimetres and raster pixels.

export interface Point {
  x: number;
  y: number;
}

/** 3 × 3, row by row. */
export type Homography = readonly [number, number, number, number, number, number, number, number, number];

export const project = (h: Homography, x: number, y: number): Point => {
  const w = h[6] * x + h[7] * y + h[8];
  return { x: (h[0] * x + h[1] * y + h[2]) / w, y: (h[3] * x + h[4] * y + h[5]) / w };
};

/** The map back, by cofactors; null when there is none. */
export const inverse = ([a, b, c, d, e, f, g, h, i]: Homography): Homography | null => {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!(Math.abs(det) > 1e-12)) return null;
  return [
    (e * i - f * h) / det,
    (c * h - b * i) / det,
    (b * f - c * e) / det,
    (f * g - d * i) / det,
    (a * i - c * g) / det,
    (c * d - a * f) / det,
    (d * h - e * g) / det,
    (b * g - a * h) / det,
    (a * e - b * d) / det,
  ];
};

/**
 * The homography that takes four or more points nearest to as many others: the direct linear transform on normalised
 * points (Hartley and Zisserman, Multiple View Geometry, 4.4), its last normalised entry fixed at 1.
 * @param weights how much each pair counts; all alike when left out
 * @returns null when the points do not span a plane
 */
export const homography = (
  from: readonly Point[],
  to: readonly Point[],
  weights?: readonly number[],
): Homography | null => {
  const a = normaliser(from);
  const b = normaliser(to);
  if (!a || !b) return null;
  // normal equations of the two lines that each pair gives, with the right side as ninth column
  const m = Array.from({ length: 8 }, () => new Float64Array(9));
  // a line has six entries that are not 0: three of its own, and the last three
  const line = new Float64Array(6);
  line[2] = 1;
  for (let i = 0; i < from.length; i++) {
    line[0] = (from[i]!.x - a.x) * a.scale;
    line[1] = (from[i]!.y - a.y) * a.scale;
    const weight = weights?.[i] ?? 1;
    for (let own = 0; own < 6; own += 3) {
      const seen = own === 0 ? (to[i]!.x - b.x) * b.scale : (to[i]!.y - b.y) * b.scale;
      line[3] = -seen * line[0];
      line[4] = -seen * line[1];
      line[5] = seen;
      for (let r = 0; r < 5; r++) {
        const row = m[r < 3 ? own + r : 3 + r]!;
        const heavy = weight * line[r]!;
        for (let c = 0; c < 3; c++) row[own + c] = row[own + c]! + heavy * line[c]!;
        for (let c = 3; c < 6; c++) row[3 + c] = row[3 + c]! + heavy * line[c]!;
      }
    }
  }
  const s = solve(m);
  if (!s) return null;
  const [g0, g1, g2, g3, g4, g5, g6, g7] = s as [number, number, number, number, number, number, number, number];
  // undo both normalisations: first the source's, then the target's
  const source = (p: number, q: number, r: number): [number, number, number] => [
    p * a.scale,
    q * a.scale,
    r - p * a.scale * a.x - q * a.scale * a.y,
  ];
  const [r0, r1, r2] = [source(g0, g1, g2), source(g3, g4, g5), source(g6, g7, 1)];
  const target = (row: [number, number, number], shift: number): [number, number, number] => [
    row[0] / b.scale + shift * r2[0],
    row[1] / b.scale + shift * r2[1],
    row[2] / b.scale + shift * r2[2],
  ];
  const all = [...target(r0, b.x), ...target(r1, b.y), ...r2];
  const last = all[8]!;
  if (Math.abs(last) < 1e-12) return null;
  return all.map((value) => value / last) as unknown as Homography;
};

/** The affine map that takes three or more points nearest to as many others, least squares; null when they lie in line. */
export const affine = (from: readonly Point[], to: readonly Point[]): Homography | null => {
  const a = normaliser(from);
  if (!a) return null;
  const rows = (side: (i: number) => number): Float64Array[] => {
    const m = Array.from({ length: 3 }, () => new Float64Array(4));
    from.forEach((point, i) => {
      const line = [(point.x - a.x) * a.scale, (point.y - a.y) * a.scale, 1, side(i)];
      for (let r = 0; r < 3; r++) for (let c = 0; c < 4; c++) m[r]![c] = m[r]![c]! + line[r]! * line[c]!;
    });
    return m;
  };
  const x = solve(rows((i) => to[i]!.x));
  const y = solve(rows((i) => to[i]!.y));
  if (!x || !y) return null;
  const undo = (s: readonly number[]): [number, number, number] => [
    s[0]! * a.scale,
    s[1]! * a.scale,
    s[2]! - (s[0]! * a.x + s[1]! * a.y) * a.scale,
  ];
  return [...undo(x), ...undo(y), 0, 0, 1];
};

/** Shift and scale that bring points around the origin, about 1 away from it. */
const normaliser = (points: readonly Point[]): (Point & { scale: number }) | null => {
  let [x, y, away] = [0, 0, 0];
  for (const point of points) {
    x += point.x / points.length;
    y += point.y / points.length;
  }
  for (const point of points) away += Math.abs(point.x - x) + Math.abs(point.y - y);
  return away > 0 ? { x, y, scale: points.length / away } : null;
};

/** Gauss's elimination with pivots; each row holds its right side last. Null when the rows depend on each other. */
const solve = (rows: Float64Array[]): number[] | null => {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    }
    const lead = rows[pivot]!;
    if (!(Math.abs(lead[column]!) > 1e-12)) return null;
    rows[pivot] = rows[column]!;
    rows[column] = lead;
    for (let r = 0; r < n; r++) {
      if (r === column) continue;
      const row = rows[r]!;
      const share = row[column]! / lead[column]!;
      if (share === 0) continue;
      for (let k = column; k <= n; k++) row[k] = row[k]! - share * lead[k]!;
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!);
};
