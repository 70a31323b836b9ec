// One page on the device: unpacked, decoded as the server decodes it, and read by the engine that the server has.
import type { GrayImage } from '../../shared/omr/image.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { BUILT_IN } from '../../shared/template/built-in.ts';
import { type BlobEntry, readEntry } from './zip-blob.ts';

const THUMB_PX = 120;

/** Its brightness, as the server takes it (ITU-R BT.601). Colour profiles are left alone there too. */
async function decode(file: Blob): Promise<{ bitmap: ImageBitmap; gray: GrayImage }> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none', imageOrientation: 'from-image' });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser draws nothing in workers');
  // What is transparent is paper.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const { data: rgba } = context.getImageData(0, 0, width, height);
  const data = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < data.length; i++, at += 4) {
    data[i] = (299 * rgba[at]! + 587 * rgba[at + 1]! + 114 * rgba[at + 2]! + 500) / 1000;
  }
  return { bitmap, gray: { width, height, data } };
}

async function thumbnail(bitmap: ImageBitmap): Promise<Blob> {
  const height = Math.max(1, Math.round((bitmap.height / bitmap.width) * THUMB_PX));
  const canvas = new OffscreenCanvas(THUMB_PX, height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, THUMB_PX, height);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.7 });
}

export interface PageLook {
  reading: Reading;
  /** comes with what a person may want to look at */
  thumb: Blob | null;
}

/** `entry` null: the file is the page. `wanted`: with a picture whatever it is. What cannot be read is a reading with its reason, as on the server [P2]. */
export async function lookAtPage(file: Blob, entry: BlobEntry | null, wanted = false): Promise<PageLook> {
  let bitmap: ImageBitmap | null = null;
  try {
    const decoded = await decode(entry ? await readEntry(file, entry) : file);
    bitmap = decoded.bitmap;
    const reading = readPage(decoded.gray, BUILT_IN);
    const plain = reading.kind === 'sheet' && reading.orientation === 0;
    return { reading, thumb: plain && !wanted ? null : await thumbnail(bitmap) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { reading: { kind: 'foreign', reason, looks_like: null, flags: [] }, thumb: null };
  } finally {
    bitmap?.close();
  }
}
