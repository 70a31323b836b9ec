// `bench -- accuracy --pages N --seed S [--levels 1,2,3] [--questions Q] [--keep FILE] [--minutes M]`: worn sheets of 150
// questions through JPEG and the whole engine, at the three levels. A field that is wrong and not flagged is a silent error;
// confidence is compared with what was observed, by the rule that docs/accuracy.md gives.
import { parseArgs } from 'node:util';
import type { Level } from '../../shared/corpus/levels.ts';
import { poissonQuantile } from '../../shared/poisson.ts';
import { askedBy, seeWorn, WORN_OPTIONS } from './worn.ts';
import type { SeenPage } from './worn-pages.ts';

/** Edges of the bands in which confidence is judged. */
const BANDS = [0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.01] as const;
/** Flags by which a field goes to a person. */
const SENT = new Set(['doubtful', 'faint', 'erased', 'outside', 'tick', 'scribble']);
const DPI = 200;
/** Shares of all questions that an office may choose to review. */
const REVIEWED = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05] as const;

/** What one page came to. */
interface PageTally {
  effects: readonly string[];
  /** why it was not read as the sheet it is */
  failure: string | null;
  lost: boolean;
  questions: number;
  flagged: number;
  errors: number;
  /** what was wrong and not flagged, in words */
  silent: readonly string[];
  /** of each confidence, how many questions had it and how many of them were wrong */
  sure: readonly Sure[];
}
type Sure = readonly [confidence: number, questions: number, wrong: number];

const tallyOf = ({ effects, failure, lost, fields }: SeenPage): PageTally => {
  const sure = new Map<number, [number, number]>();
  const silent: string[] = [];
  let [flagged, errors] = [0, 0];
  for (const { label, truth, value, confidence, flags } of fields) {
    const sent = flags.some((flag) => SENT.has(flag));
    const wrong = value !== truth;
    if (sent) flagged++;
    if (wrong) errors++;
    if (wrong && !sent) silent.push(`${label} is ${truth || 'blank'}, read ${value || 'blank'} (${confidence})`);
    const [all, off] = sure.get(confidence) ?? [0, 0];
    sure.set(confidence, [all + 1, off + (wrong ? 1 : 0)]);
  }
  const counted = [...sure].map(([confidence, [all, wrong]]): Sure => [confidence, all, wrong]);
  return { effects, failure, lost, questions: fields.length, flagged, errors, silent, sure: counted };
};

export const run = async (args: readonly string[]): Promise<object> => {
  const { values } = parseArgs({
    args: [...args],
    options: { ...WORN_OPTIONS, questions: { type: 'string', default: '150' }, verbose: { type: 'boolean' } },
  });
  const asked = askedBy(values);
  const seed = Number(values.seed ?? '1');
  if (!Number.isInteger(seed)) throw new Error('--seed is a whole number');
  const seen = await seeWorn({ template: `sheaf-${values.questions}`, seed, dpi: DPI }, asked, tallyOf);
  if (values.verbose) {
    for (const { level, page, tally } of seen) {
      const said = [...(tally.failure === null ? [] : [tally.failure]), ...tally.silent];
      for (const text of said) {
        process.stderr.write(`level ${level} page ${page} [${tally.effects.join(', ')}]: ${text}\n`);
      }
    }
  }
  const sure = seen.flatMap(({ tally }) => tally.sure);
  const calibration = judge(sure);
  // printed all the same, but whoever calls it in a script must notice
  if (calibration.some(({ within }) => !within)) process.exitCode = 1;
  return {
    bench: 'accuracy',
    pages: asked.pages,
    seed,
    dpi: DPI,
    complete: seen.length === asked.pages * asked.levels.length,
    levels: asked.levels.map((level) =>
      totals(
        level,
        seen.filter((one) => one.level === level).map(({ tally }) => tally),
      ),
    ),
    calibration,
    review: reviewed(sure),
  };
};

const totals = (level: Level, pages: readonly PageTally[]): object => {
  const sum = (of: (page: PageTally) => number): number => pages.reduce((all, page) => all + of(page), 0);
  const [questions, flagged] = [sum((page) => page.questions), sum((page) => page.flagged)];
  return {
    level,
    pages: pages.length,
    questions,
    silent_errors: sum(({ silent }) => silent.length),
    errors: sum(({ errors }) => errors),
    flagged,
    page_failures: sum(({ failure }) => (failure === null ? 0 : 1)),
    pages_lost: sum(({ lost }) => (lost ? 1 : 0)),
    flagged_share: Math.round((flagged / Math.max(1, questions)) * 1e5) / 1e5,
  };
};

interface Judged {
  from: number;
  to: number;
  /** mean chance of an error, and the share of errors */
  predicted: number;
  observed: number;
  questions: number;
  errors: number;
  /** errors that the confidences add up to */
  expected: number;
  /** up to this share of errors the prediction stands */
  upper: number;
  within: boolean;
}

/** What the office may be told: reviewing the least sure share of all questions, how many of 10,000 stay wrong, as predicted
 *  and as observed. Of questions that are equally sure an even share is reviewed. */
const reviewed = (sure: readonly Sure[]): object[] => {
  const all = sure.reduce((sum, [, questions]) => sum + questions, 0);
  const order = [...sure].sort((a, b) => b[0] - a[0]);
  return REVIEWED.map((share) => {
    let left = all * (1 - share);
    let [predicted, observed] = [0, 0];
    for (const [confidence, questions, wrong] of order) {
      const taken = Math.min(left, questions);
      predicted += taken * (1 - confidence);
      observed += questions === 0 ? 0 : (wrong * taken) / questions;
      left -= taken;
    }
    const per10000 = (value: number): number => Math.round((value / Math.max(1, all)) * 1e6) / 100;
    return { share, predicted_per_10000: per10000(predicted), observed_per_10000: per10000(observed) };
  });
};

/** Errors expected in a band from which on a factor of two tells something. */
const ENOUGH = 20;

/** Where 20 errors or more are expected, a factor of two either way is allowed; where fewer are, no more than 95 % of chances
 *  make of just as many. */
const judge = (sure: readonly Sure[]): Judged[] =>
  BANDS.slice(1).map((to, i) => {
    const from = BANDS[i]!;
    let [questions, errors, expected] = [0, 0, 0];
    for (const [confidence, all, wrong] of sure) {
      if (confidence < from || confidence >= to) continue;
      questions += all;
      errors += wrong;
      expected += all * (1 - confidence);
    }
    const upper = expected >= ENOUGH ? 2 * expected : poissonQuantile(expected, 0.95);
    const share = (value: number): number => (questions === 0 ? 0 : Math.round((value / questions) * 1e7) / 1e7);
    return {
      from,
      to: Math.min(1, to),
      predicted: share(expected),
      observed: share(errors),
      questions,
      errors,
      expected: Math.round(expected * 100) / 100,
      upper: share(upper),
      within: errors <= upper && (expected < ENOUGH || errors >= expected / 2),
    };
  });
