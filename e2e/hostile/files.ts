// Files that are not what they should be, from a seed: pages with bytes turned, cut or lied about, bombs, pictures of
// every odd kind, and what is no picture at all. The same seed makes the same files.
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { encodeJpeg } from '../../server/adapters/decode.ts';
import { drawSheet } from '../../shared/corpus/draw.ts';
import { type Random, seeded } from '../../shared/corpus/random.ts';
import { randomContent } from '../../shared/corpus/sample.ts';
import type { GrayImage } from '../../shared/omr/image.ts';
import { BUILT_IN } from '../../shared/template/built-in.ts';
import { pdfOf, tiffOf } from '../support/documents.ts';

export interface HostileFile {
  /** what was done to it, in a word or two */
  kind: string;
  extension: string;
  bytes: Buffer;
}

type Format = 'jpg' | 'png' | 'tif' | 'webp' | 'pdf';
interface Base {
  format: Format;
  bytes: Buffer;
}

const grey = ({ width, height, data }: GrayImage) => sharp(data, { raw: { width, height, channels: 1 } });

/** Whole pages in every format, as scanners and phones write them. */
const bases = async (seed: number): Promise<Base[]> => {
  const list: Base[] = [];
  for (const [i, dpi] of [75, 100].entries()) {
    const template = BUILT_IN[(seed + i) % BUILT_IN.length]!;
    const page = drawSheet(template, { ...randomContent(template, seed + i), seed: seed + i }, dpi);
    const jpeg = await encodeJpeg(page, 80);
    const colour = () => grey(page).toColourspace('srgb');
    list.push(
      { format: 'jpg', bytes: jpeg },
      { format: 'jpg', bytes: await colour().withMetadata({ orientation: 6 }).jpeg({ progressive: true }).toBuffer() },
      { format: 'png', bytes: await grey(page).toColourspace('b-w').png().toBuffer() },
      { format: 'png', bytes: await colour().png({ palette: true }).toBuffer() },
      { format: 'tif', bytes: await grey(page).toColourspace('b-w').tiff({ compression: 'lzw' }).toBuffer() },
      { format: 'tif', bytes: tiffOf([page, page]) },
      { format: 'webp', bytes: await grey(page).webp({ quality: 70 }).toBuffer() },
      { format: 'pdf', bytes: pdfOf([{ ...page, jpeg }]) },
    );
  }
  return list;
};

type Change = (bytes: Buffer, random: Random) => Buffer;

/** Most harm is done where a file says what it is: two of three changes fall into its first part. */
const place = (bytes: Buffer, random: Random): number =>
  random.chance(0.66) ? random.int(Math.min(bytes.length, 512)) : random.int(bytes.length);

const CHANGES: Record<string, Change> = {
  'bits turned': (bytes, random) => {
    for (let i = 1 + random.int(12); i > 0; i--) {
      const at = place(bytes, random);
      bytes[at] = bytes[at]! ^ (1 << random.int(8));
    }
    return bytes;
  },
  'bytes replaced': (bytes, random) => {
    for (let i = 1 + random.int(40); i > 0; i--) bytes[place(bytes, random)] = random.int(256);
    return bytes;
  },
  'largest numbers': (bytes, random) => {
    const at = place(bytes, random);
    bytes.fill(random.pick([0, 0xff, 0x7f, 0x80]), at, Math.min(bytes.length, at + random.pick([1, 2, 4, 8])));
    return bytes;
  },
  'cut short': (bytes, random) => bytes.subarray(0, random.int(bytes.length)),
  'a piece missing': (bytes, random) => {
    const at = place(bytes, random);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(4096))]);
  },
  'a piece twice': (bytes, random) => {
    const at = place(bytes, random);
    const piece = bytes.subarray(at, at + 1 + random.int(4096));
    return Buffer.concat([bytes.subarray(0, at), piece, piece, bytes.subarray(at + piece.length)]);
  },
  'a piece emptied': (bytes, random) => {
    const at = place(bytes, random);
    return bytes.fill(0, at, Math.min(bytes.length, at + 1 + random.int(20_000)));
  },
  'rubbish behind': (bytes, random) =>
    Buffer.concat([bytes, Buffer.from(Array.from({ length: 1 + random.int(3000) }, () => random.int(256)))]),
};

const chunk = (name: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(name, 4, 'latin1');
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), body])), 0);
  return Buffer.concat([head, body, tail]);
};

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A PNG that says it has this size and holds this many rows of nothing. */
const png = (width: number, height: number, depth: number, type: number, rows: number, more: Buffer[] = []): Buffer => {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = depth;
  head[9] = type;
  const channels = [1, 0, 3, 1, 2, 0, 4][type] ?? 1;
  const row = 1 + Math.ceil((Math.min(width, 2 ** 26) * channels * depth) / 8);
  const body = deflateSync(Buffer.alloc(Math.min(row * rows, 2 ** 27)), { level: 1 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), ...more, chunk('IDAT', body), chunk('IEND', Buffer.alloc(0))]);
};

const patched = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(value, at);
  return copy;
};

/** A JPEG whose frame says another size than its data has. */
const resized = (jpeg: Buffer, width: number, height: number): Buffer => {
  const copy = Buffer.from(jpeg);
  const frame = [0xc0, 0xc2].map((marker) => copy.indexOf(Buffer.from([0xff, marker]))).find((at) => at >= 0) ?? 0;
  copy.writeUInt16BE(height, frame + 5);
  copy.writeUInt16BE(width, frame + 7);
  return copy;
};

/** The tag's value of every directory of a little-endian TIFF that `tiffOf` made. */
const retagged = (tiff: Buffer, tag: number, value: number): Buffer => {
  const copy = Buffer.from(tiff);
  for (let i = 0; i < copy.readUInt16LE(8); i++) {
    const entry = 10 + i * 12;
    if (copy.readUInt16LE(entry) === tag) copy.writeUInt32LE(value, entry + 8);
  }
  return copy;
};

const small: GrayImage = { width: 120, height: 160, data: new Uint8Array(120 * 160).fill(200) };
const flat = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp({ create: { width, height, channels, background: { r: 240, g: 240, b: 240, alpha: 0.5 } } });

/** Made one by one; the big ones cost a second each to make or to refuse. */
const SPECIAL: Record<string, [extension: string, make: (random: Random, page: Buffer) => Promise<Buffer> | Buffer]> = {
  'PNG of 900 megapixels': ['png', () => png(30_000, 30_000, 1, 0, 2000)],
  'PNG of 100 megapixels of nothing': ['png', () => png(10_000, 10_000, 1, 0, 10_000)],
  'PNG of 90 megapixels in 16 bit colours': ['png', () => png(9000, 10_000, 16, 6, 600)],
  'PNG of 90 megapixels, interlaced': ['png', () => flat(9000, 9900).png({ progressive: true }).toBuffer()],
  'PNG of no width': ['png', () => png(0, 500, 8, 0, 10)],
  'PNG wider than numbers': ['png', () => png(0x7fffffff, 0x7fffffff, 8, 2, 1)],
  'PNG of a line': ['png', () => png(90_000_000, 1, 1, 0, 1)],
  'PNG with text that unfolds': [
    'png',
    () =>
      png(200, 300, 8, 0, 300, [
        chunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(2 ** 26))])),
      ]),
  ],
  'PNG with a profile that unfolds': [
    'png',
    () =>
      png(200, 300, 8, 2, 300, [
        chunk('iCCP', Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(2 ** 26))])),
      ]),
  ],
  'PNG of an unknown depth': ['png', () => png(200, 300, 3, 0, 300)],
  'moving PNG': ['png', () => png(200, 300, 8, 0, 300, [chunk('acTL', Buffer.from([0, 0, 0, 9, 0, 0, 0, 0]))])],
  'PNG, 16 bit': ['png', () => grey(small).toColourspace('grey16').png().toBuffer()],
  'PNG, transparent': ['png', () => flat(300, 400, 4).png().toBuffer()],
  'TIFF of 4 gigapixels': ['tif', () => retagged(retagged(tiffOf([small]), 256, 65_000), 257, 65_000)],
  'TIFF of no height': ['tif', () => retagged(tiffOf([small]), 257, 0)],
  'TIFF whose strips lie elsewhere': ['tif', () => retagged(tiffOf([small]), 273, 0x7ffffff0)],
  'TIFF whose strip is longer than the file': ['tif', () => retagged(tiffOf([small]), 279, 0x7ffffff0)],
  'TIFF of rows without end': ['tif', () => retagged(tiffOf([small]), 278, 0xffffffff)],
  'TIFF in a circle': ['tif', () => tiffOf([small, small], 8)],
  'TIFF with an unknown compression': ['tif', () => retagged(tiffOf([small]), 259, 34_925)],
  'TIFF of 90 megapixels of nothing': ['tif', () => flat(10_000, 9000).tiff({ compression: 'deflate' }).toBuffer()],
  'TIFF in tiles': ['tif', () => flat(1000, 1400).tiff({ tile: true, pyramid: true, compression: 'jpeg' }).toBuffer()],
  'TIFF of floats': [
    'tif',
    () =>
      grey(small)
        .toColourspace('scrgb')
        .raw({ depth: 'float' })
        .toBuffer()
        .then((data) =>
          sharp(new Float32Array(data.buffer, data.byteOffset, data.length / 4), {
            raw: { width: 120, height: 160, channels: 3 },
          })
            .tiff()
            .toBuffer(),
        ),
  ],
  'TIFF turned by no such angle': [
    'tif',
    (random) => tiffOf([{ ...small, orientation: random.pick([0, 9, 255, 65_535]) }]),
  ],
  'JPEG of 4 gigapixels': ['jpg', (_, page) => resized(page, 65_500, 65_500)],
  'JPEG of no width': ['jpg', (_, page) => resized(page, 0, 300)],
  'JPEG taller than its data': ['jpg', (_, page) => resized(page, 600, 60_000)],
  'JPEG of 99 megapixels': ['jpg', () => flat(11_000, 9000).jpeg({ quality: 30 }).toBuffer()],
  'JPEG of 80 megapixels, turned and progressive': [
    'jpg',
    () => flat(9000, 9000).withMetadata({ orientation: 6 }).jpeg({ progressive: true, quality: 30 }).toBuffer(),
  ],
  'JPEG scanned again and again': [
    'jpg',
    async () => {
      const jpeg = await flat(3000, 3000).jpeg({ progressive: true, quality: 30 }).toBuffer();
      const scan = jpeg.lastIndexOf(Buffer.from([0xff, 0xda]));
      const last = jpeg.subarray(scan, jpeg.length - 2);
      return Buffer.concat([jpeg.subarray(0, -2), ...Array.from({ length: 2000 }, () => last), jpeg.subarray(-2)]);
    },
  ],
  'JPEG in CMYK': ['jpg', () => flat(300, 400).toColourspace('cmyk').jpeg().toBuffer()],
  'JPEG with rubbish for EXIF': [
    'jpg',
    (random, page) => {
      const body = Buffer.from(Array.from({ length: 2000 }, () => random.int(256)));
      body.write('Exif\0\0II*\0\x08\0\0\0', 0, 'latin1');
      const head = Buffer.from([0xff, 0xe1, 0, 0]);
      head.writeUInt16BE(body.length + 2, 2);
      return Buffer.concat([page.subarray(0, 2), head, body, page.subarray(2)]);
    },
  ],
  'WebP of 98 megapixels': ['webp', () => flat(16_000, 6100).webp({ lossless: true, effort: 0 }).toBuffer()],
  'WebP that says it is larger': [
    'webp',
    async () => {
      const webp = await flat(300, 400, 4).webp().toBuffer();
      return patched(webp, 24, 0xffffffff);
    },
  ],
  'moving WebP': [
    'webp',
    () =>
      sharp(Buffer.from(Array.from({ length: 64 * 64 * 8 }, (_, i) => i >> 8)), {
        raw: { width: 64, height: 64 * 8, channels: 1, pageHeight: 64 },
      })
        .webp({ delay: Array.from({ length: 8 }, () => 10) })
        .toBuffer(),
  ],
  'one pixel': ['png', () => png(1, 1, 8, 0, 1)],
  'SVG called PNG': [
    'png',
    () =>
      Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"><rect width="9" height="9"/></svg>',
      ),
  ],
  'XML that unfolds': [
    'jpg',
    () =>
      Buffer.from(
        `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x">${Array.from({ length: 20 }, (_, i) => `<!ENTITY c${i} "${'&b;'.repeat(50)}">`).join('')}]><svg>&c9;</svg>`,
      ),
  ],
  'a web page': ['jpg', () => Buffer.from('<!doctype html><title>404</title>')],
  'an archive called JPEG': ['jpg', () => Buffer.from('PK\x03\x04 and so on', 'latin1')],
  'a GIF called WebP': ['webp', () => flat(60, 80).gif().toBuffer()],
  nothing: ['jpg', () => Buffer.alloc(0)],
  'a megabyte of noughts': ['tif', () => Buffer.alloc(2 ** 20)],
  'a JPEG called PDF': ['pdf', (_, page) => page],
  'PDF of a million pages': [
    'pdf',
    (_, page) =>
      Buffer.from(
        pdfOf([{ ...small, jpeg: page }])
          .toString('latin1')
          .replace('/Count 1/', '/Count 999999/'),
        'latin1',
      ),
  ],
  'PDF as large as a town': [
    'pdf',
    (_, page) =>
      Buffer.from(
        pdfOf([{ ...small, jpeg: page }])
          .toString('latin1')
          .replace('595 842', '9e9 9e9'),
        'latin1',
      ),
  ],
  'PDF with a picture larger than memory': [
    'pdf',
    (_, page) =>
      Buffer.from(
        pdfOf([{ ...small, jpeg: page }])
          .toString('latin1')
          .replace('/Width 120/Height 160', '/Width 60000/Height 60000'),
        'latin1',
      ),
  ],
  'PDF that draws itself': [
    'pdf',
    (_, page) =>
      Buffer.from(
        pdfOf([{ ...small, jpeg: page }])
          .toString('latin1')
          .replace(
            '/Subtype/Image/Width 120/Height 160',
            '/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</I 5 0 R>>>>',
          ),
        'latin1',
      ),
  ],
  'PDF whose pages are their own parents': [
    'pdf',
    (_, page) =>
      Buffer.from(
        pdfOf([{ ...small, jpeg: page }])
          .toString('latin1')
          .replace('/Kids[3 0 R]', '/Kids[2 0 R]'),
        'latin1',
      ),
  ],
};

/**
 * So many files, one after the other. Specials come first, each once; the rest are whole pages that were harmed.
 * @param special every how many of the specials are made, for a shorter run
 */
export async function* hostileFiles(
  count: number,
  seed: number,
  special = 1,
): AsyncGenerator<HostileFile, void, undefined> {
  const random = seeded(seed);
  const pages = await bases(seed);
  const jpeg = pages[0]!.bytes;
  let made = 0;
  for (const [i, [kind, [extension, make]]] of Object.entries(SPECIAL).entries()) {
    if ((i + seed) % special !== 0 || made >= count) continue;
    yield { kind, extension, bytes: await make(random, jpeg) };
    made++;
  }
  const changes = Object.entries(CHANGES);
  for (; made < count; made++) {
    const { format, bytes } = pages[made % pages.length]!;
    const [kind, change] = changes[Math.floor(made / pages.length) % changes.length]!;
    // one in ten bears another's name
    const extension = random.chance(0.1) ? random.pick(['jpg', 'png', 'tif', 'webp', 'pdf']) : format;
    yield { kind: `${format}, ${kind}`, extension, bytes: change(Buffer.from(bytes), random) };
  }
}
