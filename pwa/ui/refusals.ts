// What the server refused, said in the language of the app by its code. The server's own sentence is English and names the
// very thing that is wrong, so it is shown beneath and not left out.
import { PROBLEMS, type ProblemCode } from '../../shared/protocol/problem.ts';
import { define, language } from './language.ts';

const CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** A sentence for each code. In English nobody reads them: there the detail says the same and more. */
export const refusalWords = define(
  'refusals',
  Object.fromEntries(CODES.map((code) => [code, PROBLEMS[code].title])) as Record<ProblemCode, string>,
);
export type RefusalWords = typeof refusalWords;

export interface Refusal {
  words: string;
  /** the server's own sentence, where `words` are not it */
  beneath: string | null;
}

/** @param code what the server answered, or one of our own that has no sentence; null when it gave none */
export function refusal(code: string | null, detail: string): Refusal {
  const words = CODES.find((known) => known === code);
  return words === undefined || language.get() === 'en'
    ? { words: detail, beneath: null }
    : { words: `${refusalWords()[words]}.`, beneath: detail };
}

/** Both in one text, on two lines; English keeps its direction among Arabic (FSI and PDI). */
export const beneath = (line: string | null): string => (line === null ? '' : `\n\u2068${line}\u2069`);
export const refusalText = (code: string | null, detail: string): string => {
  const said = refusal(code, detail);
  return `${said.words}${beneath(said.beneath)}`;
};
