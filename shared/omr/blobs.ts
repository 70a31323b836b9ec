// Ink joined into connected components: what marks and outlines are made of before anybody knows which is which.
import type { Frame } from './threshold.ts';

/** A connected component of ink in frame pixels, its last row and column included. */
export interface Blob {
  left: number;
  right: number;
  top: number;
  bottom: number;
  area: number;
}

// Scratch memory, used again for every zone of every page. A blob is five numbers and the index of the one that took
// it in (or its own); a run is its start, its end (one past) and its blob.
let blobs = new Int32Array(6 * 4096);
let above = new Int32Array(0);
let below = new Int32Array(0);

const rootOf = (i: number): number => {
  let r = i;
  while (blobs[r + 5] !== r) r = blobs[r + 5]!;
  while (blobs[i + 5] !== r) {
    const up = blobs[i + 5]!;
    blobs[i + 5] = r;
    i = up;
  }
  return r;
};

/** Components of ink in a zone whose box is `least` to `most` pixels either way, by runs joined with the row above. */
export const blobsIn = (
  frame: Frame,
  levels: Uint8Array,
  columns: number,
  { x: x0, y: y0, width, height }: { x: number; y: number; width: number; height: number },
  least: number,
  most: number,
): Blob[] => {
  const { data } = frame;
  const end = x0 + width;
  if (above.length < 3 * (width + 2)) {
    above = new Int32Array(3 * (width + 2));
    below = new Int32Array(3 * (width + 2));
  }
  let count = 0;
  let runsAbove = 0;
  for (let y = y0; y < y0 + height; y++) {
    const tiles = (y >> 4) * columns;
    const row = y * frame.width;
    let runs = 0;
    let next = 0;
    for (let x = x0; x < end; ) {
      // paper, tile by tile
      let tile = x >> 4;
      let stop = Math.min(end, (tile + 1) << 4);
      let level = levels[tiles + tile]!;
      while (x < stop && data[row + x]! >= level) x++;
      if (x === stop) continue;
      const start = x;
      for (;;) {
        while (x < stop && data[row + x]! < level) x++;
        if (x < stop || x >= end) break;
        tile++;
        stop = Math.min(end, (tile + 1) << 4);
        level = levels[tiles + tile]!;
      }
      // which runs above touch this one (diagonals count)
      let own = -1;
      while (next < runsAbove && above[next + 1]! < start) next += 3;
      for (let k = next; k < runsAbove && above[k]! <= x; k += 3) {
        const other = rootOf(above[k + 2]!);
        if (own < 0) own = other;
        else if (own !== other) {
          if (blobs[other]! < blobs[own]!) blobs[own] = blobs[other]!;
          if (blobs[other + 1]! > blobs[own + 1]!) blobs[own + 1] = blobs[other + 1]!;
          if (blobs[other + 2]! < blobs[own + 2]!) blobs[own + 2] = blobs[other + 2]!;
          blobs[own + 4] = blobs[own + 4]! + blobs[other + 4]!;
          blobs[other + 5] = own;
        }
      }
      if (own < 0) {
        own = count;
        count += 6;
        if (count > blobs.length) {
          const more = new Int32Array(blobs.length * 2);
          more.set(blobs);
          blobs = more;
        }
        blobs[own] = start;
        blobs[own + 1] = x - 1;
        blobs[own + 2] = y;
        blobs[own + 4] = 0;
        blobs[own + 5] = own;
      }
      if (start < blobs[own]!) blobs[own] = start;
      if (x - 1 > blobs[own + 1]!) blobs[own + 1] = x - 1;
      blobs[own + 3] = y;
      blobs[own + 4] = blobs[own + 4]! + x - start;
      below[runs] = start;
      below[runs + 1] = x;
      below[runs + 2] = own;
      runs += 3;
    }
    [above, below] = [below, above];
    runsAbove = runs;
  }
  const found: Blob[] = [];
  for (let i = 0; i < count; i += 6) {
    if (blobs[i + 5] !== i) continue;
    const [left, right, top, bottom] = [blobs[i]!, blobs[i + 1]!, blobs[i + 2]!, blobs[i + 3]!];
    const [w, h] = [right - left + 1, bottom - top + 1];
    if (w < least || h < least || w > most || h > most) continue;
    found.push({ left, right, top, bottom, area: blobs[i + 4]! });
  }
  return found;
};
