// A large ZIP of drawn scans for benches: every page its own answers and roll number, drawn by all cores at once, kept in
// the temp folder under its size and seed so that the next run need not draw it again.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import yazl from 'yazl';
import { type SampleSize, sampleBatch } from '../../shared/corpus/sample.ts';

export interface MakeSpec extends SampleSize {
  dpi: number;
  quality: number;
  file: string;
  from: number;
  to: number;
}
export interface Made {
  index: number;
  offset: number;
  size: number;
}
/** Where a page's bytes lie in the part files, for whoever decodes them without the ZIP. */
export interface ScanPlace {
  file: string;
  offset: number;
  size: number;
}
export interface ZipOfScans {
  zip: string;
  size: number;
  scans: ScanPlace[];
  batch: ReturnType<typeof sampleBatch>;
}

const MAKER = fileURLToPath(new URL('./make.js', import.meta.url));

/** What a seed draws changes with templates and corpus: a cover, a sheet and all truths tell one drawing from another. */
function fingerprint({ pages, template }: ReturnType<typeof sampleBatch>): string {
  const hash = createHash('sha256').update(JSON.stringify([template, pages]));
  for (const page of pages.slice(0, 2)) hash.update(page.draw(100).data);
  return hash.digest('hex').slice(0, 12);
}

/** @param size.sheets with one cover for about every hundred sheets */
export async function zipOfScans(
  size: { sheets: number; seed: number; dpi: number; quality: number },
  say: (line: string) => void,
): Promise<ZipOfScans> {
  const sample: SampleSize = {
    seed: size.seed,
    sheets: size.sheets,
    questions: 150,
    covers: Math.max(1, Math.round(size.sheets / 102)),
  };
  const batch = sampleBatch(sample);
  const folder = path.join(
    os.tmpdir(),
    `sheaf-scans-${fingerprint(batch)}-${size.sheets}-${size.seed}-${size.dpi}-${size.quality}`,
  );
  mkdirSync(folder, { recursive: true });
  const zip = path.join(folder, 'scans.zip');
  const index = path.join(folder, 'index.json');
  if (!existsSync(index)) {
    const cores = os.availableParallelism();
    const total = batch.pages.length;
    say(`drawing ${total} pages with ${cores} processes into ${folder}`);
    const run = promisify(execFile);
    const parts = await Promise.all(
      Array.from({ length: cores }, async (_, k) => {
        const spec: MakeSpec = {
          ...sample,
          dpi: size.dpi,
          quality: size.quality,
          file: path.join(folder, `part-${k}`),
          from: Math.floor((total * k) / cores),
          to: Math.floor((total * (k + 1)) / cores),
        };
        const { stdout } = await run(process.execPath, [MAKER, JSON.stringify(spec)], { maxBuffer: 2 ** 30 });
        return (JSON.parse(stdout) as Made[]).map(({ offset, size: bytes }) => ({
          file: spec.file,
          offset,
          size: bytes,
        }));
      }),
    );
    const scans = parts.flat();
    const out = new yazl.ZipFile();
    for (const [i, scan] of scans.entries()) {
      out.addReadStreamLazy(batch.pages[i]!.name, { compress: false, size: scan.size }, (done) => {
        done(null, createReadStream(scan.file, { start: scan.offset, end: scan.offset + scan.size - 1 }));
      });
    }
    out.end();
    await pipeline(out.outputStream, createWriteStream(`${zip}.part`));
    await rename(`${zip}.part`, zip);
    await writeFile(`${index}.part`, JSON.stringify(scans));
    await rename(`${index}.part`, index);
  }
  const scans = JSON.parse(await readFile(index, 'utf8')) as ScanPlace[];
  return { zip, size: (await stat(zip)).size, scans, batch };
}

/** Takes the kept files away: for sizes that are too large to keep. */
export const forget = ({ zip }: ZipOfScans): Promise<void> => rm(path.dirname(zip), { recursive: true, force: true });
