// The reading engine on the command line: `read` turns images, folders and ZIPs into a table, `draw` writes sheets with
// known answers. Parses arguments, calls, prints; every bad file is named and the rest still read.
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { drawCover, drawSheet } from '../../shared/corpus/draw.ts';
import { randomContent } from '../../shared/corpus/sample.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import { KeyContent } from '../../shared/protocol/key.ts';
import { BUILT_IN, builtIn, COVER } from '../../shared/template/built-in.ts';
import { parseTemplate, type Template } from '../../shared/template/template.ts';
import { decodeGray, encodeJpeg } from '../adapters/decode.ts';
import { pagesOf } from './omr-pages.ts';
import { type ReadFile, toCsv, toJsonLine } from './omr-table.ts';

const USAGE = `Usage:
  npm run -s omr -- read [--template FILE.json|ID] [--key KEY.json] [--out FILE.csv] [--json] PATHS…
      Reads images, folders and ZIPs: a CSV row (with --json a JSON line) for each page.
      Without --template every built-in sheet is tried: ${BUILT_IN.map(({ id }) => id).join(', ')}.
  npm run -s omr -- draw --template FILE.json|ID --out FOLDER [--count N] [--seed S] [--dpi D] [--blank]
      Writes sheets as JPEG, filled from the seed unless --blank, and truth.json with what they hold.
Exit code: 0 all well, 1 some files could not be read, 2 the command itself is wrong.
`;

/** A mistake in the command line or in a file it names, told without a stack. */
class Mistake extends Error {}

export interface Console {
  out(text: string): void;
  err(text: string): void;
}

/** Runs one command and resolves to the exit code. @param args those after `omr --` */
export const omr = async (args: readonly string[], console: Console): Promise<number> => {
  try {
    const [command, ...rest] = args;
    if (command === 'read') return await read(rest, console);
    if (command === 'draw') return await draw(rest, console);
    if (command === undefined || command === '--help' || command === 'help') {
      console.out(USAGE);
      return command === undefined ? 2 : 0;
    }
    throw new Mistake(`unknown command ${command}`);
  } catch (error) {
    const parseError = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
    if (!(error instanceof Mistake) && !parseError) throw error;
    console.err(`omr: ${error.message}\nomr: try npm run -s omr -- help\n`);
    return 2;
  }
};

const read = async (args: string[], console: Console): Promise<number> => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      template: { type: 'string' },
      key: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (positionals.length === 0) throw new Mistake('name the images, folders or ZIPs to read');
  const templates = values.template === undefined ? BUILT_IN : [await loadTemplate(values.template)];
  const key = values.key === undefined ? null : await loadKey(values.key);

  const files: ReadFile[] = [];
  let [bad, passedOver] = [0, 0];
  const pages = pagesOf(positionals, () => {
    passedOver++;
  });
  const lines: string[] = [];
  for await (const page of pages) {
    const decoded = page.ok ? await decodeGray(page.bytes) : page;
    const file: ReadFile = decoded.ok
      ? { file: page.name, ok: true, reading: readPage(decoded.image, templates) }
      : { file: page.name, ok: false, reason: decoded.reason };
    if (!file.ok) {
      bad++;
      console.err(`omr: ${file.file}: ${file.reason}\n`);
    }
    if (!values.json) files.push(file);
    else if (values.out === undefined) console.out(toJsonLine(file, key));
    else lines.push(toJsonLine(file, key));
  }
  if (!values.json) lines.push(toCsv(files, key));
  if (values.out === undefined) console.out(lines.join(''));
  else await writeWhole(values.out, lines.join(''));
  if (passedOver > 0) console.err(`omr: ${passedOver} other file${passedOver === 1 ? '' : 's'} passed over\n`);
  return bad > 0 ? 1 : 0;
};

const draw = async (args: string[], console: Console): Promise<number> => {
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
  const template = await loadTemplate(values.template);
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
    const content = values.blank ? { roll: '', variant: '', answers: [] } : randomContent(template, own);
    const page = drawSheet(template, { ...content, seed: own }, dpi);
    await fs.writeFile(path.join(values.out, file), await encodeJpeg(page, QUALITY));
    truth.push({ file, kind: 'sheet', template_id: template.id, template_version: template.version, ...content });
  }
  await writeWhole(path.join(values.out, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
  console.err(`omr: ${count} page${count === 1 ? '' : 's'} of ${template.id} in ${values.out}\n`);
  return 0;
};

/** JPEG quality of a good scanner. */
const QUALITY = 85;

const wholeNumber = (name: string, text: string, least: number, most: number): number => {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < least || value > most) {
    throw new Mistake(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
  }
  return value;
};

const loadTemplate = async (name: string): Promise<Template> => {
  const own = builtIn(name);
  if (own) return own;
  if (!/\.json$/i.test(name)) {
    const ids = [...BUILT_IN, COVER].map(({ id }) => id).join(', ');
    throw new Mistake(`there is no template ${name}: name a .json file or one of ${ids}`);
  }
  const parsed = parseTemplate(await loadJson(name));
  if (parsed.ok) return parsed.template;
  throw new Mistake(
    `${name} is not a template:\n${parsed.errors.map(({ field, message }) => `  ${field || 'it'}: ${message}`).join('\n')}`,
  );
};

const loadKey = async (name: string): Promise<KeyContent> => {
  const parsed = v.safeParse(KeyContent, await loadJson(name));
  if (parsed.success) return parsed.output;
  const errors = parsed.issues.map((issue) => `  ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`);
  throw new Mistake(`${name} is not an answer key:\n${errors.join('\n')}`);
};

const loadJson = async (file: string): Promise<unknown> => {
  const text = await fs.readFile(file, 'utf8').catch((error: Error) => {
    throw new Mistake(`${file} cannot be read: ${error.message}`);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Mistake(`${file} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
};

/** Never leaves half a file behind under the asked name. */
const writeWhole = async (file: string, text: string): Promise<void> => {
  const draft = `${file}.${process.pid}.part`;
  await fs.writeFile(draft, text);
  await fs.rename(draft, file);
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await omr(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
