// Schedules that have failed once, as short as they could be made: they are run first.
import type { Command } from './schedules.ts';

export const FOUND: readonly (readonly Command[])[] = [];
