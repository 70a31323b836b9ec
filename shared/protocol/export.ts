// How answers are written in exports: what is left blank, could not be read or does not count is told apart, and never
// an empty string.
export const OMITTED = '-';
