// Draws a range of a sample batch's pages as JPEG scans into one file, in a process of its own: `make.js SPEC`. The last
// line it prints is the list of what it wrote.
import { open } from 'node:fs/promises';
import { encodeJpeg } from '../../server/adapters/decode.ts';
import { sampleBatch } from '../../shared/corpus/sample.ts';
import type { Made, MakeSpec } from './zip-of-scans.ts';

const spec = JSON.parse(process.argv[2] ?? '') as MakeSpec;
const { pages } = sampleBatch(spec);
const file = await open(spec.file, 'w');
const made: Made[] = [];
let offset = 0;
for (let i = spec.from; i < Math.min(spec.to, pages.length); i++) {
  const page = pages[i]!;
  const bytes = await encodeJpeg(page.draw(spec.dpi), spec.quality);
  await file.write(bytes, 0, bytes.length, offset);
  made.push({ index: i, offset, size: bytes.length });
  offset += bytes.length;
}
await file.close();
process.stdout.write(JSON.stringify(made));
