// Schedules that have failed once, as short as they could be made: they are run first.
import type { Command } from './schedules.ts';

export const FOUND: readonly (readonly Command[])[] = [
  // Somebody who signs out and in again decides anew before the device has heard what they said before.
  [
    { does: 'decide', device: 1, sheet: 3, field: 4, value: 1 },
    { does: 'sync', device: 1, faults: [], killedAfter: null },
    { does: 'sign-out', device: 1 },
    { does: 'decide', device: 1, sheet: 3, field: 4, value: 0 },
    { does: 'key', correct: 1 },
  ],
];
