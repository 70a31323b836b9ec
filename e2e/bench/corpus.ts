// `bench -- corpus [--pages N] [--seed S]`: how many worn sheets of 150 questions are drawn, worn and encoded in a minute at
// 200 dpi, level by level, by as many processes as there are cores.
import { fork } from 'node:child_process';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { READER_FLAGS } from '../../server/children.ts';
import type { Made, Order } from './corpus-pages.ts';

export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pages: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean' },
    },
  });
  const [pages, seed] = [Number(values.pages), Number(values.seed)];
  if (!Number.isInteger(pages) || pages < 1 || !Number.isInteger(seed))
    throw new Error('--pages and --seed are numbers');
  const processes = Math.min(os.availableParallelism(), pages);
  const levels: object[] = [];
  for (const level of [1, 2, 3] as const) {
    const made = await Promise.all(
      Array.from({ length: processes }, (_, first) => make({ level, seed, first, step: processes, pages })),
    );
    const seconds = Math.max(...made.map((one) => one.seconds));
    const cpu = made.reduce((sum, one) => sum + one.cpu_ms, 0) / pages;
    levels.push({
      level,
      pages,
      seconds: Math.round(seconds * 10) / 10,
      pages_per_minute: Math.round((60 * pages) / seconds),
      cpu_ms_per_page: Math.round(cpu),
      bytes_per_page: Math.round(made.reduce((sum, one) => sum + one.bytes, 0) / pages),
    });
    process.stderr.write(`${JSON.stringify(levels.at(-1))}\n`);
  }
  return { bench: 'corpus', dpi: 200, processes, levels };
};

const make = (order: Order): Promise<Made> =>
  new Promise((resolve, reject) => {
    const child = fork(new URL('./corpus-pages.js', import.meta.url), [JSON.stringify(order)], {
      execArgv: READER_FLAGS,
    });
    child.on('message', resolve);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`a process ended with ${code}`)));
  });
