// Which pages a list of paths means: images, PDFs, folders (with all below them) and ZIPs, in the order people number
// files. Each page comes as a raster or as the reason why there is none; no file keeps the others from being read.
import type { Dirent, Stats } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { countPages, type Decoded, decodeGray } from '../adapters/decode.ts';
import { wholeFile } from '../uploads/landed.ts';
import { LARGEST_ENTRY, readDirectory, readEntry } from '../uploads/zip.ts';

/** `scans.zip/front/1.jpg`, `book.pdf#3` for the third of several pages. */
export type PageImage = { name: string } & Decoded;
type FileBytes = { name: string } & ({ ok: true; bytes: Buffer } | { ok: false; reason: string });

const IMAGE = /\.(jpe?g|png|tiff?|webp|pdf)$/i;
const ZIP = /\.zip$/i;
const byName = new Intl.Collator('en', { numeric: true });

/** @param passedOver told of files in folders that are neither images, PDFs nor ZIPs */
export async function* pagesOf(
  paths: readonly string[],
  passedOver: (file: string) => void,
): AsyncGenerator<PageImage, void, undefined> {
  for await (const file of filesOf(paths, passedOver)) {
    if (!file.ok) {
      yield file;
      continue;
    }
    const { name, bytes } = file;
    const counted = await countPages(bytes);
    if (!counted.ok) yield { name, ...counted };
    else if (counted.pages === 1) yield { name, ...(await decode(bytes, 0)) };
    else for (let i = 0; i < counted.pages; i++) yield { name: `${name}#${i + 1}`, ...(await decode(bytes, i)) };
  }
}

/** Even when memory runs out over one file, the next may be small. */
const decode = async (bytes: Buffer, page: number): Promise<Decoded> => {
  try {
    return await decodeGray(bytes, page);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { ok: false, reason: `it cannot be decoded on this machine (${saying(cause)})` };
  }
};

const saying = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();

async function* filesOf(
  paths: readonly string[],
  passedOver: (file: string) => void,
): AsyncGenerator<FileBytes, void, undefined> {
  for (const given of paths) {
    let stat: Stats;
    try {
      stat = await fs.stat(given);
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      yield { name: given, ok: false, reason: missing ? 'there is no such file' : saying(error) };
      continue;
    }
    if (stat.isDirectory()) yield* filesIn(given, passedOver);
    else if (stat.isFile()) yield* filesFrom(given);
    else yield { name: given, ok: false, reason: 'it is neither a file nor a folder' };
  }
}

async function* filesIn(
  folder: string,
  passedOver: (file: string) => void,
): AsyncGenerator<FileBytes, void, undefined> {
  let entries: Dirent[];
  try {
    entries = await fs.readdir(folder, { withFileTypes: true });
  } catch (error) {
    yield { name: folder, ok: false, reason: saying(error) };
    return;
  }
  entries.sort((a, b) => byName.compare(a.name, b.name));
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(file, passedOver);
    else if (!entry.isFile() || entry.name.startsWith('.')) continue;
    else if (IMAGE.test(entry.name) || ZIP.test(entry.name)) yield* filesFrom(file);
    else passedOver(file);
  }
}

async function* filesFrom(file: string): AsyncGenerator<FileBytes, void, undefined> {
  let handle: fs.FileHandle;
  try {
    handle = await fs.open(file);
  } catch (error) {
    yield { name: file, ok: false, reason: saying(error) };
    return;
  }
  try {
    const { size } = await handle.stat();
    if (!ZIP.test(file)) {
      if (size > LARGEST_ENTRY) yield { name: file, ok: false, reason: 'the file is larger than 256 MB' };
      else yield { name: file, ok: true, bytes: await handle.readFile() };
      return;
    }
    const directory = await readDirectory(wholeFile(handle, size));
    if (!directory.ok) {
      yield {
        name: file,
        ok: false,
        reason: directory.code === 'NOT_LANDED' ? 'its directory points outside the file' : directory.reason,
      };
      return;
    }
    for (const entry of directory.images) yield { name: `${file}/${entry.name}`, ...(await readEntry(handle, entry)) };
  } finally {
    await handle.close();
  }
}
