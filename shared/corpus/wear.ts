// Wears a drawn page down the way paper, glass and cameras do. Each effect takes a raster and gives a new one; none
// uses functions whose last bit differs between machines.
import type { GrayImage } from '../omr/image.ts';
import { homography } from '../omr/warp.ts';
import { seeded } from './random.ts';

/** The page fed a quarter, a half or three quarters clockwise. */
export const turn = (image: GrayImage, degrees: 0 | 90 | 180 | 270): GrayImage => {
  if (degrees === 0) return image;
  const { width, height, data } = image;
  const sideways = degrees !== 180;
  const out = { width: sideways ? height : width, height: sideways ? width : height };
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [tx, ty] =
        degrees === 90 ? [height - 1 - y, x] : degrees === 180 ? [width - 1 - x, height - 1 - y] : [y, width - 1 - x];
      turned[ty * out.width + tx] = data[y * width + x]!;
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
    for (let x = 0; x < width; x++) {
      const w = back[6] * (x + 0.5) + back[7] * (y + 0.5) + 1;
      const px = (back[0] * (x + 0.5) + back[1] * (y + 0.5) + back[2]) / w - 0.5;
      const py = (back[3] * (x + 0.5) + back[4] * (y + 0.5) + back[5]) / w - 0.5;
      const ix = Math.floor(px);
      const iy = Math.floor(py);
      if (ix < 0 || iy < 0 || ix >= width - 1 || iy >= height - 1) continue;
      const fx = px - ix;
      const fy = py - iy;
      const at = iy * width + ix;
      const upper = data[at]! * (1 - fx) + data[at + 1]! * fx;
      const lower = data[at + width]! * (1 - fx) + data[at + width + 1]! * fx;
      out[y * width + x] = Math.round(upper * (1 - fy) + lower * fy);
    }
  }
  return { width, height, data: out };
};

/** Out of focus. @param sigma in pixels */
export const blur = (image: GrayImage, sigma: number): GrayImage => {
  if (sigma <= 0) return image;
  const { width, height } = image;
  // passes of [a, 1 - 2a, a] add up variances of 2a each
  const passes = Math.max(1, Math.ceil((sigma * sigma) / 0.5));
  const a = (sigma * sigma) / (2 * passes);
  let from = Float32Array.from(image.data);
  let to = new Float32Array(from.length);
  for (let pass = 0; pass < passes; pass++) {
    for (const [step, last, stride, lines] of [
      [1, width - 1, width, height],
      [width, height - 1, 1, width],
    ] as const) {
      for (let line = 0; line < lines; line++) {
        const start = line * stride;
        for (let i = 0; i <= last; i++) {
          const at = start + i * step;
          const before = from[i === 0 ? at : at - step]!;
          const after = from[i === last ? at : at + step]!;
          to[at] = from[at]! * (1 - 2 * a) + (before + after) * a;
        }
      }
      [from, to] = [to, from];
    }
  }
  return { width, height, data: Uint8Array.from(from, (value) => Math.round(value)) };
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
  const { width, height } = image;
  const data = new Uint8Array(image.data.length);
  // each row starts at a place of its own, so that no pattern shows
  for (let y = 0; y < height; y++) {
    let at = random.int(65_536);
    const step = 1 + 2 * random.int(64);
    for (let i = y * width; i < (y + 1) * width; i++) {
      data[i] = clampByte(image.data[i]! + sigma * grains[at]!);
      at = (at + step) & 65_535;
    }
  }
  return { ...image, data };
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
  const { width, height } = image;
  const data = new Uint8Array(image.data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const light = 1 - (amount * (x / width + y / height)) / 2;
      data[y * width + x] = Math.round(image.data[y * width + x]! * light);
    }
  }
  return { width, height, data };
};

const clampByte = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));
