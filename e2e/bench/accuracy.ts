// `bench -- accuracy --pages N --seed S [--level L]`: worn sheets of 150 questions through JPEG and the whole engine, at the
// three levels. A field that is wrong and not flagged is a silent error; confidence is compared with what was observed.
import { parseArgs } from 'node:util';
import { decodeGray, encodeJpeg } from '../../server/adapters/decode.ts';
import { type Level, wornSheet } from '../../shared/corpus/levels.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import { BUILT_IN, builtIn } from '../../shared/template/built-in.ts';

/** Edges of the bands in which confidence is judged. */
const BANDS = [0, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.01] as const;
/** Flags by which a field goes to a person. */
const SENT = new Set(['doubtful', 'faint', 'erased', 'outside', 'tick', 'scribble']);
const DPI = 200;

interface Band {
  from: number;
  to: number;
  fields: number;
  errors: number;
  predicted: number;
}

export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pages: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      level: { type: 'string' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    },
  });
  const [pages, seed] = [Number(values.pages), Number(values.seed)];
  if (!Number.isInteger(pages) || pages < 1 || !Number.isInteger(seed))
    throw new Error('--pages and --seed are numbers');
  const template = builtIn('sheaf-150')!;
  const bands: Band[] = BANDS.slice(1).map((to, i) => ({ from: BANDS[i]!, to, fields: 0, errors: 0, predicted: 0 }));
  const levels: object[] = [];
  for (const level of ([1, 2, 3] as const).filter(
    (one) => values.level === undefined || Number(values.level) === one,
  )) {
    levels.push(await measure(level));
  }
  return { bench: 'accuracy', pages, seed, dpi: DPI, levels, calibration: bands.map(judged) };

  async function measure(level: Level): Promise<object> {
    const told = {
      level,
      pages,
      questions: 0,
      silent_errors: 0,
      errors: 0,
      flagged: 0,
      page_failures: 0,
      pages_lost: 0,
    };
    for (let i = 0; i < pages; i++) {
      const sheet = wornSheet(template, level, seed * 100_003 + i, DPI);
      const decoded = await decodeGray(await encodeJpeg(sheet.image, sheet.jpeg));
      if (!decoded.ok) throw new Error(decoded.reason);
      const reading = readPage(decoded.image, BUILT_IN);
      const say = (text: string): void => {
        if (values.verbose) process.stderr.write(`level ${level} page ${i} [${sheet.effects.join(', ')}]: ${text}\n`);
      };
      if (reading.kind !== 'sheet' || reading.template_id !== template.id) {
        told.page_failures++;
        // called blank, a cover or another template, nobody would look for it
        if (reading.kind !== 'foreign') told.pages_lost++;
        say(reading.kind === 'foreign' ? reading.reason : reading.kind);
        continue;
      }
      let [flagged, errors, silent] = [0, 0, 0];
      for (const field of reading.fields) {
        told.questions++;
        const sent = field.flags.some((flag) => SENT.has(flag));
        const wrong = field.value !== sheet.truth.get(field.label);
        if (sent) flagged++;
        if (wrong) errors++;
        if (wrong && !sent) {
          silent++;
          say(
            `${field.label} is ${sheet.truth.get(field.label) || 'blank'}, read ${field.value || 'blank'} (${field.confidence})`,
          );
        }
        const band = bands.find(({ to }) => field.confidence < to)!;
        band.fields++;
        band.predicted += 1 - field.confidence;
        if (wrong) band.errors++;
      }
      told.flagged += flagged;
      told.errors += errors;
      told.silent_errors += silent;
      if (flagged > 15) say(`${flagged} flagged, ${errors} wrong, ${silent} silent; ${reading.flags.join(' ')}`);
      if (i % 50 === 49) process.stderr.write(`${JSON.stringify(told)}\n`);
    }
    return { ...told, flagged_share: Math.round((told.flagged / Math.max(1, told.questions)) * 1e5) / 1e5 };
  }
};

/** Predicted and observed errors of a band; where fewer than 20 are expected, the upper bound of what may be true. */
const judged = ({ from, to, fields, errors, predicted }: Band): object => {
  // 95 % bound on a Poisson mean, by its normal approximation on the square root
  const upper = (Math.sqrt(errors + 1) + 0.82) ** 2;
  const round = (value: number): number => Math.round(value * 1e6) / 1e6;
  const share = (value: number): number => (fields === 0 ? 0 : round(value / fields));
  const within =
    predicted >= 20
      ? errors <= 2 * predicted && errors >= predicted / 2
      : fields === 0 || upper <= Math.max(2 * predicted, 4);
  return {
    from,
    to: Math.min(1, to),
    fields,
    predicted: share(predicted),
    observed: share(errors),
    upper: share(upper),
    within,
  };
};
