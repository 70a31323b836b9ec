// `npm run -s bench -- NAME [options]`: measurements of the built product. Each prints one JSON object last, and fails
// when it could not measure.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** What every file beside this one exports. */
export interface Bench {
  /** Measures, telling its progress on stderr. @returns the object that is printed; throws when it could not measure */
  run(args: readonly string[]): Promise<object>;
}

const [name = '', ...args] = process.argv.slice(2);
const file = new URL(`./${name}.js`, import.meta.url);
if (!/^[a-z]+$/.test(name) || name === 'main' || !existsSync(file)) {
  const known = (await readdir(new URL('.', import.meta.url)))
    .map((entry) => /^([a-z]+)\.js$/.exec(entry)?.[1])
    .filter((known) => known !== undefined && known !== 'main');
  process.stderr.write(`There is no bench ${name || '(none named)'}. Known: ${known.join(', ')}.\n`);
  process.exit(2);
}
const bench = (await import(file.href)) as Bench;
process.stdout.write(`${JSON.stringify(await bench.run(args), null, args.includes('--json') ? 0 : 2)}\n`);
