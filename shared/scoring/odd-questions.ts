// Questions whose accepted answer does not look like one: more of the best candidates chose another. The usual sign of a
// slip in the key, before anybody's score depends on it.
import type { KeyContent, KeyImpact } from '../protocol/key.ts';
import { scorer } from './score.ts';

export interface Answered {
  /** the booklet's list that scores the sheet */
  list: string;
  score: number;
  values: readonly (string | null)[];
}

/** The best 27 % by score: the share with which upper and lower groups of a test are compared (Kelley 1939). */
const BEST = 0.27;
/** Below so many of the best, one candidate's choice says too much. */
const FEWEST = 10;
/** By how much another answer has to be ahead: chance alone between two equal answers, two deviations of it at fewest. */
const AHEAD = 2;

/** A part of the accepted marks speaks neither for nor against them. */
const JUDGED: ReadonlySet<string> = new Set(['correct', 'wrong', 'multiple']);

export function oddQuestions(key: KeyContent, sheets: readonly Answered[]): KeyImpact['anomalies'] {
  const found: KeyImpact['anomalies'] = [];
  const by = scorer(key);
  for (const variant of Object.keys(key.answers)) {
    const own = sheets.filter(({ list }) => list === variant).sort((a, b) => b.score - a.score);
    const best = own.slice(0, Math.ceil(own.length * BEST));
    if (best.length < FEWEST) continue;
    const counts = key.answers[variant]!.map(() => new Map<string, number>());
    const right = counts.map(() => 0);
    for (const { values } of best) {
      for (const { question, outcome } of by.judge({
        roll: null,
        variant,
        values,
        doubtful: 0,
        doubtful_unlisted: 0,
      })) {
        const at = counts[question - 1];
        const value = values[question - 1];
        if (!at || !value || !JUDGED.has(outcome)) continue;
        if (outcome === 'correct') right[question - 1] = right[question - 1]! + 1;
        else at.set(value, (at.get(value) ?? 0) + 1);
      }
    }
    counts.forEach((chosenBy, i) => {
      const [chosen, n] = [...chosenBy].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
      // With n against r and no preference, n − r has deviation √(n + r).
      if (n - right[i]! <= AHEAD * Math.sqrt(n + right[i]!)) return;
      found.push({
        variant,
        question: i + 1,
        accepted: key.answers[variant]![i]!,
        chosen,
        accepted_share: Math.round((right[i]! / best.length) * 1000) / 1000,
        chosen_share: Math.round((n / best.length) * 1000) / 1000,
      });
    });
  }
  return found;
}
