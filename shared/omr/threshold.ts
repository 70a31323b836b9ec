// The page made small, and how bright its paper is from place to place. Everything that asks "is this ink?" asks here.
import type { GrayImage } from './image.ts';

/** A page shrunk so that its long side is about 800 pixels, on which marks are looked for. */
export interface Frame extends GrayImage {
  /** raster pixels per frame pixel, a whole number */
  shrink: number;
}

/** Long side of a frame: an A4 page comes to about 70 dpi, where a 6 mm square is 16 pixels wide. */
const FRAME_SIDE = 800;

// Frames live only while a page is read, one of a size at a time: their memory is used again.
const spare = { small: new Uint8Array(0), fine: new Uint8Array(0) };

/** Long side of the finer frame on which the outlines of other makers' bubbles are looked for. */
const FINE_SIDE = 1800;

type Size = 'small' | 'fine';

const shrinkBy = ({ width, height }: GrayImage, size: Size): number =>
  Math.max(1, Math.round(Math.max(width, height) / (size === 'small' ? FRAME_SIDE : FINE_SIDE)));

/**
 * Each frame pixel is the mean of two raster pixels, which is enough against grain and cheap at any resolution. The
 * frame is good until the next page is shrunk.
 * @param margin only what lies in this share of both sides around each corner is made: on most pages nothing else is asked
 *   for, and a large raster takes longer to walk through than to read
 */
export const shrink = (image: GrayImage, size: Size = 'small', margin = 0.5): Frame => {
  const k = shrinkBy(image, size);
  if (k === 1) return { ...image, shrink: 1 };
  const width = Math.floor(image.width / k);
  const height = Math.floor(image.height / k);
  if (spare[size].length < width * height) spare[size] = new Uint8Array(width * height);
  const data = spare[size];
  const [across, down] = [Math.ceil(width * margin), Math.ceil(height * margin)];
  for (let y = 0; y < height; y++) {
    if (y === down) y = Math.max(y, height - down);
    shrinkRow(image, k, y, data, y * width, 0, across);
    shrinkRow(image, k, y, data, y * width, Math.max(across, width - across), width);
  }
  return { width, height, data, shrink: k };
};

/** Frame pixels `from` to `to` of a row: opposite corners of each cell's inner half, so that the centre of mass is the
 *  cell's centre. */
const shrinkRow = (
  { data: source, width }: GrayImage,
  k: number,
  y: number,
  data: Uint8Array,
  at: number,
  from: number,
  to: number,
): void => {
  const near = k >> 2;
  const far = k - 1 - near;
  let upper = (y * k + near) * width + from * k + near;
  let lower = (y * k + far) * width + from * k + far;
  for (let x = from; x < to; x++) {
    data[at + x] = (source[upper]! + source[lower]! + 1) >> 1;
    upper += k;
    lower += k;
  }
};

/** Side of a tile in frame pixels: about 6 mm of an A4 page. */
const TILE = 16;
const BLOCK = 4;
/** Blocks are looked at in every other row of them. */
const BLOCK_ROWS = 2 * BLOCK;

/** Brightness of the bare paper, a value per tile. */
export interface Paper {
  columns: number;
  rows: number;
  level: Float64Array;
  /** raster pixels per tile */
  pitch: number;
}

/**
 * Paper of a tile: the brightest block of it and its eight neighbours, so that a filled corner square (6 mm) still has
 * paper around it. A block is eight raster pixels over four frame pixels in two lines, and its mean keeps grain from passing
 * for brighter paper.
 */
export const findPaper = (image: GrayImage, size: Size = 'small'): Paper => {
  const k = shrinkBy(image, size);
  const width = Math.floor(image.width / k);
  const height = Math.floor(image.height / k);
  const columns = Math.max(1, Math.ceil(width / TILE));
  const rows = Math.max(1, Math.ceil(height / TILE));
  const brightest = new Int32Array(columns * rows);
  const { data } = image;
  for (let by = 0; by + BLOCK <= height; by += BLOCK_ROWS) {
    const tileRow = (by >> 4) * columns;
    let upper = (by * k + (k >> 1)) * image.width + (k >> 1);
    let lower = upper + 2 * image.width * k;
    for (let bx = 0; bx + BLOCK <= width; bx += BLOCK) {
      const sum =
        data[upper]! +
        data[upper + k]! +
        data[upper + 2 * k]! +
        data[upper + 3 * k]! +
        data[lower]! +
        data[lower + k]! +
        data[lower + 2 * k]! +
        data[lower + 3 * k]!;
      const tile = tileRow + (bx >> 4);
      if (sum > brightest[tile]!) brightest[tile] = sum;
      upper += BLOCK * k;
      lower += BLOCK * k;
    }
  }
  const level = new Float64Array(columns * rows);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      let best = 0;
      for (let y = Math.max(0, r - 1); y <= Math.min(rows - 1, r + 1); y++) {
        for (let x = Math.max(0, c - 1); x <= Math.min(columns - 1, c + 1); x++) {
          const value = brightest[y * columns + x]!;
          if (value > best) best = value;
        }
      }
      level[r * columns + c] = best / (BLOCK * 2);
    }
  }
  return { columns, rows, level, pitch: TILE * k };
};

/** How bright a page's paper is for the most part: the middle of its tiles. */
export const brightnessOf = ({ level }: Paper): number => {
  const counts = new Uint16Array(256);
  for (let i = 0; i < level.length; i++) counts[level[i]! | 0] = counts[level[i]! | 0]! + 1;
  let bright = 0;
  for (let below = counts[0]!; below * 2 < level.length; below += counts[bright]!) bright++;
  return bright;
};

/** Paper under a point of the raster, in between tile centres by straight lines. */
export const paperAt = (paper: Paper, x: number, y: number): number => {
  const { columns, rows, level, pitch } = paper;
  const gx = Math.max(0, Math.min(columns - 1, x / pitch - 0.5));
  const gy = Math.max(0, Math.min(rows - 1, y / pitch - 0.5));
  const ix = Math.min(Math.floor(gx), Math.max(0, columns - 2));
  const iy = Math.min(Math.floor(gy), Math.max(0, rows - 2));
  const right = Math.min(columns - 1, ix + 1);
  const below = Math.min(rows - 1, iy + 1);
  const fx = gx - ix;
  const fy = gy - iy;
  const upper = level[iy * columns + ix]! * (1 - fx) + level[iy * columns + right]! * fx;
  const lower = level[below * columns + ix]! * (1 - fx) + level[below * columns + right]! * fx;
  return upper * (1 - fy) + lower * fy;
};

/** Printed black is under half as bright as its paper, at any exposure that leaves a sheet legible. */
const INK_SHARE = 0.55;
/** A tile darker than this has no paper in it: the scanner's lid, or nothing. */
const DARKEST_PAPER = 40;

/** Below this a frame pixel is ink, a value per tile. Where there is no paper there is no ink either. */
export const inkLevels = ({ level }: Paper, share = INK_SHARE): Uint8Array => {
  const levels = new Uint8Array(level.length);
  for (let i = 0; i < level.length; i++) levels[i] = level[i]! < DARKEST_PAPER ? 0 : Math.floor(level[i]! * share);
  return levels;
};

export interface Ink {
  /** share of the inner page that is ink */
  share: number;
  /** share of the inner page that is paper at all */
  paper: number;
}

/** How much is printed or written on the page. The outer eighth is left out: shadows and lids live there. */
export const inkShare = (frame: Frame, paper: Paper): Ink => {
  const levels = inkLevels(paper);
  let [ink, all, bright] = [0, 0, 0];
  const top = frame.height >> 3;
  const left = frame.width >> 3;
  for (let y = top; y < frame.height - top; y++) {
    const tiles = (y >> 4) * paper.columns;
    const row = y * frame.width;
    for (let x = left; x < frame.width - left; x++) {
      const level = levels[tiles + (x >> 4)]!;
      all++;
      if (level > 0) bright++;
      if (frame.data[row + x]! < level) ink++;
    }
  }
  return { share: all === 0 ? 0 : ink / all, paper: all === 0 ? 0 : bright / all };
};
