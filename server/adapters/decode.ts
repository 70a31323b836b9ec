// Bytes of an image file to a grey raster and back; the only file that knows sharp. One page at a time on one thread:
// pages are read side by side by processes, not by libvips.
import turbo from '@julusian/jpeg-turbo';
import sharp, { type Sharp } from 'sharp';
import type { GrayImage } from '../../shared/omr/image.ts';
import { pdfPage, pdfPages } from './pdf.ts';
import { imagesOf, tiffPages } from './tiff-pages.ts';

export type Decoded = { ok: true; image: GrayImage } | { ok: false; reason: string };

sharp.concurrency(1);
sharp.cache(false);

const MOST_PIXELS = 100_000_000;
/** Of a page before it is made grey: an A3 page in colour at 600 dpi has 210 MB. Decoding takes up to twice as much. */
const MOST_BYTES = 256 * 2 ** 20;
/** Decoders hold a few lines at a time, which must not be a way around that. */
const MOST_SIDE = 40_000;
/** The largest page that people scan takes a second. */
const PATIENCE_S = 60;
/** More than anybody scans into one file; a damaged one may claim millions. */
const MOST_PAGES = 10_000;

/** How many pages a file holds, from its directory alone. */
export const countPages = async (
  bytes: Buffer,
): Promise<{ ok: true; pages: number } | { ok: false; reason: string }> => {
  const format = formatOf(bytes);
  if (format === 'PDF') {
    const opened = await pdfPages(bytes);
    if (!opened.ok || (opened.pages > 0 && opened.pages <= MOST_PAGES)) return opened;
    const claims = opened.pages === 0 ? 'has no pages' : `says that it has ${opened.pages} pages: 10,000 are the most`;
    return { ok: false, reason: `the PDF ${claims}` };
  }
  if (format !== 'TIFF') return { ok: true, pages: 1 };
  const pages = tiffPages(bytes);
  if (!pages || pages.length === 0) return { ok: false, reason: 'the TIFF image is damaged or cut short (no pages)' };
  return { ok: true, pages: pages.length };
};

/**
 * Turns an image upright as its EXIF says and gives one channel of it. Throws only when this machine fails.
 * @param page of a file that holds several, from 0; left out, such a file is refused, so that no page is passed over
 */
export const decodeGray = async (bytes: Buffer, page?: number): Promise<Decoded> => {
  if (bytes.length === 0) return { ok: false, reason: 'the file is empty' };
  const format = formatOf(bytes);
  if (!format) return { ok: false, reason: unreadable(bytes) };
  let image = 0;
  if (format === 'PDF' || format === 'TIFF') {
    const counted = await countPages(bytes);
    if (!counted.ok) return counted;
    if (page === undefined && counted.pages > 1) {
      return { ok: false, reason: `a ${format} of ${counted.pages} pages: save each page as an image of its own` };
    }
    if ((page ?? 0) >= counted.pages)
      return { ok: false, reason: `there is no page ${(page ?? 0) + 1} in the ${format}` };
    if (format === 'PDF') return pdfPage(bytes, page ?? 0);
    image = tiffPages(bytes)?.[page ?? 0] ?? 0;
  } else if ((page ?? 0) > 0) return { ok: false, reason: `there is no page ${(page ?? 0) + 1} in the ${format}` };
  try {
    // A JPEG in which data ran out before the claimed size, or a part of them made no sense, is filled up with grey, and
    // that is a mere warning: a stretched page would be read as a blank one.
    if (format === 'JPEG') {
      const quick = await decodePlain(bytes);
      if (quick) return { ok: true, image: quick };
      try {
        return await decodeAs(bytes, format, 'warning', image);
      } catch (error) {
        if (DATA_LOST.test(messageOf(error)) || MACHINE.test(messageOf(error))) throw error;
      }
    }
    // 'error' lets harmless warnings pass (a stray byte between markers) and stops at bytes that are missing or wrong
    return await decodeAs(bytes, format, 'error', image);
  } catch (error) {
    const message = messageOf(error);
    if (MACHINE.test(message)) throw new Error('decoding failed on this machine', { cause: error });
    if (/timeout/i.test(message)) {
      return { ok: false, reason: `the ${format} image takes longer than ${PATIENCE_S} s to decode` };
    }
    const first = message.split('\n')[0]!.trim();
    return { ok: false, reason: `the ${format} image is damaged or cut short (${first})` };
  }
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * What scanners write, by libjpeg-turbo itself, in half the time that sharp takes for it: its brightness, and of colours
 * nothing is unpacked. Null where it is of another kind or anything about it is not as it should be: sharp has more to say.
 */
const decodePlain = async (bytes: Buffer): Promise<GrayImage | null> => {
  const head = jpegHead(bytes);
  if (!head?.plain || head.width * head.height > MOST_PIXELS || Math.max(head.width, head.height) > MOST_SIDE)
    return null;
  const { width, height } = head;
  const raster = Buffer.allocUnsafeSlow(width * height);
  try {
    const decoded = await turbo.decompress(bytes, raster, { format: turbo.FORMAT_GRAY });
    return decoded.width === width && decoded.height === height
      ? { width, height, data: new Uint8Array(raster.buffer) }
      : null;
  } catch {
    return null;
  }
};

/** Throws what sharp throws. */
const decodeAs = async (bytes: Buffer, format: Format, failOn: 'error' | 'warning', page: number): Promise<Decoded> => {
  // A colour profile moves grey levels a little and costs twice the decoding: marks are measured against their paper.
  const input = sharp(bytes, { failOn, limitInputPixels: false, sequentialRead: true, ignoreIcc: true, page });
  input.timeout({ seconds: PATIENCE_S });
  const head = (format === 'JPEG' ? jpegHead(bytes) : null) ?? (await headOf(input));
  const { width, height } = head;
  if (head.frames > 1) return { ok: false, reason: `a moving picture of ${head.frames} frames, not a page` };
  if (width * height > MOST_PIXELS) {
    return { ok: false, reason: `${width} × ${height} pixels: more than 100 megapixels` };
  }
  if (Math.max(width, height) > MOST_SIDE) {
    return { ok: false, reason: `${width} × ${height} pixels: more than 40,000 on a side` };
  }
  if (width * height * head.bytes > MOST_BYTES) {
    return { ok: false, reason: `${width} × ${height} pixels of ${head.bytes} bytes each: more than 256 MB` };
  }
  input.autoOrient();
  if (head.alpha) input.flatten({ background: '#ffffff' });
  if (head.kind === 'other') input.toColourspace('srgb');
  // Of one channel, 'b-w' keeps every byte and spares widening to three. Of colours, green is close to luminance and
  // keeps red ink dark; a conversion to grey costs more than the decoding itself.
  if (head.kind === 'grey' && !head.alpha) input.toColourspace('b-w');
  else input.extractChannel(1);
  const { data, info } = await input.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const raster = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { ok: true, image: { width: info.width, height: info.height, data: raster } };
};

/** What libjpeg warns of when a part of the picture is not in the file. */
const DATA_LOST = /premature end|bad Huffman code|instead of RST|too few scanlines/i;

interface Head {
  width: number;
  height: number;
  /** what its pixels are: one byte, three, or something to be converted first */
  kind: 'grey' | 'colour' | 'other';
  alpha: boolean;
  /** a pixel */
  bytes: number;
  /** of an animation; 1 for what stands still */
  frames: number;
}

const SAMPLE_BYTES: Partial<Record<string, number>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  uint: 4,
  int: 4,
  float: 4,
};

const headOf = async (input: Sharp): Promise<Head> => {
  const { width, height, depth, space, channels, hasAlpha, format, pages = 1 } = await input.metadata();
  const kind = depth !== 'uchar' ? 'other' : space === 'b-w' ? 'grey' : space === 'srgb' ? 'colour' : 'other';
  // a WebP is decoded with an alpha channel and as a whole, whatever it holds
  const bytes = format === 'webp' ? 4 : channels * (SAMPLE_BYTES[depth] ?? 8);
  return { width, height, kind, alpha: hasAlpha, bytes, frames: format === 'webp' ? pages : 1 };
};

/** @param plain baseline, all colours in one scan, upright: what every decoder of JPEGs takes in one pass */
interface JpegHead extends Head {
  plain: boolean;
}

/** Size and channels from the frame header (ISO/IEC 10918-1, B.2.2), without another pass through libvips; null when it
 *  is not of the common kind. */
const jpegHead = (bytes: Buffer): JpegHead | null => {
  let head: JpegHead | null = null;
  let upright = true;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++; // padding
      continue;
    }
    if (marker === 0xda) return head && { ...head, plain: head.plain && upright && bytes[at + 4] === head.bytes };
    if (marker === 0xc0 || marker === 0xc1 || marker === 0xc2) {
      const channels = bytes[at + 9]!;
      if (head || bytes[at + 4] !== 8 || (channels !== 1 && channels !== 3)) return null;
      const [height, width] = [bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7)];
      if (height === 0) return null; // it is told after the first scan
      const kind = channels === 1 ? 'grey' : 'colour';
      head = { width, height, kind, alpha: false, bytes: channels, frames: 1, plain: marker !== 0xc2 };
    }
    // other segments hold their length; anything without one does not stand before the first scan
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9)) return null;
    const next = at + 2 + bytes.readUInt16BE(at + 2);
    if (marker === 0xe1 && bytes.toString('latin1', at + 4, at + 10) === 'Exif\0\0')
      upright &&= imagesOf(bytes.subarray(at + 10, next))?.[0]?.orientation === 1;
    at = next;
  }
  return null;
};

/** What libvips says when memory, files or threads run out, not the image. */
const MACHINE =
  /out of memory|unable to allocate|cannot allocate|ENOMEM|EMFILE|too many open files|unable to create thread/i;

type Format = 'JPEG' | 'PNG' | 'WebP' | 'TIFF' | 'PDF';

/** Readers of PDFs put up with so many bytes before its head. */
const BEFORE_PDF = 1024;

const formatOf = (bytes: Buffer): Format | null => {
  const starts = (...head: number[]): boolean => head.every((byte, i) => bytes[i] === byte);
  if (starts(0xff, 0xd8, 0xff)) return 'JPEG';
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'PNG';
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return 'WebP';
  // little- and big-endian, and both as BigTIFF
  if (starts(0x49, 0x49, 0x2a, 0) || starts(0x4d, 0x4d, 0, 0x2a)) return 'TIFF';
  if (starts(0x49, 0x49, 0x2b, 0) || starts(0x4d, 0x4d, 0, 0x2b)) return 'TIFF';
  return bytes.subarray(0, BEFORE_PDF).includes('%PDF-') ? 'PDF' : null;
};

/** Other files that people take for scans, by how they begin. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^....ftyp(heic|heix|mif1|msf1|hevc)/s, 'a HEIC photo'],
  [/^....ftypavi[fs]/s, 'an AVIF image'],
  [/^GIF8/, 'a GIF image'],
  [/^BM/, 'a BMP image'],
  [/^\s*<(\?xml|svg|!doctype|html)/i, 'a text with markup'],
  [/^PK/, 'a ZIP'],
];

const unreadable = (bytes: Buffer): string => {
  const head = bytes.toString('latin1', 0, 64);
  const other = OTHERS.find(([begins]) => begins.test(head))?.[1];
  const wanted = 'not a JPEG, PNG, WebP or TIFF image nor a PDF';
  return other ? `${other}, ${wanted}` : wanted;
};

/** A JPEG of one channel; without the colour space sharp would write three. @param quality 1 to 100 */
export const encodeJpeg = ({ width, height, data }: GrayImage, quality: number): Promise<Buffer> =>
  sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .jpeg({ quality })
    .toBuffer();

type Size = { width: number; height: number };
type Shown = { ok: true; type: string; bytes: Buffer; raster: Size | null } | { ok: false; reason: string };

/**
 * A page as browsers show it: the file itself where they can, else a grey JPEG of it.
 * @param page of a file of several, from 0
 * @param width pixels: a small upright JPEG instead, with the size that the page was read at
 */
export async function showable(bytes: Buffer, page?: number, width?: number): Promise<Shown> {
  const format = formatOf(bytes);
  const whole: Shown | null =
    format === 'JPEG' || format === 'PNG' || format === 'WebP'
      ? { ok: true, type: `image/${format.toLowerCase()}`, bytes, raster: null }
      : null;
  if (whole && width === undefined) return whole;
  if (whole) {
    try {
      const image = sharp(bytes, { failOn: 'none', limitInputPixels: MOST_PIXELS }).autoOrient();
      const raster = (await image.metadata()).autoOrient;
      return { ok: true, type: 'image/jpeg', bytes: await small(image, width), raster };
    } catch {
      return { ok: false, reason: 'it cannot be drawn small; ask for it without a width' };
    }
  }
  const decoded = await decodeGray(bytes, page);
  if (!decoded.ok) return decoded;
  const grey = await encodeJpeg(decoded.image, 85);
  const { width: w, height: h } = decoded.image;
  return width === undefined
    ? { ok: true, type: 'image/jpeg', bytes: grey, raster: null }
    : { ok: true, type: 'image/jpeg', bytes: await small(sharp(grey), width), raster: { width: w, height: h } };
}

const small = (image: Sharp, width: number | undefined): Promise<Buffer> =>
  image.resize({ width, withoutEnlargement: true }).jpeg({ quality: 70 }).toBuffer();

/** A page in colour with an SVG of its size drawn over it, as JPEG. */
export const encodeOverlay = ({ width, height, data }: GrayImage, svg: string): Promise<Buffer> =>
  sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), { raw: { width, height, channels: 1 } })
    .toColourspace('srgb')
    .composite([{ input: Buffer.from(svg) }])
    .jpeg({ quality: 85 })
    .toBuffer();
