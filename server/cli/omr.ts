// The reading engine on the command line: `read` turns images, PDFs, folders and ZIPs into a table, `overlay` shows on
// each page what was seen, `draw` writes sheets with known answers. Every bad file is named and the rest still read.
import { realpathSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { GrayImage } from '../../shared/omr/image.ts';
import { readPage } from '../../shared/omr/read-page.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { BUILT_IN, BUILT_IN_LETTER, COVER } from '../../shared/template/built-in.ts';
import type { Template } from '../../shared/template/template.ts';
import { encodeOverlay } from '../adapters/decode.ts';
import { draw, makeFolder } from './omr-draw.ts';
import { loadKey } from './omr-key.ts';
import { Mistake, whyRefused } from './omr-mistake.ts';
import { readOptions } from './omr-options.ts';
import { overlaySvg } from './omr-overlay.ts';
import { pagesOf } from './omr-pages.ts';
import { tableOf, templateOf, toJsonLine } from './omr-table.ts';
import { CHOICES, loadTemplate } from './omr-template.ts';

const USAGE = `Usage:
  npm run -s omr -- read [--template T] [--key KEY.json] [--out FILE] [--json] PATHS…
      Reads images (JPEG, PNG, WebP, TIFF), PDFs, folders and ZIPs: a CSV row, with --json a JSON line, for each page.
      --key adds scores. --out writes a file, whole or not at all, instead of the output.
  npm run -s omr -- overlay [--template T] --out FOLDER PATHS…
      Writes each page as JPEG with what was seen drawn on it: the outline that was found, every bubble and how dark it
      is, what counts as marked (a cross), and what is odd about a field (a frame with its flags).
  npm run -s omr -- draw --template T --out FOLDER [--count N | --task ID] [--seed S] [--dpi D] [--blank]
      Writes sheets as JPEG, filled from the seed unless --blank, and truth.json with what they hold. Of sheaf-cover
      a cover for each --task, which has 8 digits. Print them at actual size (100 %).
  npm run -s omr -- template --template T
      Prints a template as JSON in millimetres, to start one of your own from.
T is a template file, a folder with OMRChecker's template.json, or the id of a built-in one, and may be given several
times to read. Built in: ${[...BUILT_IN, ...BUILT_IN_LETTER, COVER].map(({ id }) => id).join(', ')}.
Without it every built-in sheet on A4 is tried.
Exit code: 0 all well, 1 some files could not be read or there were none, 2 the command itself is wrong.
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
        throw new Mistake(`unknown command ${command}: it is read, overlay, draw or template`);
    }
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    console.err(`omr: ${error.message}\nomr: try npm run -s omr -- help\n`);
    return 2;
  }
};

const read = async (args: string[], console: Console): Promise<number> => {
  const { values, positionals } = readOptions('read', {
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
  const named =
    values.key === undefined ? null : await loadKey(values.key, (line) => console.err(`omr: warning: ${line}\n`));
  const key = named?.content ?? null;
  // of several templates those that are met: the key need not fit the others
  const [only, ...others] = templates;
  if (only && others.length === 0) named?.hold(only);
  const target = await openTarget(values.out, console);
  const table = tableOf(templates, key);
  try {
    const code = await readAll(positionals, templates, console, async (page) => {
      const file = page.ok
        ? { file: page.name, ok: true as const, reading: page.reading }
        : { file: page.name, ok: false as const, reason: page.reason };
      const met = page.ok && page.reading.kind === 'sheet' ? templateOf(templates, page.reading) : undefined;
      if (met) named?.hold(met);
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
  const { values, positionals } = readOptions('overlay', {
    args,
    allowPositionals: true,
    options: { template: { type: 'string', multiple: true }, out: { type: 'string' } },
  });
  if (values.out === undefined) throw new Mistake('--out is missing: name the folder for the pages');
  const folder = values.out;
  const templates = await templatesNamed(values.template, console);
  await makeFolder(folder);
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
  const { values } = readOptions('template', { args, options: { template: { type: 'string', multiple: true } } });
  if (values.template?.length !== 1) throw new Mistake(`one --template is wanted: ${CHOICES}`);
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

/** Files named of those that are passed over. */
const MOST_NAMED = 3;

/** Reads page after page, names those that cannot be read, and resolves to the exit code. */
const readAll = async (
  paths: readonly string[],
  templates: readonly Template[],
  console: Console,
  each: (page: ReadImage) => Promise<void>,
): Promise<number> => {
  if (paths.length === 0) throw new Mistake('name the images, PDFs, folders or ZIPs to read');
  let bad = 0;
  const others: string[] = [];
  for (const given of paths) {
    let found = 0;
    for await (const page of pagesOf([given], (file) => others.push(file))) {
      found++;
      if (page.ok) {
        await each({ ...page, reading: readPage(page.image, templates) });
        continue;
      }
      bad++;
      console.err(`omr: ${page.name}: ${page.reason}\n`);
      await each(page);
    }
    if (found > 0) continue;
    bad++;
    console.err(`omr: ${given}: there is no image, PDF or ZIP of images in it\n`);
  }
  if (others.length > 0) {
    const more = others.length > MOST_NAMED ? ` and ${others.length - MOST_NAMED} more` : '';
    const names = others.slice(0, MOST_NAMED).join(', ') + more;
    console.err(`omr: ${others.length} other file${others.length === 1 ? '' : 's'} passed over: ${names}\n`);
  }
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
  const folder = path.dirname(path.resolve(name));
  if (!(await fs.stat(folder).catch(() => null))?.isDirectory())
    throw new Mistake(`--out ${name} cannot be written: there is no folder ${folder}, make it first`);
  if ((await fs.stat(name).catch(() => null))?.isDirectory())
    throw new Mistake(`--out ${name} cannot be written: it is a folder, name a file in it`);
  const file = await fs.open(draft, 'w').catch((error: Error) => {
    throw new Mistake(`--out ${name} cannot be written: ${whyRefused(error)}`);
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
