// Reads the QR code in a template's zone. Only the zone is looked at, made upright and small: a search over a full
// noisy page takes seconds.
import jsqr from 'jsqr';
import type { Template } from '../template/template.ts';
import type { GrayImage } from './image.ts';
import { type Paper, paperAt } from './threshold.ts';
import { type Homography, project } from './warp.ts';

/** Quiet zone taken along, as a share of the code's side: four modules of the smallest code. */
const QUIET = 0.16;
/** Sides tried in pixels: 25 modules and quiet zone come to 3.6, 5 and 8 pixels a module. */
const SIDES = [120, 168, 264] as const;

export interface SeenQr {
  text: string | null;
  /** whether anything dark enough to be a code is in the zone */
  inked: boolean;
}

export const readQr = (image: GrayImage, paper: Paper, toImage: Homography, zone: Template['qr']): SeenQr => {
  if (!zone) return { text: null, inked: false };
  let inked = false;
  for (const side of SIDES) {
    const crop = cut(image, paper, toImage, zone, side);
    // a code is near half black; a smudge or a stray line is not
    inked = crop.ink > 0.12;
    if (!inked) break;
    const text = decode(crop.rgba, side);
    if (text !== null) return { text, inked };
  }
  return { text: null, inked };
};

const cut = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  zone: { x: number; y: number; size: number },
  side: number,
): { rgba: Uint8ClampedArray; ink: number } => {
  const { width, height, data } = image;
  const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
  const margin = zone.size * QUIET;
  const step = (zone.size + 2 * margin) / side;
  const middle = project(toImage, zone.x + zone.size / 2, zone.y + zone.size / 2);
  const bright = Math.max(1, paperAt(paper, middle.x, middle.y));
  let dark = 0;
  for (let j = 0; j < side; j++) {
    for (let i = 0; i < side; i++) {
      const at = project(toImage, zone.x - margin + (i + 0.5) * step, zone.y - margin + (j + 0.5) * step);
      const [sx, sy] = [at.x - 0.5, at.y - 0.5];
      const [ix, iy] = [Math.floor(sx), Math.floor(sy)];
      if (ix < 0 || iy < 0 || ix >= width - 1 || iy >= height - 1) continue;
      const [fx, fy] = [sx - ix, sy - iy];
      const from = iy * width + ix;
      const upper = data[from]! * (1 - fx) + data[from + 1]! * fx;
      const lower = data[from + width]! * (1 - fx) + data[from + width + 1]! * fx;
      const value = Math.min(255, Math.round(((upper * (1 - fy) + lower * fy) / bright) * 255));
      if (value < 140) dark++;
      const to = (j * side + i) * 4;
      rgba[to] = value;
      rgba[to + 1] = value;
      rgba[to + 2] = value;
    }
  }
  return { rgba, ink: dark / (side * side) };
};

const decode = (rgba: Uint8ClampedArray, side: number): string | null => {
  try {
    return jsqr.default(rgba, side, side, { inversionAttempts: 'dontInvert' })?.data ?? null;
  } catch {
    // the decoder indexes by what a damaged code claims to be; that it stumbles means only "not readable"
    return null;
  }
};
