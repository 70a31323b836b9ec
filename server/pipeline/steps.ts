// What every step is given, and what it may answer. A step never decides who comes next: flow.ts does.

import type { GrayImage } from '../../shared/omr/image.ts';
import type { Template } from '../../shared/template/template.ts';
import type { BatchesTable, Database } from '../adapters/database.ts';
import type { Announce } from '../progress/announce.ts';
import type { Blobs } from '../uploads/blobs.ts';

export type Decoded = { ok: true; image: GrayImage } | { ok: false; reason: string };

export interface StepDeps {
  db: Database;
  blobs: Blobs;
  announce: Announce;
  /** folder for a batch's passing files, the same for every process */
  workFolder: string;
  /** @param page of a file of several, from 0; such a file is refused without it */
  decode: (bytes: Buffer, page?: number) => Promise<Decoded>;
  countPages: (bytes: Buffer) => Promise<{ ok: true; pages: number } | { ok: false; reason: string }>;
  /** the newest version of every template */
  templates: () => Promise<readonly Template[]>;
}

/** `1 sheet`, `2 sheets` */
export const counted = (n: number, what: string): string => `${n} ${n === 1 ? what : `${what}s`}`;

/** done: go on; waiting: something else will wake the batch; failed: it ends, with this reason. */
export type Outcome = 'done' | 'waiting' | { failed: string };
/** Every step may run twice, and be killed on any line [P1]. */
export type Step = (batch: BatchesTable, deps: StepDeps) => Promise<Outcome>;
