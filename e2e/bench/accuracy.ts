// `bench -- accuracy --pages N --seed S [--level L] [--questions Q]`: worn sheets of 150 questions through JPEG and the
// whole engine, at the three levels, on as many threads as there are cores. A field that is wrong and not flagged is a
// silent error; confidence is compared with what was observed.
import { parseArgs } from 'node:util';
import type { Level } from '../../shared/corpus/levels.ts';
import { seeWorn } from './accuracy-threads.ts';

/** Edges of the bands in which confidence is judged. */
const BANDS = [0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.01] as const;
/** Flags by which a field goes to a person. */
const SENT = new Set(['doubtful', 'faint', 'erased', 'outside', 'tick', 'scribble']);
const DPI = 200;
const LEVELS = [1, 2, 3] as const;
/** Shares of all questions that an office may choose to review. */
const REVIEWED = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05] as const;

interface Band {
  from: number;
  to: number;
  questions: number;
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
      questions: { type: 'string', default: '150' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    },
  });
  const [pages, seed] = [Number(values.pages), Number(values.seed)];
  if (!Number.isInteger(pages) || pages < 1 || !Number.isInteger(seed))
    throw new Error('--pages and --seed are numbers');
  const bands: Band[] = BANDS.slice(1).map((to, i) => ({ from: BANDS[i]!, to, questions: 0, errors: 0, predicted: 0 }));
  const levels: object[] = [];
  const judgedQuestions: { confidence: number; wrong: boolean }[] = [];
  const started = performance.now();
  const wanted = LEVELS.filter((one) => values.level === undefined || Number(values.level) === one);
  for (const level of wanted) levels.push(await measure(level));
  const minutes = (performance.now() - started) / 60_000;
  const calibration = bands.map(judged);
  // printed all the same, but whoever calls it in a script must notice
  if (calibration.some(({ within }) => !within)) process.exitCode = 1;
  return {
    bench: 'accuracy',
    pages,
    seed,
    dpi: DPI,
    pages_per_minute: Math.round((pages * wanted.length) / minutes),
    levels,
    calibration,
    review: reviewed(judgedQuestions),
  };

  async function measure(level: Level): Promise<object> {
    const told = {
      level,
      pages: 0,
      questions: 0,
      silent_errors: 0,
      errors: 0,
      flagged: 0,
      page_failures: 0,
      pages_lost: 0,
    };
    await seeWorn({ template: `sheaf-${values.questions}`, level, seed, dpi: DPI, pages }, (seen) => {
      const say = (text: string): void => {
        if (!values.verbose) return;
        process.stderr.write(`level ${level} page ${seen.page} [${seen.effects.join(', ')}]: ${text}\n`);
      };
      told.pages++;
      if (told.pages % 100 === 0) process.stderr.write(`${JSON.stringify(told)}\n`);
      if (seen.failure !== null) {
        told.page_failures++;
        if (seen.lost) told.pages_lost++;
        say(seen.failure);
        return;
      }
      let [flagged, errors, silent] = [0, 0, 0];
      for (const { label, truth, value, confidence, flags } of seen.fields) {
        const sent = flags.some((flag) => SENT.has(flag));
        const wrong = value !== truth;
        if (sent) flagged++;
        if (wrong) errors++;
        if (wrong && !sent) {
          silent++;
          say(`${label} is ${truth || 'blank'}, read ${value || 'blank'} (${confidence})`);
        }
        const band = bands.find(({ to }) => confidence < to)!;
        band.questions++;
        band.predicted += 1 - confidence;
        if (wrong) band.errors++;
        judgedQuestions.push({ confidence, wrong });
      }
      told.questions += seen.fields.length;
      told.flagged += flagged;
      told.errors += errors;
      told.silent_errors += silent;
      if (flagged > 15) say(`${flagged} flagged, ${errors} wrong, ${silent} silent; ${seen.flags.join(' ')}`);
    });
    return { ...told, flagged_share: Math.round((told.flagged / Math.max(1, told.questions)) * 1e5) / 1e5 };
  }
};

interface Judged {
  from: number;
  to: number;
  /** mean chance of an error, and the share of errors */
  predicted: number;
  observed: number;
  questions: number;
  errors: number;
  /** of the share of errors, with 95 % confidence */
  upper: number;
  /** predicted and observed differ by a factor of two at most, or the bound does not speak against it */
  within: boolean;
}

/** What the office may be told: reviewing the least sure share of all questions, how many of 10,000 stay wrong, as predicted
 *  and as observed. */
const reviewed = (questions: readonly { confidence: number; wrong: boolean }[]): object[] => {
  const order = [...questions].sort((a, b) => a.confidence - b.confidence);
  return REVIEWED.map((share) => {
    const rest = order.slice(Math.round(share * order.length));
    const per10000 = (value: number): number => Math.round((value / Math.max(1, order.length)) * 1e6) / 100;
    return {
      share,
      predicted_per_10000: per10000(rest.reduce((sum, { confidence }) => sum + 1 - confidence, 0)),
      observed_per_10000: per10000(rest.filter(({ wrong }) => wrong).length),
    };
  });
};

/** Predicted and observed errors of a band; where fewer than 20 are expected, the upper bound of what may be true. */
const judged = ({ from, to, questions, errors, predicted }: Band): Judged => {
  // 95 % bound on a Poisson mean, by its normal approximation on the square root
  const upper = (Math.sqrt(errors + 1) + 0.82) ** 2;
  const round = (value: number): number => Math.round(value * 1e6) / 1e6;
  const share = (value: number): number => (questions === 0 ? 0 : round(value / questions));
  const within =
    predicted >= 20
      ? errors <= 2 * predicted && errors >= predicted / 2
      : questions === 0 || upper <= Math.max(2 * predicted, 4);
  return {
    from,
    to: Math.min(1, to),
    predicted: share(predicted),
    observed: share(errors),
    questions,
    errors,
    upper: share(upper),
    within,
  };
};
