import sharp from 'sharp';
import { describe, expect, test, vi } from 'vitest';
import { pdfOf, tiffOf } from '../../e2e/support/documents.ts';
import type { GrayImage } from '../../shared/omr/image.ts';
import { countPages, decodeGray, encodeJpeg } from './decode.ts';
import { tiffPages } from './tiff-pages.ts';

// processes are started and pages drawn, on machines that have other things to do
vi.setConfig({ testTimeout: 60_000 });

/** Dark left half, light right half: shows orientation and inversion. */
const halves = (width = 40, height = 24): GrayImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height }, (_, i) => (i % width < width / 2 ? 30 : 220)),
});
const raw = ({ width, height, data }: GrayImage) => sharp(data, { raw: { width, height, channels: 1 } });
const grey = (image: GrayImage) => raw(image).toColourspace('b-w');

const decoded = async (bytes: Buffer, page?: number): Promise<GrayImage> => {
  const result = await decodeGray(bytes, page);
  if (!result.ok) throw new Error(result.reason);
  return result.image;
};
const refused = async (bytes: Buffer): Promise<string> => {
  const result = await decodeGray(bytes);
  return result.ok ? 'it was decoded' : result.reason;
};
const at = (image: GrayImage, x: number, y: number): number => image.data[y * image.width + x]!;

describe('formats come out as one byte a pixel', () => {
  const makers: Record<string, () => Promise<Buffer>> = {
    'grey JPEG': () => grey(halves()).jpeg({ quality: 95 }).toBuffer(),
    'colour JPEG': () => raw(halves()).toColourspace('srgb').jpeg({ quality: 95 }).toBuffer(),
    'CMYK JPEG': () => raw(halves()).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer(),
    'grey PNG': () => grey(halves()).png().toBuffer(),
    'palette PNG': () => raw(halves()).toColourspace('srgb').png({ palette: true }).toBuffer(),
    '16 bit PNG': () => raw(halves()).toColourspace('grey16').png().toBuffer(),
    'PNG with alpha': () => raw(halves()).toColourspace('srgb').ensureAlpha(1).png().toBuffer(),
    WebP: () => raw(halves()).webp({ lossless: true }).toBuffer(),
    'TIFF, LZW': () => grey(halves()).tiff({ compression: 'lzw' }).toBuffer(),
    'TIFF, deflate': () => grey(halves()).tiff({ compression: 'deflate' }).toBuffer(),
    'TIFF, PackBits': () => grey(halves()).tiff({ compression: 'packbits' }).toBuffer(),
    'TIFF, JPEG': () => grey(halves()).tiff({ compression: 'jpeg', quality: 95 }).toBuffer(),
    'TIFF, colour': () => raw(halves()).toColourspace('srgb').tiff({ compression: 'none' }).toBuffer(),
    '1 bit TIFF': () => grey(halves()).threshold(128).tiff({ bitdepth: 1, compression: 'none' }).toBuffer(),
    '1 bit TIFF, as faxes are': () =>
      grey(halves()).threshold(128).tiff({ bitdepth: 1, compression: 'ccittfax4' }).toBuffer(),
  };
  test.each(Object.keys(makers))('%s', async (name) => {
    const image = await decoded(await makers[name]!());
    expect([image.width, image.height, image.data.length]).toEqual([40, 24, 40 * 24]);
    expect(at(image, 4, 12)).toBeLessThan(50);
    expect(at(image, 36, 12)).toBeGreaterThan(200);
  });
});

/** The largest difference between two rasters of one size. */
const apart = (a: Uint8Array, b: Uint8Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
};

test('the short way to one channel gives what the long one gives, to the rounding of its arithmetic', async () => {
  const noisy = halves(333, 250);
  noisy.data = noisy.data.map((value, i) => (value + ((i * 7919) % 61)) & 255);
  const jpeg = await encodeJpeg(noisy, 80);
  expect(apart((await decoded(jpeg)).data, await sharp(jpeg).extractChannel(0).raw().toBuffer())).toBeLessThan(6);
  expect(apart((await decoded(await grey(noisy).png().toBuffer())).data, noisy.data)).toBe(0);
  const colour = await raw(noisy).toColourspace('srgb').tint('#dd8844').jpeg({ quality: 80 }).toBuffer();
  const rgb = await sharp(colour).raw().toBuffer();
  const brightness = noisy.data.map((_, i) => 0.299 * rgb[3 * i]! + 0.587 * rgb[3 * i + 1]! + 0.114 * rgb[3 * i + 2]!);
  // a colour that no screen shows is cut off on the long way
  const differ = (await decoded(colour)).data.filter((value, i) => Math.abs(value - brightness[i]!) > 3);
  expect(differ.length / brightness.length).toBeLessThan(0.05);
});

test('a colour profile changes nothing', async () => {
  for (const progressive of [false, true]) {
    const jpeg = await raw(halves()).toColourspace('srgb').withIccProfile('p3').jpeg({ progressive }).toBuffer();
    expect((await sharp(jpeg).metadata()).icc).toBeDefined();
    const bare = await sharp(jpeg, { ignoreIcc: true }).extractChannel(1).raw().toBuffer();
    expect(apart((await decoded(jpeg)).data, bare)).toBeLessThan(6);
  }
});

test('what only sharp unpacks is the same page: a progressive JPEG; one that says it is upright is unpacked as any', async () => {
  const page = halves(160, 120);
  const plain = await decoded(await encodeJpeg(page, 90));
  const progressive = await grey(page).jpeg({ quality: 90, progressive: true }).toBuffer();
  expect(apart((await decoded(progressive)).data, plain.data)).toBeLessThan(6);
  const upright = await grey(page).withMetadata({ orientation: 1 }).jpeg({ quality: 90 }).toBuffer();
  expect(apart((await decoded(upright)).data, plain.data)).toBe(0);
});

test('what is transparent is paper', async () => {
  const clear = await sharp({
    create: { width: 8, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  })
    .png()
    .toBuffer();
  expect(at(await decoded(clear), 4, 4)).toBe(255);
});

test('EXIF orientation is honoured', async () => {
  const bytes = await grey(halves()).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
  const image = await decoded(bytes);
  expect([image.width, image.height]).toEqual([24, 40]);
  expect(at(image, 12, 4)).toBeLessThan(50);
  expect(at(image, 12, 36)).toBeGreaterThan(200);
});

/** Four pixels wide each, as light as its number says. */
const plain = (level: number, width = 120, height = 160): GrayImage => ({
  width,
  height,
  data: new Uint8Array(width * height).fill(level),
});

describe('files of several pages', () => {
  test('a TIFF gives each page by its number, and small copies are no pages', async () => {
    const bytes = tiffOf([
      plain(10),
      { ...plain(15, 12, 16), reduced: true },
      plain(20),
      { ...plain(30), orientation: 6 },
    ]);
    expect(await countPages(bytes)).toEqual({ ok: true, pages: 3 });
    expect(at(await decoded(bytes, 0), 60, 80)).toBe(10);
    expect(at(await decoded(bytes, 1), 60, 80)).toBe(20);
    const turned = await decoded(bytes, 2);
    expect([turned.width, turned.height, at(turned, 60, 60)]).toEqual([160, 120, 30]);
    expect(await decodeGray(bytes, 3)).toEqual({ ok: false, reason: 'there is no page 4 in the TIFF' });
  });

  test('[P2] a chain of directories that goes round in a circle, or out of the file, ends as a reason', async () => {
    for (const next of [8, 2, 0xfffffff0]) {
      const bytes = tiffOf([plain(10), plain(20)], next);
      expect(tiffPages(bytes)).toBeNull();
      expect(await refused(bytes)).toMatch(/TIFF image is damaged or cut short/);
    }
  });

  const pages = async (levels: number[]) =>
    Promise.all(levels.map(async (level) => ({ ...plain(level), jpeg: await encodeJpeg(plain(level), 95) })));

  test('a PDF is drawn page by page in grey, about 200 dots an inch, turned as it says', async () => {
    const bytes = pdfOf(await pages([40, 200]));
    expect(await countPages(bytes)).toEqual({ ok: true, pages: 2 });
    const [first, second] = [await decoded(bytes, 0), await decoded(bytes, 1)];
    expect([first.width, first.height, first.data.length]).toEqual([1653, 2339, 1653 * 2339]);
    expect(Math.abs(at(first, 800, 1200) - 40)).toBeLessThan(4);
    expect(Math.abs(at(second, 800, 1200) - 200)).toBeLessThan(4);
    const turned = await decoded(pdfOf(await pages([90]), 90));
    expect([turned.width, turned.height]).toEqual([2339, 1653]);
  });

  test('[R3] no page is passed over in silence: asked for one page, a file of several is refused', async () => {
    expect(await refused(tiffOf([plain(10), plain(20)]))).toBe(
      'a TIFF of 2 pages: save each page as an image of its own',
    );
    expect(await refused(pdfOf(await pages([1, 2, 3])))).toMatch(/^a PDF of 3 pages/);
  });

  test('[P2] a broken PDF is a value, and the next one is drawn', async () => {
    const whole = pdfOf(await pages([70]));
    expect(await refused(whole.subarray(0, whole.length >> 1))).toMatch(/the PDF is damaged or cut short/);
    expect(await refused(pdfOf([]))).toMatch(/the PDF (has no pages|is damaged)/);
    expect(Math.abs(at(await decoded(whole), 800, 1200) - 70)).toBeLessThan(4);
  });
});

test('what people take for a scan is named', async () => {
  expect(await refused(Buffer.from('GIF89a............'))).toMatch(/^a GIF image, not a JPEG/);
  expect(await refused(Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1'))).toMatch(/^a HEIC photo/);
  expect(await refused(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))).toMatch(/^a text with markup/);
});

test('a moving picture is no page', async () => {
  const frames = Buffer.concat([plain(10, 16, 16).data, plain(200, 16, 16).data]);
  const bytes = await sharp(frames, { raw: { width: 16, height: 32, channels: 1, pageHeight: 16 } })
    .webp({ loop: 0, delay: [100, 100] })
    .toBuffer();
  expect(await refused(bytes)).toBe('a moving picture of 2 frames, not a page');
});

test('a page is written as a JPEG of one channel and comes back', async () => {
  const bytes = await encodeJpeg(halves(), 90);
  expect((await sharp(bytes).metadata()).channels).toBe(1);
  const image = await decoded(bytes);
  expect(Math.abs(at(image, 4, 4) - 30)).toBeLessThan(6);
});

test('[P2] a broken image is a value that says what is wrong', async () => {
  const noisy = halves(400, 400);
  noisy.data = noisy.data.map((value, i) => (value + i * 7919) & 255);
  const whole = await encodeJpeg(noisy, 90);
  expect(await refused(Buffer.alloc(0))).toBe('the file is empty');
  expect(await refused(Buffer.from('<html>not found</html>'))).toBe(
    'a text with markup, not a JPEG, PNG, WebP or TIFF image nor a PDF',
  );
  expect(await refused(whole.subarray(0, whole.length >> 1))).toMatch(/JPEG image is damaged or cut short/);
  expect(await refused(whole.subarray(0, 30))).toMatch(/JPEG image is damaged or cut short/);
  expect(await refused(Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), whole]))).toMatch(
    /PNG image is damaged/,
  );
});

test('[R2] a JPEG that claims to be larger than its data is damaged, not a page with grey below', async () => {
  const noisy = halves(400, 400);
  noisy.data = noisy.data.map((value, i) => (value + i * 7919) & 255);
  const stretched = await encodeJpeg(noisy, 90);
  // The frame header (SOF0) holds the height before the width.
  const frame = stretched.indexOf(Buffer.from([0xff, 0xc0]));
  stretched.writeUInt16BE(4000, frame + 5);
  expect(await refused(stretched)).toMatch(/JPEG image is damaged or cut short/);
});

test('stray bytes between the parts of a JPEG lose nothing of it', async () => {
  const whole = await encodeJpeg(halves(), 90);
  const frame = whole.indexOf(Buffer.from([0xff, 0xc0]));
  const strayed = Buffer.concat([whole.subarray(0, frame), Buffer.from([0, 0]), whole.subarray(frame)]);
  expect(apart((await decoded(strayed)).data, (await decoded(whole)).data)).toBeLessThan(6);
});

test('an image of more than 100 megapixels is refused before it is decoded', async () => {
  const real = await sharp({ create: { width: 12_000, height: 9_000, channels: 3, background: '#fff' } })
    .png({ compressionLevel: 1 })
    .toBuffer();
  expect(await refused(real)).toBe('12000 × 9000 pixels: more than 100 megapixels');
});
