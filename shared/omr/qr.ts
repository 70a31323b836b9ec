// Reads the QR code in a template's zone. Only the zone is looked at, made upright and small: a search over a full
// noisy page takes seconds.
import jsqr from 'jsqr';
import { encode } from 'uqr';
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
  /** of a code that cannot be read: which of the likely texts it looks like; it may be another's that begins alike */
  like: string | null;
}

/**
 * @param likely texts that the code may well hold. A code that is one of them is recognised by its modules, which takes a
 *   hundredth of the time of finding and decoding it.
 */
export const readQr = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  zone: Template['qr'],
  likely: readonly string[] = [],
): SeenQr => {
  if (!zone) return { text: null, inked: false, like: null };
  const known = recognise(image, paper, toImage, zone, likely);
  if (known.text !== null) return { text: known.text, inked: true, like: null };
  let inked = false;
  for (const side of SIDES) {
    const crop = cut(image, paper, toImage, zone, side);
    // a code is near half black; a smudge or a stray line is not
    inked = crop.ink > 0.12;
    if (!inked) break;
    const text = decode(crop.rgba, side);
    if (text !== null) return { text, inked, like: null };
  }
  return { text: null, inked: inked || known.like !== null, like: known.like };
};

interface Code {
  size: number;
  /** row by row, 1 for dark */
  modules: Uint8Array;
}
const drawn = new Map<string, Code>();

/** The code that Sheaf prints for a text. */
const codeOf = (text: string): Code => {
  let code = drawn.get(text);
  if (!code) {
    const { size, data } = encode(text, { ecc: 'M', border: 0 });
    code = { size, modules: Uint8Array.from(data.flat(), Number) };
    // templates are few; whoever has thousands loses only time
    if (drawn.size > 500) drawn.clear();
    drawn.set(text, code);
  }
  return code;
};

/** Wrong modules that level M mends in any case: four codewords in the smallest code, eight or more in all others
 *  (ISO/IEC 18004, table 9). Two texts differ by twice as many, so no more than one can be as near as that. */
const mendable = (size: number): number => (size === 21 ? 4 : 8);

const recognise = (
  image: GrayImage,
  paper: Paper,
  toImage: Homography,
  zone: { x: number; y: number; size: number },
  likely: readonly string[],
): { text: string | null; like: string | null } => {
  const seen = new Map<number, Float64Array>();
  for (const text of likely) {
    const { size, modules } = codeOf(text);
    let bright = seen.get(size);
    if (!bright) {
      bright = modulesAt(image, paper, toImage, zone, size);
      seen.set(size, bright);
    }
    let wrong = 0;
    const most = mendable(size);
    // what is off the raster is neither dark nor bright, and wrong
    for (let i = 0; i < modules.length && wrong <= most; i++) {
      if (!(modules[i] === 1 ? bright[i]! < DARK : bright[i]! >= DARK)) wrong++;
    }
    if (wrong <= most) return { text, like: null };
  }
  const alike = likely
    .map((text) => {
      const { size, modules } = codeOf(text);
      return { text, likeness: likenessOf(modules, seen.get(size)!, size) };
    })
    .sort((a, b) => b.likeness - a.likeness);
  const [best, second] = alike;
  const clear = best && best.likeness >= LIKENESS && (!second || best.likeness - second.likeness >= LIKENESS_LEAD);
  return { text: null, like: clear ? best.text : null };
};

/** Of the paper: a module darker than this is dark. */
const DARK = 0.55;

// A blurred or half hidden code cannot be decoded, but it can be told from the few others that it may be: its modules go with
// those of one of them. Codes of other texts have nothing in common but the patterns that all codes have, which do not count.
/** Correlation of brightness with the code's modules; of 100 modules at random it is 0 give or take 0.1. */
const LIKENESS = 0.6;
const LIKENESS_LEAD = 0.3;
/** Share of a code's own modules that must be on the raster. */
const FEWEST_SEEN = 0.35;

const common = new Map<number, Uint8Array>();
/** So many texts agree by chance in one module of 128 that is no pattern. */
const SAMPLES = 8;

/** 1 for the modules that all codes of a size have alike: finders, timing, alignment. */
const commonModules = (size: number): Uint8Array => {
  let found = common.get(size);
  if (!found) {
    const version = (size - 17) / 4;
    const codes = Array.from({ length: SAMPLES }, (_, i) =>
      encode(String.fromCharCode(65 + i, 97 + 3 * i, 48 + i), {
        ecc: 'M',
        border: 0,
        minVersion: version,
        maxVersion: version,
      }),
    );
    found = Uint8Array.from(codes[0]!.data.flat(), (dark, i) => {
      const [row, column] = [Math.floor(i / size), i % size];
      return codes.every(({ data }) => data[row]![column] === dark) ? 1 : 0;
    });
    common.set(size, found);
  }
  return found;
};

const likenessOf = (modules: Uint8Array, bright: Float64Array, size: number): number => {
  const patterns = commonModules(size);
  let [own, n, sx, sy, sxx, syy, sxy] = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < modules.length; i++) {
    if (patterns[i] === 1) continue;
    own++;
    const value = bright[i]!;
    if (Number.isNaN(value)) continue;
    const module = modules[i] === 1 ? 0 : 1;
    n++;
    sx += value;
    sy += module;
    sxx += value * value;
    syy += module;
    sxy += value * module;
  }
  if (n < FEWEST_SEEN * own) return 0;
  const spread = (n * sxx - sx * sx) * (n * syy - sy * sy);
  return spread > 0 ? (n * sxy - sx * sy) / Math.sqrt(spread) : 0;
};

/** How bright each module of a code of `size` modules a side that fills the zone is, of its paper; NaN off the raster. */
const modulesAt = (
  { data, width, height }: GrayImage,
  paper: Paper,
  toImage: Homography,
  zone: { x: number; y: number; size: number },
  size: number,
): Float64Array => {
  const bright = new Float64Array(size * size);
  const step = zone.size / size;
  const middle = project(toImage, zone.x + zone.size / 2, zone.y + zone.size / 2);
  const white = Math.max(1, 5 * paperAt(paper, middle.x, middle.y));
  const aside = step * 0.2;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = zone.x + (column + 0.5) * step;
      const y = zone.y + (row + 0.5) * step;
      let sum = 0;
      for (let k = 0; k < 5; k++) {
        const at = project(
          toImage,
          x + (k === 1 ? aside : k === 2 ? -aside : 0),
          y + (k === 3 ? aside : k === 4 ? -aside : 0),
        );
        const [ix, iy] = [Math.floor(at.x), Math.floor(at.y)];
        sum += ix < 0 || iy < 0 || ix >= width || iy >= height ? Number.NaN : data[iy * width + ix]!;
      }
      bright[row * size + column] = sum / white;
    }
  }
  return bright;
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
