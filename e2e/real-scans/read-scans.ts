// Reads the real scans of ../shared/data end to end, each through the template of its form, and has the independent
// counter there (score.mjs) compare them with the known answers.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decodeGray } from '../../server/adapters/decode.ts';
import { turn } from '../../shared/corpus/wear.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { type Form, formTemplate, type Layout } from './form-template.ts';
import { ownTemplates } from './own-templates.ts';

export const SOURCES = ['open-mcr', 'omrchecker', 'formscanner', 'amc'] as const;
export type Source = (typeof SOURCES)[number];

const root = (): string => {
  // from the sources or from what is built of them in dist/
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder);
  return folder;
};
export const DATA = path.join(root(), '..', 'shared', 'data');

export type Prediction = Record<string, { value: string; flagged: boolean }>;

interface Layouts {
  layouts: Record<string, Layout>;
  pages: Record<string, { layout: string; ambiguous: [string, string][] }>;
}

const readJson = async <T>(file: string): Promise<T> => JSON.parse(await readFile(file, 'utf8')) as T;

export interface Scans {
  source: Source;
  images: string[];
  expected: Record<string, Record<string, string>>;
  form(image: string): Form;
  ambiguous(image: string): Set<string>;
  bytes(image: string): Promise<Buffer>;
}

export const openScans = async (source: Source): Promise<Scans> => {
  const folder = path.join(DATA, 'scans', source);
  const { layouts, pages } = await readJson<Layouts>(path.join(folder, 'layout.json'));
  const expected = await readJson<Scans['expected']>(path.join(folder, 'expected.json'));
  const own = await ownTemplates(folder);
  const forms = new Map<string, Form>();
  return {
    source,
    images: Object.keys(expected),
    expected,
    form: (image) => {
      const left = own(image);
      if (left) return left;
      const id = pages[image]!.layout;
      const form = forms.get(id) ?? formTemplate(layouts[id]!, source === 'amc');
      forms.set(id, form);
      return form;
    },
    ambiguous: (image) => new Set(pages[image]!.ambiguous.map(([label, value]) => `${label}\u0001${value}`)),
    bytes: (image) => readFile(path.join(folder, image)),
  };
};

/** Flags that send a field to a person; blank says what it is, not that it is doubtful. */
const SENT = new Set(['doubtful', 'faint', 'erased', 'outside', 'tick', 'scribble']);

/** Reads one image; null when it was not read as a sheet. @param degrees the pixels are turned by before */
export const readScan = async (
  scans: Scans,
  image: string,
  degrees: 0 | 90 | 180 | 270 = 0,
): Promise<{ reading: Reading; prediction: Prediction | null }> => {
  const decoded = await decodeGray(await scans.bytes(image));
  if (!decoded.ok) throw new Error(`${image}: ${decoded.reason}`);
  const { template, labels } = scans.form(image);
  const reading = readPage(turn(decoded.image, degrees), [template]);
  if (reading.kind !== 'sheet') return { reading, prediction: null };
  const prediction: Prediction = {};
  for (const { label, value, flags } of reading.fields) {
    const own = labels.get(label)!;
    const values = value === '' ? [] : value.split('|').map((option) => own.options.get(option)!);
    prediction[own.label] = { value: values.join('|'), flagged: flags.some((flag) => SENT.has(flag)) };
  }
  return { reading, prediction };
};

export interface Score {
  images: number;
  unread_pages: number;
  fields: number;
  flagged: number;
  wrong: number;
  silent: number;
}

/** What score.mjs says of these predictions, its last line parsed and the lines before it as they are. */
export const score = async (
  source: Source,
  predictions: Record<string, Prediction>,
): Promise<Score & { lines: string[] }> => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sheaf-scans-'));
  try {
    const file = path.join(folder, 'predictions.json');
    await writeFile(file, JSON.stringify(predictions));
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [
      path.join(DATA, 'score.mjs'),
      path.join(DATA, 'scans', source),
      file,
    ]);
    const lines = stdout.trim().split('\n');
    return { ...(JSON.parse(lines.pop()!) as Score), lines };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Fields of one image that were read wrong, silently and not, and how many were flagged. */
export const tally = (
  scans: Scans,
  image: string,
  prediction: Prediction | null,
): { fields: number; flagged: number; caught: number; silent: number } => {
  const wanted = Object.entries(scans.expected[image]!);
  if (!prediction) return { fields: wanted.length, flagged: wanted.length, caught: wanted.length, silent: 0 };
  const ambiguous = scans.ambiguous(image);
  const all = { fields: wanted.length, flagged: 0, caught: 0, silent: 0 };
  for (const [label, truth] of wanted) {
    const got = prediction[label];
    if (got?.flagged) all.flagged++;
    const [want, have] = [truth, got?.value ?? ''].map((text) => new Set(text.split('|').filter(Boolean)));
    const differs = [...new Set([...want!, ...have!])].some(
      (value) => want!.has(value) !== have!.has(value) && !ambiguous.has(`${label}\u0001${value}`),
    );
    if (!differs) continue;
    if (got?.flagged) all.caught++;
    else all.silent++;
  }
  return all;
};
