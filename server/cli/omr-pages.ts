// Which pages a list of paths means: images, folders (with all below them) and ZIPs, in the order people number files.
// Each comes as bytes or as the reason why there are none.
import fs from 'node:fs/promises';
import path from 'node:path';
import { wholeFile } from '../uploads/landed.ts';
import { LARGEST_ENTRY, readDirectory, readEntry } from '../uploads/zip.ts';

export type PageBytes = { name: string } & ({ ok: true; bytes: Buffer } | { ok: false; reason: string });

const IMAGE = /\.(jpe?g|png|tiff?|webp)$/i;
const ZIP = /\.zip$/i;
const byName = new Intl.Collator('en', { numeric: true });

/** @param passedOver told of files in folders that are neither images nor ZIPs */
export async function* pagesOf(
  paths: readonly string[],
  passedOver: (file: string) => void,
): AsyncGenerator<PageBytes, void, undefined> {
  for (const given of paths) {
    const stat = await fs.stat(given).catch(() => null);
    if (!stat) yield { name: given, ok: false, reason: 'there is no such file' };
    else if (stat.isDirectory()) yield* pagesIn(given, passedOver);
    else yield* pagesFrom(given);
  }
}

async function* pagesIn(
  folder: string,
  passedOver: (file: string) => void,
): AsyncGenerator<PageBytes, void, undefined> {
  const entries = await fs.readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => byName.compare(a.name, b.name));
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* pagesIn(file, passedOver);
    else if (!entry.isFile() || entry.name.startsWith('.')) continue;
    else if (IMAGE.test(entry.name) || ZIP.test(entry.name)) yield* pagesFrom(file);
    else passedOver(file);
  }
}

async function* pagesFrom(file: string): AsyncGenerator<PageBytes, void, undefined> {
  const handle = await fs.open(file);
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
