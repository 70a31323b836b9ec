/** A mistake in the command line or in a file it names, told without a stack; exit code 2. */
export class Mistake extends Error {}

/** Why the system refused a file, without the names that it was given behind the user's back. */
export const whyRefused = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file or folder',
    ENOTDIR: 'a part of its path is a file, not a folder',
    EISDIR: 'it is a folder',
    EEXIST: 'a file of that name is in the way',
    EACCES: 'you may not: look at its permissions',
    EPERM: 'you may not: look at its permissions',
    EROFS: 'the disk is read-only',
    ENOSPC: 'the disk is full',
  };
  return known[code] ?? (error instanceof Error ? error.message : String(error));
};
