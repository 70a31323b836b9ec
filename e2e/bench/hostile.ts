// `bench -- hostile [--images 1000] [--seed 1]`: damaged and hostile files through the command line: each must end as a
// reading or as a failure with a reason, in bounded memory.
import { parseArgs } from 'node:util';
import { runHostile } from '../hostile/run.ts';

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      images: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const seen = await runHostile(Number(values.images), Number(values.seed));
  if (seen.unsaid.length > 0 || seen.unnamed.length > 0) throw new Error(JSON.stringify(seen));
  return seen;
}
