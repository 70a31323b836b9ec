// The process in which `bench -- omr` measures: bytes of a page to its reading, against the floor of sharp's fastest full-size
// decode of the same bytes to one channel, turn by turn on one thread. Each case is told to the parent.
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

/** Milliseconds on the clock, and of processor time in all threads of the process, which others' work hardly changes. */
interface Took {
  wall: number;
  cpu: number;
}

const timed = async (work: () => unknown): Promise<Took> => {
  const [before, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return { wall: performance.now() - before, cpu: (user + system) / 1000 };
};

export interface Order {
  runs: number;
  /** rounds before the first that is measured */
  warm: number;
  dpi: readonly number[];
}

export interface Case {
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
  /** the same of processor time, for a machine that is not quiet */
  cpu_over_decode: number;
}

const measure = async (
  bytes: Buffer,
  templates: readonly Template[],
  colour: boolean,
  { runs, warm }: Order,
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
  const floors: Took[][] = ways.map(() => []);
  const totals: Took[] = [];
  const reads: number[] = [];
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
  const floor = (of: keyof Took): number => Math.min(...floors.map((way) => median(way.map((one) => one[of]))));
  const total = (of: keyof Took): number => median(totals.map((one) => one[of]));
  return {
    decode_ms: round(floor('wall')),
    read_ms: round(median(reads)),
    total_ms: round(total('wall')),
    total_over_decode: round(total('wall') / floor('wall')),
    cpu_over_decode: round(total('cpu') / floor('cpu')),
  };
};

sharp.concurrency(1);
sharp.cache(false);
const order = JSON.parse(process.argv[2]!) as Order;
const built = builtIn('sheaf-150')!;
const bare: Template = { ...built, id: 'bare-150', qr: null };
for (const dpi of order.dpi) {
  for (const qr of [true, false]) {
    const template = qr ? built : bare;
    const drawn = drawSheet(template, { ...randomContent(template, 5), seed: dpi, ...(qr ? {} : { qr: null }) }, dpi);
    const page = grain(blur(bend(drawn, { skew: 0.4, scale: 0.998 }), 0.5), 3, 7);
    for (const colour of [false, true]) {
      const bytes = colour ? await inColour(page) : await encodeJpeg(page, QUALITY);
      const measured = await measure(bytes, qr ? BUILT_IN : [bare], colour, order);
      process.send!({ dpi, colour, qr, ...measured } satisfies Case);
    }
  }
}
process.disconnect();
