// How a candidate fills a bubble: a blot of graphite, uneven in darkness, size and place.
import type { GrayImage } from '../omr/image.ts';
import type { Bubble } from '../template/geometry.ts';
import { drawShapes } from './canvas.ts';
import type { Random } from './random.ts';

export interface Hand {
  /** share of the bubble that is covered, lowest and highest */
  coverage: readonly [number, number];
  /** darkness of the graphite */
  darkness: readonly [number, number];
  /** how far off centre, in bubble widths */
  offset: number;
}

/** Level one of the corpus. */
export const CAREFUL: Hand = { coverage: [0.7, 1], darkness: [0.5, 0.95], offset: 0.05 };
/** Level two: the field. */
export const HASTY: Hand = { coverage: [0.45, 1], darkness: [0.3, 0.95], offset: 0.08 };

/** Level three: anything. */
export const CARELESS: Hand = { coverage: [0.25, 1], darkness: [0.3, 0.95], offset: 0.1 };

/** A line of graphite from one point to another; millimetres. @param darkness 0 to 1 */
export const drawLine = (
  image: GrayImage,
  points: readonly (readonly [number, number])[],
  scale: number,
  lineMm: number,
  darkness: number,
): void => {
  const segments: number[] = [];
  for (let i = 1; i < points.length; i++) segments.push(...points[i - 1]!, ...points[i]!);
  drawShapes(image, [{ shape: 'strokes', segments, line: lineMm, ink: darkness }], scale);
};

/** A tick instead of a fill. */
export const tickBubble = (image: GrayImage, { x, y, width, height }: Bubble, scale: number, random: Random): void => {
  const [w, h] = [width / 2, height / 2];
  const points = [
    [x - w * random.between(0.6, 1), y - h * random.between(-0.2, 0.3)],
    [x - w * random.between(-0.1, 0.3), y + h * random.between(0.5, 0.9)],
    [x + w * random.between(0.7, 1.5), y - h * random.between(0.7, 1.4)],
  ] as const;
  drawLine(image, points, scale, random.between(0.4, 0.8), random.between(0.5, 0.9));
};

/** A cross instead of a fill. */
export const crossBubble = (image: GrayImage, { x, y, width, height }: Bubble, scale: number, random: Random): void => {
  const [line, darkness] = [random.between(0.4, 0.8), random.between(0.5, 0.9)];
  const reach = (): number => random.between(0.7, 1.15) / 2;
  const down = [
    [x - width * reach(), y - height * reach()],
    [x + width * reach(), y + height * reach()],
  ] as const;
  const up = [
    [x - width * reach(), y + height * reach()],
    [x + width * reach(), y - height * reach()],
  ] as const;
  drawLine(image, down, scale, line, darkness);
  drawLine(image, up, scale, line, darkness);
};

/** An answer taken back: strokes up and down across the whole bubble and beyond it. */
export const scribbleBubble = (
  image: GrayImage,
  { x, y, width, height }: Bubble,
  scale: number,
  random: Random,
): void => {
  const strokes = 9 + random.int(5);
  const points = Array.from({ length: strokes + 1 }, (_, i): [number, number] => [
    x + width * (i / strokes - 0.5) * 1.5,
    y + (i % 2 === 0 ? -1 : 1) * height * random.between(0.6, 0.85),
  ]);
  drawLine(image, points, scale, random.between(0.45, 0.7), random.between(0.5, 0.9));
};

/** A ring drawn around a bubble instead of filling it. */
export const ringBubble = (image: GrayImage, { x, y, width, height }: Bubble, scale: number, random: Random): void => {
  const points: [number, number][] = [];
  for (let quarter = 0; quarter < 4; quarter++) {
    for (let i = 0; i < 6; i++) {
      // points of a circle without sine or cosine, a quarter at a time
      const t = i / 6;
      const [u, v] = [(1 - t * t) / (1 + t * t), (2 * t) / (1 + t * t)];
      const [cx, cy] = [[u, v] as const, [-v, u] as const, [-u, -v] as const, [v, -u] as const][quarter]!;
      points.push([x + width * cx * random.between(0.57, 0.62), y + height * cy * random.between(0.57, 0.62)]);
    }
  }
  drawLine(image, [...points, points[0]!], scale, random.between(0.35, 0.5), random.between(0.5, 0.9));
};

/** Side of the lattice that makes the graphite patchy. */
const PATCHES = 7;

/** @param scale pixels per millimetre */
export const fillBubble = (image: GrayImage, bubble: Bubble, scale: number, hand: Hand, random: Random): void => {
  const darkness = random.between(...hand.darkness);
  // half the coverage in each axis, longer one way than the other
  const spread = Math.sqrt(random.between(...hand.coverage));
  const longer = random.between(1, 1.12);
  const rx = (bubble.width / 2) * scale * spread * longer;
  const ry = ((bubble.height / 2) * scale * spread) / longer;
  const cx = (bubble.x + bubble.width * hand.offset * random.between(-1, 1)) * scale;
  const cy = (bubble.y + bubble.height * hand.offset * random.between(-1, 1)) * scale;
  // lean of the blot: a unit vector without sine or cosine
  const t = random.between(-1, 1);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  const patch = Float64Array.from({ length: (PATCHES + 1) * (PATCHES + 1) }, () => random.between(-0.12, 0.12));

  const reach = Math.max(rx, ry) * 1.15 + 1;
  const top = Math.max(0, Math.floor(cy - reach));
  const bottom = Math.min(image.height - 1, Math.ceil(cy + reach));
  const left = Math.max(0, Math.floor(cx - reach));
  const right = Math.min(image.width - 1, Math.ceil(cx + reach));
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const [px, py] = [x + 0.5 - cx, y + 0.5 - cy];
      const u = (px * cos + py * sin) / rx;
      const v = (py * cos - px * sin) / ry;
      const gx = ((px / reach + 1) / 2) * PATCHES;
      const gy = ((py / reach + 1) / 2) * PATCHES;
      const [ix, iy] = [Math.floor(gx), Math.floor(gy)];
      if (ix < 0 || iy < 0 || ix >= PATCHES || iy >= PATCHES) continue;
      const [fx, fy] = [gx - ix, gy - iy];
      const at = iy * (PATCHES + 1) + ix;
      const uneven =
        (patch[at]! * (1 - fx) + patch[at + 1]! * fx) * (1 - fy) +
        (patch[at + PATCHES + 1]! * (1 - fx) + patch[at + PATCHES + 2]! * fx) * fy;
      // the edge is soft over a fifth of the radius and as ragged as the patches
      const edge = (1 + uneven - Math.sqrt(u * u + v * v)) / 0.2 + 0.5;
      if (edge <= 0) continue;
      const ink = Math.max(0, Math.min(1, darkness + uneven)) * Math.min(1, edge);
      const value = Math.round(255 * (1 - ink));
      const index = y * image.width + x;
      if (value < image.data[index]!) image.data[index] = value;
    }
  }
};
