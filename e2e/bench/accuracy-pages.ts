// A thread of `bench -- accuracy`: every so many-th worn page, through JPEG and the whole engine, each told to its parent.
import { parentPort, workerData } from 'node:worker_threads';
import { decodeGray, encodeJpeg } from '../../server/adapters/decode.ts';
import { type Level, wornSheet } from '../../shared/corpus/levels.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import { BUILT_IN, builtIn } from '../../shared/template/built-in.ts';

export interface Errand {
  template: string;
  level: Level;
  seed: number;
  dpi: number;
  /** pages first, first + step, … below pages */
  first: number;
  step: number;
  pages: number;
}

export interface SeenField {
  label: string;
  truth: string;
  value: string;
  confidence: number;
  flags: readonly string[];
}

export interface SeenPage {
  page: number;
  effects: readonly string[];
  /** why it was not read as the sheet it is */
  failure: string | null;
  /** not read, and nobody would look for it */
  lost: boolean;
  flags: readonly string[];
  fields: SeenField[];
}

/** Seeds of different runs share no page: one run has fewer than this many. */
export const SEED_STRIDE = 100_003;

const look = async ({ template: id, level, seed, dpi }: Errand, page: number): Promise<SeenPage> => {
  const template = builtIn(id)!;
  const { image, jpeg, truth, effects } = wornSheet(template, level, seed * SEED_STRIDE + page, dpi);
  const decoded = await decodeGray(await encodeJpeg(image, jpeg));
  if (!decoded.ok) throw new Error(decoded.reason);
  const reading = readPage(decoded.image, BUILT_IN);
  const { flags } = reading;
  if (reading.kind !== 'sheet' || reading.template_id !== id) {
    const foreign = reading.kind === 'foreign';
    const failure = foreign ? reading.reason : reading.kind === 'sheet' ? reading.template_id : reading.kind;
    // called blank, a cover or another template, nobody would look for it
    return { page, effects, failure, lost: !foreign, flags, fields: [] };
  }
  const fields = reading.fields.map((field) => ({ ...field, truth: truth.get(field.label)! }));
  return { page, effects, failure: null, lost: false, flags, fields };
};

if (parentPort) {
  const errand = workerData as Errand;
  for (let page = errand.first; page < errand.pages; page += errand.step) {
    parentPort.postMessage(await look(errand, page));
  }
}
