// A rectangle of the template cut out of a page as it was scanned: upright, flat and of one scale, however the page lay.
import type { Box } from '../template/snippet-box.ts';
import type { GrayImage } from './image.ts';
import { type Homography, project } from './warp.ts';

/** Samples a pixel and side at most: a page of 600 dpi is averaged over all it has, and no page costs more. */
const MOST_SAMPLES = 4;
const PAPER = 255;

/**
 * @param toImage template millimetres → raster pixels, as a reading keeps it
 * @param pxPerMm of what comes out
 * @returns what lies beside the raster is white
 */
export const cropUpright = (image: GrayImage, toImage: Homography, box: Box, pxPerMm: number): GrayImage => {
  const width = Math.max(1, Math.round(box.width * pxPerMm));
  const height = Math.max(1, Math.round(box.height * pxPerMm));
  const data = new Uint8Array(width * height);
  const centre = project(toImage, box.x + box.width / 2, box.y + box.height / 2);
  const beside = project(toImage, box.x + box.width / 2 + 1, box.y + box.height / 2);
  const rasterPxPerMm = Math.hypot(beside.x - centre.x, beside.y - centre.y);
  const samples = Math.max(1, Math.min(MOST_SAMPLES, Math.ceil(rasterPxPerMm / pxPerMm)));
  const step = 1 / pxPerMm / samples;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < samples; k++) {
        const yMm = box.y + y / pxPerMm + (k + 0.5) * step;
        for (let j = 0; j < samples; j++) {
          const at = project(toImage, box.x + x / pxPerMm + (j + 0.5) * step, yMm);
          sum += greyAt(image, at.x, at.y);
        }
      }
      data[y * width + x] = Math.round(sum / samples ** 2);
    }
  }
  return { width, height, data };
};

/** Bilinear between the four pixels around a place. A pixel's middle is half a pixel into it. */
const greyAt = ({ width, height, data }: GrayImage, x: number, y: number): number => {
  const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
  if (left < -1 || top < -1 || left >= width || top >= height) return PAPER;
  const [u, v] = [x - 0.5 - left, y - 0.5 - top];
  const [l, r] = [Math.max(0, left), Math.min(width - 1, left + 1)];
  const [t, b] = [Math.max(0, top) * width, Math.min(height - 1, top + 1) * width];
  const above = data[t + l]! * (1 - u) + data[t + r]! * u;
  const below = data[b + l]! * (1 - u) + data[b + r]! * u;
  return above * (1 - v) + below * v;
};
