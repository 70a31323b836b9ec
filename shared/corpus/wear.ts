// Wears a drawn page down the way paper, glass and cameras do. Each effect takes a raster and gives a new one; none
// uses functions whose last bit differs between machines.
import type { GrayImage } from '../omr/image.ts';
import { homography } from '../omr/warp.ts';
import { seeded } from './random.ts';

const TILE = 32;

/** The page fed a quarter, a half or three quarters clockwise. */
export const turn = (image: GrayImage, degrees: 0 | 90 | 180 | 270): GrayImage => {
  if (degrees === 0) return image;
  const { width, height, data } = image;
  const sideways = degrees !== 180;
  const out = { width: sideways ? height : width, height: sideways ? width : height };
  const turned = new Uint8Array(data.length);
  if (degrees === 180) {
    turned.set(data.subarray(0, width * height));
    return { ...out, data: turned.reverse() };
  }
  const [first, acrossStep, downStep] = degrees === 90 ? [height - 1, height, -1] : [(width - 1) * height, -height, 1];
  // by tiles: a column of the result is far apart in memory
  for (let ty = 0; ty < height; ty += TILE) {
    for (let tx = 0; tx < width; tx += TILE) {
      const [bottom, right] = [Math.min(height, ty + TILE), Math.min(width, tx + TILE)];
      for (let y = ty; y < bottom; y++) {
        let to = first + tx * acrossStep + y * downStep;
        for (let x = tx; x < right; x++) {
          turned[to] = data[y * width + x]!;
          to += acrossStep;
        }
      }
    }
  }
  return { ...out, data: turned };
};

export interface Bend {
  /** degrees clockwise */
  skew?: number;
  /** 1 keeps the size */
  scale?: number;
  /** how far each corner moves, clockwise from the top left, as shares of width and height: a camera held askew */
  corners?: readonly (readonly [number, number])[];
  /** what shows beside the page: 255 a white lid, 20 a black one */
  behind?: number;
}

/** Skew, scale and perspective about the centre; the raster keeps its size. */
export const bend = (image: GrayImage, { skew = 0, scale = 1, corners = [], behind = 255 }: Bend): GrayImage => {
  const { width, height, data } = image;
  // sine and cosine through the tangent of half the angle, by its series: exact to 1e-9 below 20 degrees
  const half = skew * 0.008726646259971648;
  const t = half * (1 + (half * half) / 3 + (2 * half * half * half * half) / 15);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  const [cx, cy] = [width / 2, height / 2];
  const from = [
    { x: 0, y: 0 },
    { x: width, y: 0 },
    { x: width, y: height },
    { x: 0, y: height },
  ];
  const to = from.map(({ x, y }, i) => {
    const [sx, sy] = corners[i] ?? [0, 0];
    const [dx, dy] = [(x - cx) * scale, (y - cy) * scale];
    return { x: cx + dx * cos - dy * sin + sx * width, y: cy + dx * sin + dy * cos + sy * height };
  });
  const back = homography(to, from);
  if (!back) throw new RangeError('these corners leave nothing of the page');
  const out = new Uint8Array(data.length).fill(behind);
  for (let y = 0; y < height; y++) {
    // numerators and denominator of the first pixel's centre, and what each further pixel adds
    let w = back[6] * 0.5 + back[7] * (y + 0.5) + 1;
    let u = back[0] * 0.5 + back[1] * (y + 0.5) + back[2];
    let v = back[3] * 0.5 + back[4] * (y + 0.5) + back[5];
    for (let to = y * width; to < (y + 1) * width; to++) {
      const over = 1 / w;
      const px = u * over - 0.5;
      const py = v * over - 0.5;
      u += back[0];
      v += back[3];
      w += back[6];
      if (px < 0 || py < 0 || px >= width - 1 || py >= height - 1) continue;
      // none is negative, and a shift by none cuts the fraction off
      const ix = px | 0;
      const iy = py | 0;
      const fx = px - ix;
      const at = iy * width + ix;
      const upper = data[at]! + (data[at + 1]! - data[at]!) * fx;
      const lower = data[at + width]! + (data[at + width + 1]! - data[at + width]!) * fx;
      out[to] = (upper + (lower - upper) * (py - iy) + 0.5) | 0;
    }
  }
  return { width, height, data: out };
};

/** Weights of a blur from its middle outwards: passes of [a, 1 - 2a, a], which add up variances of 2a each, in one. */
const weightsOf = (sigma: number): Float32Array => {
  const passes = Math.max(1, Math.ceil((sigma * sigma) / 0.5));
  const a = (sigma * sigma) / (2 * passes);
  let weights = [1];
  for (let pass = 0; pass < passes; pass++) {
    const wider = new Array<number>(weights.length + 2).fill(0);
    weights.forEach((weight, i) => {
      wider[i] = wider[i]! + weight * a;
      wider[i + 1] = wider[i + 1]! + weight * (1 - 2 * a);
      wider[i + 2] = wider[i + 2]! + weight * a;
    });
    weights = wider;
  }
  const half = weights.slice(passes);
  // tails that move no pixel by a tenth of a grey level cost as much as the rest
  const kept = half.filter((weight, i) => i === 0 || weight > 2e-4);
  kept[0] = kept[0]! + 2 * half.slice(kept.length).reduce((sum, weight) => sum + weight, 0);
  return Float32Array.from(kept);
};

/** Out of focus. @param sigma in pixels */
export const blur = (image: GrayImage, sigma: number): GrayImage => {
  if (sigma <= 0) return image;
  const { width, height, data } = image;
  const weights = weightsOf(sigma);
  const reach = weights.length - 1;
  // rows that are blurred across wait here until all that are needed below are there: no more than fits a cache
  const rows = Array.from({ length: 2 * reach + 2 }, () => new Float32Array(width));
  const rowAt = (y: number): Float32Array => rows[Math.max(0, Math.min(height - 1, y)) % rows.length]!;
  const line = new Float32Array(width + 2 * reach);
  const across = (y: number): void => {
    line.fill(data[y * width]!, 0, reach);
    line.set(data.subarray(y * width, (y + 1) * width), reach);
    line.fill(data[(y + 1) * width - 1]!, reach + width);
    spread(rowAt(y), weights, (k) => line.subarray(reach + k));
  };
  const out = new Uint8ClampedArray(width * height);
  const sum = new Float32Array(width);
  for (let y = 0; y < Math.min(height, reach); y++) across(y);
  for (let y = 0; y < height; y++) {
    if (y + reach < height) across(y + reach);
    spread(sum, weights, (k) => rowAt(y + k));
    out.set(sum, y * width);
  }
  return { width, height, data: new Uint8Array(out.buffer) };
};

/** The weighted sum of lines before and after one, two pairs at a time, which spares half of the writing. */
const spread = (to: Float32Array, weights: Float32Array, at: (k: number) => Float32Array): void => {
  const [middle, own] = [at(0), weights[0]!];
  for (let x = 0; x < to.length; x++) to[x] = middle[x]! * own;
  for (let k = 1; k < weights.length; k += 2) {
    const [near, far] = [weights[k]!, weights[k + 1] ?? 0];
    const [before, after] = [at(-k), at(k)];
    const [further, beyond] = k + 1 < weights.length ? [at(-k - 1), at(k + 1)] : [before, after];
    for (let x = 0; x < to.length; x++) {
      to[x] = to[x]! + (before[x]! + after[x]!) * near + (further[x]! + beyond[x]!) * far;
    }
  }
};

/** 65,536 draws of unit variance, made once: drawing four million for each page would take most of its time. */
let grains: Float32Array | null = null;

/** Grain of the sensor. @param sigma in grey levels */
export const grain = (image: GrayImage, sigma: number, seed: number): GrayImage => {
  if (!grains) {
    const even = seeded(0x5eaf);
    grains = Float32Array.from({ length: 65_536 }, () => even.normal());
  }
  const random = seeded(seed);
  const { width, height, data: from } = image;
  // greys are whole numbers, so that grain may be rounded before it is added
  const own = new Int16Array(grains.length);
  for (let i = 0; i < own.length; i++) own[i] = Math.round(sigma * grains[i]!);
  // which clamps as it is written
  const data = new Uint8ClampedArray(from.length);
  // each row starts at a place of its own, so that no pattern shows
  for (let y = 0; y < height; y++) {
    let at = random.int(65_536);
    const step = 1 + 2 * random.int(64);
    for (let i = y * width; i < (y + 1) * width; i++) {
      data[i] = from[i]! + own[at]!;
      at = (at + step) & 65_535;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
};

/** A fold across the page: what lies beyond it is seen at a slant, and its crease is dark. */
export interface Fold {
  /** where the crease runs, as a share of the height, or of the width when it runs down the page */
  at: number;
  down: boolean;
  /** how much shorter the far part looks, and how much it slides along the crease, as shares of its length */
  shorter: number;
  slide: number;
  /** how much of the light the crease takes */
  crease: number;
}

export const fold = (image: GrayImage, { at, down, shorter, slide, crease }: Fold): GrayImage => {
  const { width, height, data } = image;
  const out = new Uint8Array(data.length);
  const line = at * (down ? width : height);
  const half = Math.max(2, Math.max(width, height) / 700);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const beyond = (down ? x : y) - line;
      let [sx, sy] = [x, y];
      if (beyond > 0) {
        const [along, aside] = [beyond * shorter, beyond * slide];
        sx += down ? along : aside;
        sy += down ? aside : along;
      }
      const ix = Math.floor(sx);
      const iy = Math.floor(sy);
      if (ix < 0 || iy < 0 || ix >= width - 1 || iy >= height - 1) {
        out[y * width + x] = 255;
        continue;
      }
      const [fx, fy] = [sx - ix, sy - iy];
      const from = iy * width + ix;
      const upper = data[from]! * (1 - fx) + data[from + 1]! * fx;
      const lower = data[from + width]! * (1 - fx) + data[from + width + 1]! * fx;
      const light = 1 - crease * Math.max(0, 1 - Math.abs(beyond) / half);
      out[y * width + x] = Math.round((upper * (1 - fy) + lower * fy) * light);
    }
  }
  return { width, height, data: out };
};

/** Dirt on the scanner's glass: a line down the whole raster. @param x left edge as a share of the width */
export const streak = (image: GrayImage, x: number, widthPx: number, darkness: number): GrayImage => {
  const data = image.data.slice();
  const left = Math.floor(x * image.width);
  for (let y = 0; y < image.height; y++) {
    for (let i = left; i < Math.min(image.width, left + widthPx); i++) {
      data[y * image.width + i] = Math.round(data[y * image.width + i]! * (1 - darkness));
    }
  }
  return { ...image, data };
};

/** A corner torn off or folded away. @param corner clockwise from the top left @param size of its sides, in pixels */
export const cutCorner = (image: GrayImage, corner: 0 | 1 | 2 | 3, size: number, behind: number): GrayImage => {
  const { width, height } = image;
  const data = image.data.slice();
  for (let y = 0; y < Math.min(size, height); y++) {
    const row = corner < 2 ? y : height - 1 - y;
    const span = Math.min(width, Math.ceil(size - y));
    const from = corner === 0 || corner === 3 ? 0 : width - span;
    data.fill(behind, row * width + from, row * width + from + span);
  }
  return { ...image, data };
};

/** What a photocopier does to greys. @param gain 1 leaves them, 2 makes light greys white and dark ones black */
export const photocopy = (image: GrayImage, gain: number): GrayImage => {
  const table = Uint8Array.from({ length: 256 }, (_, value) => clampByte((value - 140) * gain + 140));
  return { ...image, data: image.data.map((value) => table[value]!) };
};

/** Exposure: black becomes `black`, white becomes `white`. */
export const expose = (image: GrayImage, black: number, white: number): GrayImage => {
  const table = Uint8Array.from({ length: 256 }, (_, value) => clampByte(black + ((white - black) * value) / 255));
  return { ...image, data: image.data.map((value) => table[value]!) };
};

/** Uneven light: full at one corner, less by `amount` (0 to 1) at the opposite one. */
export const shade = (image: GrayImage, amount: number): GrayImage => {
  const { width, height, data: from } = image;
  const data = new Uint8ClampedArray(from.length);
  const across = amount / (2 * width);
  for (let y = 0; y < height; y++) {
    const light = 1 - (amount * y) / (2 * height);
    const row = y * width;
    for (let x = 0; x < width; x++) data[row + x] = from[row + x]! * (light - across * x);
  }
  return { width, height, data: new Uint8Array(data.buffer) };
};

const clampByte = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));
