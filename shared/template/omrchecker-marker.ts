// What kind of mark a picture shows: OMRChecker's templates hold one of the marker that stands in all four corners, and the
// engine looks for marks by their shape.
import type { GrayImage } from '../omr/image.ts';

export type MarkKind = 'square' | 'disc' | 'ring' | 'bracket';

/** Side of the corners of its box that tell a square from a disc. */
const CORNER = 0.12;
/** A disc covers 0.79 of its box, a ring with a disc inside about 0.5. */
const DISC_COVER = 0.68;

/**
 * The shape of the ink of a picture, and the side of its box as a share of the picture's width. Null without ink on paper.
 */
export const markIn = ({ width, height, data }: GrayImage): { shape: MarkKind; share: number } | null => {
  const counts = new Int32Array(256);
  for (let i = 0; i < width * height; i++) counts[data[i]!]!++;
  const [dark, light] = [levelAt(counts, 0.05 * width * height), levelAt(counts, 0.9 * width * height)];
  if (light - dark < 60) return null;
  const level = (dark + light) / 2;
  const inked = (x: number, y: number): boolean => data[y * width + x]! < level;
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inked(x, y)) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  const [w, h] = [right - left + 1, bottom - top + 1];
  const share = (x0: number, y0: number, wide: number, high: number): number => {
    const [columns, rows] = [Math.max(1, Math.round(wide)), Math.max(1, Math.round(high))];
    let ink = 0;
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) if (inked(x0 + x, y0 + y)) ink++;
    return ink / (columns * rows);
  };
  const cover = share(left, top, w, h);
  const [cw, ch] = [Math.max(1, Math.round(w * CORNER)), Math.max(1, Math.round(h * CORNER))];
  const corners = [left, right + 1 - cw].flatMap((x) => [top, bottom + 1 - ch].map((y) => share(x, y, cw, ch)));
  const square = corners.every((corner) => corner > 0.6);
  const round = corners.every((corner) => corner < 0.4);
  const shape =
    square && cover > 0.65 ? 'square' : round && cover > DISC_COVER ? 'disc' : cover > 0.15 ? 'ring' : 'bracket';
  return { shape, share: (w + h) / 2 / width };
};

/** The grey level that so many pixels are darker than. */
const levelAt = (counts: Int32Array, pixels: number): number => {
  let sum = 0;
  for (let level = 0; level < 256; level++) {
    sum += counts[level]!;
    if (sum > pixels) return level;
  }
  return 255;
};
