// The templates that a command line names: built-in ones by id, files of one's own, OMRChecker's folders.
import fs from 'node:fs/promises';
import path from 'node:path';
import { BUILT_IN, BUILT_IN_LETTER, builtIn, COVER } from '../../shared/template/built-in.ts';
import { isOmrChecker, markerFile, readOmrChecker } from '../../shared/template/omrchecker.ts';
import { parseTemplate, type Template, type TemplateError } from '../../shared/template/template.ts';
import { decodeGray } from '../adapters/decode.ts';
import { Mistake, whyRefused } from './omr-mistake.ts';

export interface NamedTemplate {
  template: Template;
  /** what of the file has no effect here */
  notes: string[];
}

/** What to name with --template. */
export const CHOICES = `name a .json file, a folder of OMRChecker or one of ${[...BUILT_IN, ...BUILT_IN_LETTER, COVER]
  .map(({ id }) => id)
  .join(', ')}`;

/** @param name an id, a template file, or a folder with OMRChecker's template.json */
export const loadTemplate = async (name: string): Promise<NamedTemplate> => {
  const own = builtIn(name);
  if (own) return { template: own, notes: [] };
  const stat = await fs.stat(name).catch(() => null);
  if (stat?.isDirectory()) return loadFolder(name, await loadJson('--template', path.join(name, 'template.json')));
  if (!stat && !/\.json$/i.test(name)) {
    throw new Mistake(`there is no template ${name}: ${CHOICES}`);
  }
  const json = await loadJson('--template', name);
  if (isOmrChecker(json)) return loadFolder(path.dirname(name), json);
  const parsed = parseTemplate(json);
  if (!parsed.ok) throw new Mistake(`${name} is not a template:\n${listed(parsed.errors)}`);
  return { template: parsed.template, notes: [] };
};

const loadFolder = async (folder: string, json: unknown): Promise<NamedTemplate> => {
  const settings = path.join(folder, 'config.json');
  const config = (await fs.stat(settings).catch(() => null)) ? await loadJson('--template', settings) : null;
  const picture = markerFile(json);
  const bytes = picture === null ? null : await fs.readFile(path.join(folder, picture)).catch(() => null);
  const marker = bytes && (await decodeGray(bytes));
  if (marker && !marker.ok) throw new Mistake(`${path.join(folder, picture!)}: ${marker.reason}`);
  const made = readOmrChecker(path.basename(path.resolve(folder)), json, config, marker?.image ?? null);
  if (!made.ok) throw new Mistake(`${path.join(folder, 'template.json')} cannot be used:\n${listed(made.errors)}`);
  return made;
};

export const listed = (errors: readonly TemplateError[]): string =>
  errors.map(({ field, message }) => `  ${field || 'it'}: ${message}`).join('\n');

/** @param option that named the file */
export const loadJson = async (option: string, file: string): Promise<unknown> => {
  const text = await fs.readFile(file, 'utf8').catch((error: Error) => {
    throw new Mistake(`${option} ${file} cannot be read: ${whyRefused(error)}`);
  });
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Mistake(`${option} ${file} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
};
