// What can be said about picked files before anything is queued: is there one, is it what the strategy needs, is the
// task id right. Only the first and last bytes are read.
import { LARGEST_FILE } from '../../shared/protocol/upload.ts';
import { newWords } from '../screens/new-batch/words.ts';
import { bytes } from '../ui/format.ts';

export type Strategy = 'zip_with_qr' | 'zip_without_qr' | 'images';
export interface Complaints {
  files?: string;
  task_id?: string;
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean =>
  magic.every((byte, i) => bytes[i] === byte);

/** Magic numbers: PKWARE APPNOTE 4.3.7 and 4.3.16; JFIF/EXIF SOI; PNG 5.2; RFC 9649 2.4; TIFF 6.0 section 2;
 *  PDF 7.5.2. The first 12 bytes are enough. */
export function kindOf(head: Uint8Array): 'zip' | 'empty-zip' | 'jpeg' | 'png' | 'webp' | 'tiff' | 'pdf' | 'unknown' {
  if (startsWith(head, [0x50, 0x4b, 0x03, 0x04])) return 'zip';
  if (startsWith(head, [0x50, 0x4b, 0x05, 0x06])) return 'empty-zip';
  if (startsWith(head, [0xff, 0xd8, 0xff])) return 'jpeg';
  if (startsWith(head, [0x89, 0x50, 0x4e, 0x47])) return 'png';
  if (startsWith(head, [0x52, 0x49, 0x46, 0x46]) && startsWith(head.subarray(8), [0x57, 0x45, 0x42, 0x50]))
    return 'webp';
  if (startsWith(head, [0x49, 0x49, 0x2a, 0x00]) || startsWith(head, [0x4d, 0x4d, 0x00, 0x2a])) return 'tiff';
  if (startsWith(head, [0x25, 0x50, 0x44, 0x46])) return 'pdf';
  return 'unknown';
}

/** The end record lies within 64 KB and 22 bytes of the end (APPNOTE 4.3.16): a copy that broke off has none. */
const END_REACH = 65_535 + 22;
export function hasZipEnd(tail: Uint8Array): boolean {
  for (let i = tail.length - 22; i >= 0; i--)
    if (startsWith(tail.subarray(i, i + 4), [0x50, 0x4b, 0x05, 0x06])) return true;
  return false;
}

const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());

async function checkZip(files: readonly File[]): Promise<string | undefined> {
  const file = files[0];
  if (files.length !== 1 || !file) return newWords().chooseOne;
  if (file.size === 0) return newWords().emptyFile({ name: file.name });
  const kind = kindOf(await bytesOf(file.slice(0, 8)));
  if (kind === 'empty-zip') return newWords().emptyZip({ name: file.name });
  if (kind !== 'zip') return newWords().notZip({ name: file.name });
  if (!hasZipEnd(await bytesOf(file.slice(Math.max(0, file.size - END_REACH)))))
    return newWords().noEnd({ name: file.name });
  return undefined;
}

async function checkImages(files: readonly File[]): Promise<string | undefined> {
  for (const file of files) {
    if (file.size === 0) return newWords().emptyFile({ name: file.name });
    const kind = kindOf(await bytesOf(file.slice(0, 12)));
    if (kind === 'zip' || kind === 'empty-zip') return newWords().isZip({ name: file.name });
    if (kind === 'unknown') return newWords().notImage({ name: file.name });
  }
  return undefined;
}

export const needsTask = (strategy: Strategy): boolean => strategy !== 'zip_with_qr';

export const checkTask = (strategy: Strategy, taskId: string): string | undefined => {
  if (!needsTask(strategy)) return undefined;
  if (taskId === '') return newWords().typeTask;
  return /^\d{8}$/.test(taskId) ? undefined : newWords().badTask;
};

/** Empty when the batch may be queued. */
export async function checkBatch(strategy: Strategy, files: readonly File[], taskId: string): Promise<Complaints> {
  const complaints: Complaints = {};
  const task = checkTask(strategy, taskId);
  if (task !== undefined) complaints.task_id = task;
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const about = await (async () => {
    if (files.length === 0) return strategy === 'images' ? newWords().chooseTheImages : newWords().chooseTheZip;
    if (size > LARGEST_FILE) return newWords().tooLarge({ size: bytes(size) });
    return strategy === 'images' ? checkImages(files) : checkZip(files);
  })();
  if (about !== undefined) complaints.files = about;
  return complaints;
}
