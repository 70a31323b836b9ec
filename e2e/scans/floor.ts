// Decodes scans as fast as sharp can, one thread, one process: `floor.js INDEX FROM STEP COUNT`. Prints how many and in
// how many milliseconds. The floor that batches are measured against: nothing can read a page without decoding it.
import { open, readFile } from 'node:fs/promises';
import sharp from 'sharp';
import type { ScanPlace } from './zip-of-scans.ts';

sharp.concurrency(1);
sharp.cache(false);
const [index = '', from = '0', step = '1', count = '1'] = process.argv.slice(2);
const scans = JSON.parse(await readFile(index, 'utf8')) as ScanPlace[];
const mine = Array.from({ length: Number(count) }, (_, i) => scans[(Number(from) + i * Number(step)) % scans.length]!);
const files = new Map(
  await Promise.all([...new Set(mine.map((scan) => scan.file))].map(async (file) => [file, await open(file)] as const)),
);
const pages = await Promise.all(
  mine.map(async (scan) => {
    const bytes = Buffer.allocUnsafe(scan.size);
    await files.get(scan.file)!.read(bytes, 0, scan.size, scan.offset);
    return bytes;
  }),
);
const began = performance.now();
for (const page of pages) await sharp(page, { sequentialRead: true }).toColourspace('b-w').raw().toBuffer();
const ms = performance.now() - began;
for (const file of files.values()) await file.close();
process.stdout.write(JSON.stringify({ pages: pages.length, ms }));
