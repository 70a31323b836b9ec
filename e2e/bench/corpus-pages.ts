// A process of `bench -- corpus`: draws, wears and encodes its share of the pages, and tells what that took.
import { encodeJpeg } from '../../server/adapters/decode.ts';
import { type Level, wornSheet } from '../../shared/corpus/levels.ts';
import { builtIn } from '../../shared/template/built-in.ts';

export interface Order {
  level: Level;
  seed: number;
  /** pages first, first + step, … below pages */
  first: number;
  step: number;
  pages: number;
}

export interface Made {
  seconds: number;
  cpu_ms: number;
  bytes: number;
}

const { level, seed, first, step, pages } = JSON.parse(process.argv[2]!) as Order;
const template = builtIn('sheaf-150')!;
const began = performance.now();
let bytes = 0;
for (let page = first; page < pages; page += step) {
  const { image, jpeg } = wornSheet(template, level, seed * 100_003 + page, 200);
  bytes += (await encodeJpeg(image, jpeg)).length;
}
const { user, system } = process.cpuUsage();
const made: Made = { seconds: (performance.now() - began) / 1000, cpu_ms: (user + system) / 1000, bytes };
process.send!(made, () => process.disconnect());
