// Plane to plane: the homography between template millimetres and raster pixels.

export interface Point {
  x: number;
  y: number;
}

/** 3 × 3, row by row, the last entry 1. */
export type Homography = readonly [number, number, number, number, number, number, number, number, number];

export const project = (h: Homography, x: number, y: number): Point => {
  const w = h[6] * x + h[7] * y + h[8];
  return { x: (h[0] * x + h[1] * y + h[2]) / w, y: (h[3] * x + h[4] * y + h[5]) / w };
};

/**
 * The homography that takes four points to four others: the direct linear transform (Hartley and Zisserman, Multiple
 * View Geometry, 4.1) with the last entry fixed at 1, solved by elimination with pivots.
 * @returns null when three of the points lie on a line
 */
export const homography = (from: readonly Point[], to: readonly Point[]): Homography | null => {
  const rows: number[][] = [];
  for (let i = 0; i < 4; i++) {
    const { x, y } = from[i]!;
    const { x: u, y: v } = to[i]!;
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]);
  }
  for (let column = 0; column < 8; column++) {
    let pivot = column;
    for (let r = column + 1; r < 8; r++) {
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    }
    const lead = rows[pivot]!;
    if (Math.abs(lead[column]!) < 1e-9) return null;
    rows[pivot] = rows[column]!;
    rows[column] = lead;
    for (let r = 0; r < 8; r++) {
      if (r === column) continue;
      const row = rows[r]!;
      const share = row[column]! / lead[column]!;
      if (share === 0) continue;
      for (let k = column; k < 9; k++) row[k] = row[k]! - share * lead[k]!;
    }
  }
  const [a, b, c, d, e, f, g, h] = rows.map((row, i) => row[8]! / row[i]!) as number[];
  return [a!, b!, c!, d!, e!, f!, g!, h!, 1];
};
