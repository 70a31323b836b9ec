// The engine's benches as they are called, on a few pages: each prints one JSON object last, with the keys that are promised.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { ROOT } from './support/places.ts';

const bench = async (...args: string[]): Promise<unknown> => {
  const main = path.join(ROOT, 'dist/e2e/bench/main.js');
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--json']);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
};

const count = v.pipe(v.number(), v.minValue(0));
const above0 = v.pipe(v.number(), v.gtValue(0));

test('omr: the time from bytes to reading over that of decoding alone, per resolution', async () => {
  const Cost = { dpi: v.number(), decode_ms: above0, read_ms: above0, total_over_decode: above0 };
  const { dpi } = v.parse(v.object({ dpi: v.array(v.object(Cost)) }), await bench('omr', '--runs', '3', '--warm', '2'));
  expect(dpi.map((one) => one.dpi)).toEqual([150, 200, 300]);
});

const Level = v.object({
  level: v.number(),
  pages: count,
  questions: count,
  silent_errors: count,
  flagged: count,
  page_failures: count,
  pages_lost: count,
});
const Band = v.object({
  from: count,
  to: above0,
  predicted: count,
  observed: count,
  questions: count,
  errors: count,
  upper: count,
  within: v.boolean(),
});

test('accuracy: silent errors, flags and failures per level, and confidence against what was observed', async () => {
  const told = v.parse(
    v.object({ levels: v.array(Level), calibration: v.array(Band), review: v.array(v.object({ share: above0 })) }),
    await bench('accuracy', '--pages', '2', '--seed', '3'),
  );
  expect(told.levels.map(({ level, pages }) => [level, pages])).toEqual([
    [1, 2],
    [2, 2],
    [3, 2],
  ]);
  // of two pages a level nothing can be refuted
  expect(told.calibration.map(({ within }) => within)).not.toContain(false);
});

test('calibrate: how often bubbles of each darkness were marked', async () => {
  const Step = v.tuple([above0, v.number(), count, count]);
  const told = v.parse(
    v.object({ alone: v.array(Step), beside: v.array(Step) }),
    await bench('calibrate', '--pages', '1'),
  );
  for (const steps of [told.alone, told.beside]) {
    const chances = steps.map(([, chance]) => chance);
    expect(chances).toEqual([...chances].sort((a, b) => a - b));
  }
});
