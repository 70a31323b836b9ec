// How answers are written in exports: what is left blank, could not be read or does not count is told apart, and never
// an empty string.
export const OMITTED = '-';
/** The sheet has no such question, or could not be read at all. */
export const NOT_ADMINISTERED = '.';
/** The question was taken out of the score. */
export const VOID = 'V';
