// `omr draw`: sheets and covers as images, blank for printing or filled from a seed, with what they hold beside them.
import fs from 'node:fs/promises';
import path from 'node:path';
import { drawCover, drawSheet } from '../../shared/corpus/draw.ts';
import { seeded } from '../../shared/corpus/random.ts';
import { randomContent } from '../../shared/corpus/sample.ts';
import type { GrayImage } from '../../shared/omr/image.ts';
import { layOut, optionsOf } from '../../shared/template/geometry.ts';
import type { Template } from '../../shared/template/template.ts';
import { encodeJpeg } from '../adapters/decode.ts';
import { Mistake, whyRefused } from './omr-mistake.ts';
import { readOptions } from './omr-options.ts';
import { CHOICES, loadTemplate } from './omr-template.ts';

/** JPEG quality of a good scanner. */
const QUALITY = 85;

/** What the pages hold, beside them. */
const TRUTH = 'truth.json';

/** @returns what to say of it */
export const draw = async (args: string[]): Promise<string> => {
  const { values } = readOptions('draw', {
    args,
    options: {
      template: { type: 'string' },
      out: { type: 'string' },
      count: { type: 'string' },
      task: { type: 'string', multiple: true },
      seed: { type: 'string', default: '1' },
      dpi: { type: 'string', default: '200' },
      blank: { type: 'boolean', default: false },
    },
  });
  if (values.template === undefined) throw new Mistake(`--template is missing: ${CHOICES}`);
  if (values.out === undefined) throw new Mistake('--out is missing: name the folder for the pages');
  const { template } = await loadTemplate(values.template);
  const tasks = tasksNamed(template, values);
  const count = tasks?.length ?? wholeNumber('count', values.count ?? '1', 1, 100_000);
  const seed = wholeNumber('seed', values.seed, 0, 2 ** 31);
  const dpi = wholeNumber('dpi', values.dpi, 50, 600);
  const nameOf = (i: number): string => `${String(i + 1).padStart(4, '0')}.jpg`;
  await makeFolder(values.out);
  const there = new Set(await fs.readdir(values.out));
  const inTheWay = [TRUTH, ...Array.from({ length: count }, (_, i) => nameOf(i))].find((file) => there.has(file));
  if (inTheWay !== undefined)
    throw new Mistake(`--out ${values.out} has a ${inTheWay} already: name another folder, or remove what is in it`);
  const write = async (file: string, image: GrayImage): Promise<void> =>
    fs.writeFile(path.join(values.out!, file), withDensity(await encodeJpeg(image, QUALITY), dpi));
  const truth: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const file = nameOf(i);
    const own = seed * 1_000_003 + i;
    if (template.kind === 'cover') {
      const task_id = tasks?.[i] ?? String(10_000_000 + (own % 90_000_000));
      await write(file, drawCover(task_id, dpi));
      truth.push({ file, kind: 'cover', task_id });
      continue;
    }
    const content = values.blank
      ? { roll: '', variant: '', answers: [] }
      : { ...randomContent(template, own), ...otherContent(template, own) };
    await write(file, drawSheet(template, { ...content, seed: own }, dpi));
    truth.push({ file, kind: 'sheet', template_id: template.id, template_version: template.version, ...content });
  }
  const list = path.join(values.out, TRUTH);
  await fs.writeFile(`${list}.part`, `${JSON.stringify(truth, null, 1)}\n`);
  await fs.rename(`${list}.part`, list);
  return `${count} page${count === 1 ? '' : 's'} of ${template.id} in ${values.out}`;
};

/** The tasks whose covers are drawn; undefined when none is named. */
const tasksNamed = (
  template: Template,
  { task, count }: { task?: string[]; count?: string },
): readonly string[] | undefined => {
  if (!task) return undefined;
  if (template.kind !== 'cover')
    throw new Mistake(`--task is for covers: a sheet of ${template.id} names no task, draw it with --count`);
  if (count !== undefined) throw new Mistake('--count is not needed beside --task: each --task is a cover');
  const wrong = task.find((id) => !/^\d{8}$/.test(id));
  if (wrong !== undefined) throw new Mistake(`--task has 8 digits, like 11000003, not ${wrong}`);
  return task;
};

/** Puts a JFIF head with the resolution first, which the encoder leaves out: printing at actual size is then printing
 *  at the size of the paper. ITU-T T.871, 10.1 */
const withDensity = (jpeg: Buffer, dpi: number): Buffer => {
  const head = Buffer.from('ffd8 ffe0 0010 4a46494600 0102 01 0000 0000 00 00'.replaceAll(' ', ''), 'hex');
  head.writeUInt16BE(dpi, 14);
  head.writeUInt16BE(dpi, 16);
  return Buffer.concat([head, jpeg.subarray(2)]);
};

export const makeFolder = async (folder: string): Promise<void> => {
  await fs.mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new Mistake(`--out ${folder} cannot be made: ${whyRefused(error)}`);
  });
};

/** Marks for the fields that are neither roll number, booklet nor question. */
const otherContent = (template: Template, seed: number): { other?: Record<string, string> } => {
  const random = seeded(seed);
  const other = layOut(template).fields.flatMap((field): [string, string][] => {
    const { label, type, groups } = field;
    if ((label === 'roll' && type === 'grid') || label === 'variant' || /^q\d+$/.test(label)) return [];
    return [[label, groups.map((_, i) => random.pick(optionsOf(field, i))).join('')]];
  });
  return other.length > 0 ? { other: Object.fromEntries(other) } : {};
};

const wholeNumber = (name: string, text: string, least: number, most: number): number => {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < least || value > most) {
    throw new Mistake(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
  }
  return value;
};
