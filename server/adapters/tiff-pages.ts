// Which of a TIFF's images are pages. Its directories are a chain that a damaged or hostile file may bend into a circle or
// out of the file, and beside the pages it may hold small copies of them (TIFF 6.0, sections 2 and 8; BigTIFF).

/** More images than any scanner puts into one file. */
const MOST = 10_000;
const NEW_SUBFILE_TYPE = 254;

const ORIENTATION = 274;

interface TiffImage {
  /** a smaller copy of another one */
  reduced: boolean;
  /** 1 upright, 2 to 8 turned or mirrored (TIFF 6.0, section 8) */
  orientation: number;
}

/** Indexes, as libvips counts them, of the images that are no reduced copies; null when the chain is broken. */
export const tiffPages = (bytes: Buffer): number[] | null =>
  imagesOf(bytes)?.flatMap(({ reduced }, index) => (reduced ? [] : [index])) ?? null;

/** Every image of a TIFF, or of the like in a JPEG's Exif; null when the chain is broken. */
export const imagesOf = (bytes: Buffer): TiffImage[] | null => {
  const little = bytes[0] === 0x49;
  const read = (at: number, size: 2 | 4 | 8): number | null => {
    if (at < 0 || at + size > bytes.length) return null;
    if (size === 8) return Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    return little ? bytes.readUIntLE(at, size) : bytes.readUIntBE(at, size);
  };
  const big = read(2, 2) === 43;
  const [countSize, entrySize, offsetSize] = big ? ([8, 20, 8] as const) : ([2, 12, 4] as const);
  const images: TiffImage[] = [];
  const seen = new Set<number>();
  let at = read(big ? 8 : 4, offsetSize);
  while (at !== 0) {
    if (at === null || seen.has(at) || images.length >= MOST) return null;
    seen.add(at);
    const entries = read(at, countSize);
    if (entries === null || entries > 4096) return null;
    const first = at + countSize;
    const image = { reduced: false, orientation: 1 };
    for (let i = 0; i < entries; i++) {
      const entry = first + i * entrySize;
      // a short number or a long one: its value stands in the entry itself
      const value = () => read(entry + (big ? 12 : 8), read(entry + 2, 2) === 3 ? 2 : 4);
      const tag = read(entry, 2);
      if (tag === NEW_SUBFILE_TYPE) image.reduced = ((value() ?? 0) & 1) === 1;
      else if (tag === ORIENTATION) image.orientation = value() ?? 1;
    }
    images.push(image);
    at = read(first + entries * entrySize, offsetSize);
  }
  return images;
};
