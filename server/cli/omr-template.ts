// The templates and keys that a command line names: built-in ones by id, files of one's own, OMRChecker's folders.
import fs from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { KeyContent } from '../../shared/protocol/key.ts';
import { BUILT_IN, BUILT_IN_LETTER, builtIn, COVER } from '../../shared/template/built-in.ts';
import { isOmrChecker, markerFile, readOmrChecker } from '../../shared/template/omrchecker.ts';
import { parseTemplate, type Template, type TemplateError } from '../../shared/template/template.ts';
import { decodeGray } from '../adapters/decode.ts';
import { Mistake } from './omr-mistake.ts';

export interface NamedTemplate {
  template: Template;
  /** what of the file has no effect here */
  notes: string[];
}

/** @param name an id, a template file, or a folder with OMRChecker's template.json */
export const loadTemplate = async (name: string): Promise<NamedTemplate> => {
  const own = builtIn(name);
  if (own) return { template: own, notes: [] };
  const stat = await fs.stat(name).catch(() => null);
  if (stat?.isDirectory()) return loadFolder(name, await loadJson(path.join(name, 'template.json')));
  if (!stat && !/\.json$/i.test(name)) {
    const ids = [...BUILT_IN, ...BUILT_IN_LETTER, COVER].map(({ id }) => id).join(', ');
    throw new Mistake(`there is no template ${name}: name a .json file, a folder of OMRChecker or one of ${ids}`);
  }
  const json = await loadJson(name);
  if (isOmrChecker(json)) return loadFolder(path.dirname(name), json);
  const parsed = parseTemplate(json);
  if (!parsed.ok) throw new Mistake(`${name} is not a template:\n${listed(parsed.errors)}`);
  return { template: parsed.template, notes: [] };
};

const loadFolder = async (folder: string, json: unknown): Promise<NamedTemplate> => {
  const settings = path.join(folder, 'config.json');
  const config = (await fs.stat(settings).catch(() => null)) ? await loadJson(settings) : null;
  const picture = markerFile(json);
  const bytes = picture === null ? null : await fs.readFile(path.join(folder, picture)).catch(() => null);
  const marker = bytes && (await decodeGray(bytes));
  if (marker && !marker.ok) throw new Mistake(`${path.join(folder, picture!)}: ${marker.reason}`);
  const made = readOmrChecker(path.basename(path.resolve(folder)), json, config, marker?.image ?? null);
  if (!made.ok) throw new Mistake(`${path.join(folder, 'template.json')} cannot be used:\n${listed(made.errors)}`);
  return made;
};

const listed = (errors: readonly TemplateError[]): string =>
  errors.map(({ field, message }) => `  ${field || 'it'}: ${message}`).join('\n');

export const loadKey = async (name: string): Promise<KeyContent> => {
  const parsed = v.safeParse(KeyContent, await loadJson(name));
  if (parsed.success) return parsed.output;
  const errors = parsed.issues.map((issue) => ({ field: v.getDotPath(issue) ?? '', message: issue.message }));
  throw new Mistake(`${name} is not an answer key:\n${listed(errors)}`);
};

const loadJson = async (file: string): Promise<unknown> => {
  const text = await fs.readFile(file, 'utf8').catch((error: Error) => {
    throw new Mistake(`${file} cannot be read: ${error.message}`);
  });
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Mistake(`${file} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
};
