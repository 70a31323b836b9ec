// What a schema has against a JSON value, by field, in words for whoever wrote the file.
import * as v from 'valibot';

export interface FieldError {
  /** where in the JSON: `fields.2.origin.0`; '' for the whole */
  field: string;
  message: string;
}

export const fieldErrors = (issues: readonly v.BaseIssue<unknown>[]): FieldError[] =>
  issues.map((issue) => ({ field: v.getDotPath(issue) ?? '', message: inWords(issue) }));

/** An object's own issue about one of its fields says `Invalid key`, which is no word about an exam's key. */
const inWords = ({ type, expected, received, path, message }: v.BaseIssue<unknown>): string => {
  if (!path || !/^(strict_|loose_)?object$/.test(type) || !message.startsWith('Invalid key')) return message;
  if (expected === 'never') return 'there is no such field';
  return received === 'undefined' ? 'is missing' : message;
};
