// Files of several pages, byte by byte: nothing here that writes images makes them.
import type { GrayImage } from '../../shared/omr/image.ts';

/** A PDF as scanners write it: each page one JPEG of one channel, A4. @param turned degrees that viewers turn the pages by */
export const pdfOf = (pages: readonly { jpeg: Buffer; width: number; height: number }[], turned = 0): Buffer => {
  const parts: Buffer[] = [];
  const offsets: number[] = [];
  let length = 0;
  const put = (...texts: (string | Buffer)[]): void => {
    for (const text of texts) {
      const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
      parts.push(bytes);
      length += bytes.length;
    }
  };
  const object = (number: number, ...body: (string | Buffer)[]): void => {
    offsets[number] = length;
    put(`${number} 0 obj\n`, ...body, '\nendobj\n');
  };
  put('%PDF-1.4\n');
  object(1, '<</Type/Catalog/Pages 2 0 R>>');
  const kids = pages.map((_, i) => `${3 + i * 3} 0 R`).join(' ');
  object(2, `<</Type/Pages/Count ${pages.length}/Kids[${kids}]>>`);
  pages.forEach(({ jpeg, width, height }, i) => {
    const number = 3 + i * 3;
    const drawing = 'q 595 0 0 842 0 0 cm /I Do Q';
    object(
      number,
      `<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Rotate ${turned}/Contents ${number + 1} 0 R`,
      `/Resources<</XObject<</I ${number + 2} 0 R>>>>>>`,
    );
    object(number + 1, `<</Length ${drawing.length}>>stream\n${drawing}\nendstream`);
    object(
      number + 2,
      `<</Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceGray/BitsPerComponent 8`,
      `/Filter/DCTDecode/Length ${jpeg.length}>>stream\n`,
      jpeg,
      '\nendstream',
    );
  });
  const table = length;
  const count = 3 + pages.length * 3;
  put(`xref\n0 ${count}\n0000000000 65535 f \n`);
  for (let i = 1; i < count; i++) put(`${String(offsets[i]).padStart(10, '0')} 00000 n \n`);
  put(`trailer<</Size ${count}/Root 1 0 R>>\nstartxref\n${table}\n%%EOF\n`);
  return Buffer.concat(parts);
};

export interface TiffPage extends GrayImage {
  /** a small copy of another page */
  reduced?: boolean;
  /** as EXIF counts, 1 upright */
  orientation?: number;
}

/** A TIFF of uncompressed grey pages. @param next where the last directory leads; 0 ends the chain, as it should */
export const tiffOf = (pages: readonly TiffPage[], next = 0): Buffer => {
  const parts: Buffer[] = [Buffer.from([0x49, 0x49, 42, 0, 8, 0, 0, 0])];
  let at = 8;
  pages.forEach(({ width, height, data, reduced = false, orientation = 1 }, i) => {
    const tags: [number, number, number][] = [
      [254, 4, reduced ? 1 : 0],
      [256, 4, width],
      [257, 4, height],
      [258, 3, 8],
      [259, 3, 1],
      [262, 3, 1],
      [273, 4, 0],
      [274, 3, orientation],
      [277, 3, 1],
      [278, 4, height],
      [279, 4, width * height],
    ];
    const size = 2 + tags.length * 12 + 4;
    const directory = Buffer.alloc(size);
    directory.writeUInt16LE(tags.length, 0);
    tags.forEach(([tag, type, value], k) => {
      const entry = 2 + k * 12;
      directory.writeUInt16LE(tag, entry);
      directory.writeUInt16LE(type, entry + 2);
      directory.writeUInt32LE(1, entry + 4);
      if (type === 3) directory.writeUInt16LE(value, entry + 8);
      else directory.writeUInt32LE(tag === 273 ? at + size : value, entry + 8);
    });
    const after = at + size + width * height;
    directory.writeUInt32LE(i + 1 < pages.length ? after : next, size - 4);
    parts.push(directory, Buffer.from(data.buffer, data.byteOffset, width * height));
    at = after;
  });
  return Buffer.concat(parts);
};
