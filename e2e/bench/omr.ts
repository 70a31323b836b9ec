// `bench -- omr [--runs N] [--warm N] [--dpi 200,300]`: bytes of a page to its reading over the floor of decoding it: A4, 150
// questions, grey and colour, with a QR zone and without. Measured in a process that is started as the product's readers are.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { READER_FLAGS } from '../../server/children.ts';
import type { Case, Order } from './omr-cases.ts';

const DPI = [150, 200, 300] as const;

/** @returns per dpi the worst of its four cases, and the cases */
export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '25' },
      warm: { type: 'string', default: '40' },
      dpi: { type: 'string', default: DPI.join() },
      json: { type: 'boolean' },
    },
  });
  const order: Order = {
    runs: Number(values.runs),
    warm: Number(values.warm),
    dpi: values.dpi.split(',').map(Number),
  };
  if (!(order.runs >= 3) || !(order.warm >= 0)) throw new Error('--runs is a number from 3, --warm one from 0');
  if (!order.dpi.every((one) => DPI.some((known) => known === one))) throw new Error(`--dpi is of ${DPI.join()}`);
  const cases: Case[] = [];
  const child = fork(new URL('./omr-cases.js', import.meta.url), [JSON.stringify(order)], { execArgv: READER_FLAGS });
  child.on('message', (one: Case) => {
    cases.push(one);
    process.stderr.write(`${JSON.stringify(one)}\n`);
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the process that measures ended with ${code}`);
  const dpi = order.dpi.map((each) => {
    const own = cases.filter((one) => one.dpi === each);
    const { colour: _, qr: __, ...worst } = own.sort((a, b) => b.total_over_decode - a.total_over_decode)[0]!;
    return worst;
  });
  return { bench: 'omr', questions: 150, runs: order.runs, dpi, cases };
};
