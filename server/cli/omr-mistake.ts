/** A mistake in the command line or in a file it names, told without a stack; exit code 2. */
export class Mistake extends Error {}
