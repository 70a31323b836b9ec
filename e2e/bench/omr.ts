// `bench -- omr [--runs N] [--warm N]`: bytes of a page to its reading, against the floor of sharp's fastest full-size decode of the
// same bytes to one channel: same run, one thread, turn by turn. A4, 150 questions, grey and colour, with a QR zone and
// without.
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { decodeGray, encodeJpeg } from '../../server/adapters/decode.ts';
import { drawSheet } from '../../shared/corpus/draw.ts';
import { randomContent } from '../../shared/corpus/sample.ts';
import { bend, blur, grain } from '../../shared/corpus/wear.ts';
import type { GrayImage } from '../../shared/omr/image.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import { BUILT_IN, builtIn } from '../../shared/template/built-in.ts';
import type { Template } from '../../shared/template/template.ts';

/** Quality of a good scanner; skew, blur and grain of level one of the corpus. */
const QUALITY = 85;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number): number => Math.round(value * 100) / 100;

const inColour = ({ width, height, data }: GrayImage): Promise<Buffer> =>
  sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), { raw: { width, height, channels: 1 } })
    .toColourspace('srgb')
    .jpeg({ quality: QUALITY })
    .toBuffer();

/** Every way in which sharp gives one channel of a JPEG in full size. */
const WAYS: Record<'grey' | 'colour', readonly ((bytes: Buffer) => Promise<Buffer>)[]> = {
  grey: [
    (bytes) => sharp(bytes).toColourspace('b-w').raw().toBuffer(),
    (bytes) => sharp(bytes, { sequentialRead: true }).toColourspace('b-w').raw().toBuffer(),
    (bytes) => sharp(bytes).extractChannel(0).raw().toBuffer(),
  ],
  colour: [
    (bytes) => sharp(bytes).extractChannel(1).raw().toBuffer(),
    (bytes) => sharp(bytes, { sequentialRead: true }).extractChannel(1).raw().toBuffer(),
    (bytes) => sharp(bytes).toColourspace('b-w').raw().toBuffer(),
  ],
};

const timed = async (work: () => unknown): Promise<number> => {
  const before = performance.now();
  await work();
  return performance.now() - before;
};

interface Case {
  dpi: number;
  colour: boolean;
  qr: boolean;
  /** the floor: sharp's fastest full-size decode */
  decode_ms: number;
  /** raster to reading */
  read_ms: number;
  /** bytes to reading */
  total_ms: number;
  total_over_decode: number;
}

const measure = async (
  bytes: Buffer,
  templates: readonly Template[],
  colour: boolean,
  { runs, warm }: { runs: number; warm: number },
): Promise<Omit<Case, 'dpi' | 'colour' | 'qr'>> => {
  const once = async (): Promise<number> => {
    const decoded = await decodeGray(bytes);
    if (!decoded.ok) throw new Error(decoded.reason);
    const before = performance.now();
    const reading = readPage(decoded.image, templates);
    const took = performance.now() - before;
    if (reading.kind !== 'sheet' || reading.flags.length > 0) throw new Error(`read as ${JSON.stringify(reading)}`);
    return took;
  };
  const ways = WAYS[colour ? 'colour' : 'grey'];
  const floors: number[][] = ways.map(() => []);
  const [reads, totals]: [number[], number[]] = [[], []];
  for (let i = 0; i < warm; i++) await once(); // until the code is compiled
  for (let run = 0; run < runs; run++) {
    for (const [k, way] of ways.entries()) floors[k]!.push(await timed(() => way(bytes)));
    let read = 0;
    totals.push(
      await timed(async () => {
        read = await once();
      }),
    );
    reads.push(read);
  }
  const decode = Math.min(...floors.map(median));
  const total = median(totals);
  return {
    decode_ms: round(decode),
    read_ms: round(median(reads)),
    total_ms: round(total),
    total_over_decode: round(total / decode),
  };
};

/** @returns per dpi the worst of its four cases, and the cases */
export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '25' },
      warm: { type: 'string', default: '20' },
      json: { type: 'boolean' },
    },
  });
  const [runs, warm] = [Number(values.runs), Number(values.warm)];
  if (!(runs >= 3) || !(warm >= 0)) throw new Error('--runs is a number from 3, --warm one from 0');
  sharp.concurrency(1);
  sharp.cache(false);
  const built = builtIn('sheaf-150')!;
  const bare: Template = { ...built, id: 'bare-150', qr: null };
  const cases: Case[] = [];
  for (const dpi of [150, 200, 300]) {
    for (const qr of [true, false]) {
      const template = qr ? built : bare;
      const drawn = drawSheet(template, { ...randomContent(template, 5), seed: dpi, ...(qr ? {} : { qr: null }) }, dpi);
      const page = grain(blur(bend(drawn, { skew: 0.4, scale: 0.998 }), 0.5), 3, 7);
      for (const colour of [false, true]) {
        const bytes = colour ? await inColour(page) : await encodeJpeg(page, QUALITY);
        const measured = await measure(bytes, qr ? BUILT_IN : [bare], colour, { runs, warm });
        cases.push({ dpi, colour, qr, ...measured });
        process.stderr.write(`${JSON.stringify(cases.at(-1))}\n`);
      }
    }
  }
  const dpi = [150, 200, 300].map((each) => {
    const own = cases.filter((one) => one.dpi === each);
    const { colour: _, qr: __, ...worst } = own.sort((a, b) => b.total_over_decode - a.total_over_decode)[0]!;
    return worst;
  });
  return { bench: 'omr', questions: 150, runs, dpi, cases };
};
