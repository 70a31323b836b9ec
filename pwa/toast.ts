// What was just done and may be undone: outlives the screen on which it was done.
import { signal } from '@preact/signals';

export interface Said {
  words: string;
  /** returns in words what went wrong, or null */
  undo?: () => Promise<string | null>;
}
export const toast = signal<Said | null>(null);
