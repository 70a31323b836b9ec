// The reading engine on the command line: `read` turns images, PDFs, folders and ZIPs into a table, `overlay` shows on
// each page what was seen, `draw` writes sheets with known answers. Every bad file is named and the rest still read.
import { realpathSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { GrayImage } from '../../shared/omr/image.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { BUILT_IN, BUILT_IN_LETTER, COVER } from '../../shared/template/built-in.ts';
import type { Template } from '../../shared/template/template.ts';
import { encodeOverlay } from '../adapters/decode.ts';
import { draw } from './omr-draw.ts';
import { Mistake } from './omr-mistake.ts';
import { overlaySvg } from './omr-overlay.ts';
import { pagesOf } from './omr-pages.ts';
import { tableOf, toJsonLine } from './omr-table.ts';
import { loadKey, loadTemplate } from './omr-template.ts';

const USAGE = `Usage:
  npm run -s omr -- read [--template T] [--key KEY.json] [--out FILE] [--json] PATHS…
      Reads images (JPEG, PNG, WebP, TIFF), PDFs, folders and ZIPs: a CSV row, with --json a JSON line, for each page.
      --key adds scores. --out writes a file, whole or not at all, instead of the output.
  npm run -s omr -- overlay [--template T] --out FOLDER PATHS…
      Writes each page as JPEG with what was seen drawn on it: the outline that was found, every bubble and how dark it
      is, what counts as marked (a cross), and what a person should look at (a frame with its flags).
  npm run -s omr -- draw --template T --out FOLDER [--count N] [--seed S] [--dpi D] [--blank]
      Writes sheets as JPEG, filled from the seed unless --blank, and truth.json with what they hold.
  npm run -s omr -- template --template T
      Prints a template as JSON in millimetres, to start one of your own from.
T is a template file, a folder with OMRChecker's template.json, or the id of a built-in one, and may be given several
times to read. Built in: ${[...BUILT_IN, ...BUILT_IN_LETTER, COVER].map(({ id }) => id).join(', ')}.
Without it every built-in sheet on A4 is tried.
Exit code: 0 all well, 1 some files could not be read, 2 the command itself is wrong.
`;

export interface Console {
  out(text: string): void;
  err(text: string): void;
}

/** Runs one command and resolves to the exit code. @param args those after `omr --` */
export const omr = async (args: readonly string[], console: Console): Promise<number> => {
  try {
    const [command, ...rest] = args;
    switch (command) {
      case 'read':
        return await read(rest, console);
      case 'overlay':
        return await overlay(rest, console);
      case 'draw':
        console.err(`omr: ${await draw(rest)}\n`);
        return 0;
      case 'template':
        return await print(rest, console);
      case 'help':
      case '--help':
      case '-h':
        console.out(USAGE);
        return 0;
      case undefined:
        console.err(USAGE);
        return 2;
      default:
        throw new Mistake(`unknown command ${command}`);
    }
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
      template: { type: 'string', multiple: true },
      key: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const templates = await templatesNamed(values.template, console);
  const key = values.key === undefined ? null : await loadKey(values.key);
  const target = await openTarget(values.out, console);
  const table = tableOf(templates, key);
  try {
    const code = await readAll(positionals, templates, console, async (page) => {
      const file = page.ok
        ? { file: page.name, ok: true as const, reading: page.reading }
        : { file: page.name, ok: false as const, reason: page.reason };
      if (values.json) await target.write(toJsonLine(file, templates, key));
      else table.add(file);
    });
    if (!values.json) await target.write(table.csv());
    await target.keep();
    return code;
  } finally {
    await target.close();
  }
};

const overlay = async (args: string[], console: Console): Promise<number> => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { template: { type: 'string', multiple: true }, out: { type: 'string' } },
  });
  if (values.out === undefined) throw new Mistake('--out is missing: name the folder for the pages');
  const folder = values.out;
  const templates = await templatesNamed(values.template, console);
  await fs.mkdir(folder, { recursive: true });
  let count = 0;
  const code = await readAll(positionals, templates, console, async (page) => {
    // numbered in the order of the rows of `read`, so that equal names in two folders stay apart
    const number = String(++count).padStart(4, '0');
    if (!page.ok) return;
    const { image, reading, name } = page;
    const drawn = await encodeOverlay(image, overlaySvg(image, reading, templates));
    const own = path
      .basename(name)
      .replace(/\.(jpe?g|png|tiff?|webp)$/i, '')
      .replace(/[^\p{L}\p{N}._#-]+/gu, '_');
    await fs.writeFile(path.join(folder, `${number}-${own}.jpg`), drawn);
  });
  console.err(`omr: ${count} page${count === 1 ? '' : 's'}, drawn into ${folder}\n`);
  return code;
};

const print = async (args: string[], console: Console): Promise<number> => {
  const { values } = parseArgs({ args, options: { template: { type: 'string', multiple: true } } });
  if (values.template?.length !== 1) throw new Mistake('name one template with --template');
  const [template] = await templatesNamed(values.template, console);
  console.out(`${JSON.stringify(template, null, 2)}\n`);
  return 0;
};

const templatesNamed = async (names: readonly string[] | undefined, console: Console): Promise<readonly Template[]> => {
  if (!names) return BUILT_IN;
  const templates: Template[] = [];
  for (const name of names) {
    const { template, notes } = await loadTemplate(name);
    for (const note of notes) console.err(`omr: ${name}: ${note}\n`);
    templates.push(template);
  }
  return templates;
};

type ReadImage = { name: string } & ({ ok: true; image: GrayImage; reading: Reading } | { ok: false; reason: string });

/** Reads page after page, names those that cannot be read, and resolves to the exit code. */
const readAll = async (
  paths: readonly string[],
  templates: readonly Template[],
  console: Console,
  each: (page: ReadImage) => Promise<void>,
): Promise<number> => {
  if (paths.length === 0) throw new Mistake('name the images, PDFs, folders or ZIPs to read');
  let [bad, passedOver] = [0, 0];
  const pages = pagesOf(paths, () => {
    passedOver++;
  });
  for await (const page of pages) {
    if (page.ok) {
      await each({ ...page, reading: readPage(page.image, templates) });
      continue;
    }
    bad++;
    console.err(`omr: ${page.name}: ${page.reason}\n`);
    await each(page);
  }
  if (passedOver > 0) console.err(`omr: ${passedOver} other file${passedOver === 1 ? '' : 's'} passed over\n`);
  return bad > 0 ? 1 : 0;
};

interface Target {
  write(text: string): Promise<void>;
  /** Gives the file its name. */
  keep(): Promise<void>;
  /** Leaves nothing behind that was not kept. */
  close(): Promise<void>;
}

/** The output, or a file that has its name only once it is whole. */
const openTarget = async (name: string | undefined, console: Console): Promise<Target> => {
  const nothing = async (): Promise<void> => undefined;
  if (name === undefined) return { write: async (text) => console.out(text), keep: nothing, close: nothing };
  const draft = `${name}.${process.pid}.part`;
  const file = await fs.open(draft, 'w').catch((error: Error) => {
    throw new Mistake(`${name} cannot be written: ${error.message}`);
  });
  let kept = false;
  return {
    write: async (text) => {
      await file.write(text);
    },
    keep: async () => {
      await fs.rename(draft, name);
      kept = true;
    },
    close: async () => {
      await file.close();
      if (!kept) await fs.rm(draft, { force: true });
    },
  };
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  process.exitCode = await omr(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
