// `omr draw`: sheets and covers as images, blank for printing or filled from a seed, with what they hold beside them.
import fs from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { drawCover, drawSheet } from '../../shared/corpus/draw.ts';
import { seeded } from '../../shared/corpus/random.ts';
import { randomContent } from '../../shared/corpus/sample.ts';
import { layOut, optionsOf } from '../../shared/template/geometry.ts';
import type { Template } from '../../shared/template/template.ts';
import { encodeJpeg } from '../adapters/decode.ts';
import { Mistake } from './omr-mistake.ts';
import { loadTemplate } from './omr-template.ts';

/** JPEG quality of a good scanner. */
const QUALITY = 85;

/** @returns what to say of it */
export const draw = async (args: string[]): Promise<string> => {
  const { values } = parseArgs({
    args,
    options: {
      template: { type: 'string' },
      out: { type: 'string' },
      count: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      dpi: { type: 'string', default: '200' },
      blank: { type: 'boolean', default: false },
    },
  });
  if (values.template === undefined) throw new Mistake('--template is missing');
  if (values.out === undefined) throw new Mistake('--out is missing');
  const { template } = await loadTemplate(values.template);
  const count = wholeNumber('count', values.count, 1, 100_000);
  const seed = wholeNumber('seed', values.seed, 0, 2 ** 31);
  const dpi = wholeNumber('dpi', values.dpi, 50, 600);
  await fs.mkdir(values.out, { recursive: true });
  const truth: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const file = `${String(i + 1).padStart(4, '0')}.jpg`;
    const own = seed * 1_000_003 + i;
    if (template.kind === 'cover') {
      const task_id = String(10_000_000 + (own % 90_000_000));
      await fs.writeFile(path.join(values.out, file), await encodeJpeg(drawCover(task_id, dpi), QUALITY));
      truth.push({ file, kind: 'cover', task_id });
      continue;
    }
    const content = values.blank
      ? { roll: '', variant: '', answers: [] }
      : { ...randomContent(template, own), ...otherContent(template, own) };
    const page = drawSheet(template, { ...content, seed: own }, dpi);
    await fs.writeFile(path.join(values.out, file), await encodeJpeg(page, QUALITY));
    truth.push({ file, kind: 'sheet', template_id: template.id, template_version: template.version, ...content });
  }
  const list = path.join(values.out, 'truth.json');
  await fs.writeFile(`${list}.part`, `${JSON.stringify(truth, null, 1)}\n`);
  await fs.rename(`${list}.part`, list);
  return `${count} page${count === 1 ? '' : 's'} of ${template.id} in ${values.out}`;
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
