// Where a raster is sampled inside a bubble, and how one steps from point to point.

/** Sample points inside a unit bubble, x and y by turns, in units of its width and height. */
export const samplesOf = (inner: number, grid: number, box = false): Float64Array => {
  const points: number[] = [];
  for (let i = 0; i < grid; i++) {
    for (let j = 0; j < grid; j++) {
      const u = ((i + 0.5) / grid) * 2 - 1;
      const v = ((j + 0.5) / grid) * 2 - 1;
      if (box || u * u + v * v <= 1) points.push((u * inner) / 2, (v * inner) / 2);
    }
  }
  return Float64Array.from(points);
};

/** Points of a grid inside a unit bubble by lines that run down the page: each point is in another row of the raster, so that
 *  what comes from memory comes side by side. Across, every row would be waited for. */
export interface Lines {
  /** of each line its first point and how many there are: u, v and points by turns */
  lines: Float64Array;
  /** between the points of a line */
  step: number;
  points: number;
}

export const linesOf = (inner: number, grid: number, box = false): Lines => {
  const samples = samplesOf(inner, grid, box);
  const lines: number[] = [];
  for (let s = 0; s < samples.length; s += 2) {
    const [u, v] = [samples[s]!, samples[s + 1]!];
    if (lines.at(-3) === u) lines[lines.length - 1]!++;
    else lines.push(u, v, 1);
  }
  return { lines: Float64Array.from(lines), step: inner / grid, points: samples.length / 2 };
};

/** Places between pixels in whole numbers, which are faster to step by (`| 0` says to V8 that they stay so): 14 bits leave
 *  room for 131,071 pixels. */
export const FRACTION = 14;
export const fixed = (pixels: number): number => Math.floor(pixels * (1 << FRACTION)) | 0;
