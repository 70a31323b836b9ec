// The answers of a sheet as they count: what was read, with people's decisions over it, and whose word each is.
import type { AnswerRow } from '../../shared/protocol/batch.ts';
import type { Correction } from '../../shared/protocol/correction.ts';
import { type DecidedBy, rulings } from '../../shared/review.ts';
import type { AnswersTable } from '../adapters/database.ts';

export interface FinalAnswer {
  question: number;
  value: string;
  /** by the machine, whatever was decided */
  read: string;
  confidence: number;
  flags: AnswerRow['flags'];
  source: DecidedBy;
  /** who decided, and when; null for the machine */
  decided_by: string | null;
  decided_at: string | null;
  /** people say different things, and nobody has settled it */
  conflict: boolean;
}

export function finalAnswers(answers: readonly AnswersTable[], corrections: readonly Correction[]): FinalAnswer[] {
  const ruled = rulings(corrections);
  return answers.map(({ question, value: read, confidence, flags }) => {
    const ruling = ruled.get(`q${question}`);
    const decided = ruling && ruling.value !== null ? ruling : null;
    return {
      question,
      value: decided?.value ?? read,
      read,
      confidence,
      flags: (flags ? flags.split(' ') : []) as AnswerRow['flags'],
      source: decided?.by ?? 'machine',
      decided_by: decided?.standing.username ?? null,
      decided_at: decided?.standing.at ?? null,
      conflict: (ruling?.against.length ?? 0) > 0,
    };
  });
}
