// The templates that the makers of some scans in ../shared/data left with them, in OMRChecker's format: those pages are
// read through them as they are.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { loadTemplate } from '../../server/cli/omr-template.ts';
import { layOut } from '../../shared/template/geometry.ts';
import type { Form } from './form-template.ts';

/** @param folder of a source. @returns the form of an image by its path there; null where it came without a template */
export const ownTemplates = async (folder: string): Promise<(image: string) => Form | null> => {
  const forms = new Map<string, Form>();
  const templates = path.join(folder, 'template');
  for (const name of existsSync(templates) ? await readdir(templates) : []) {
    if (!existsSync(path.join(templates, name, 'template.json'))) continue;
    const { template } = await loadTemplate(path.join(templates, name));
    const labels: Form['labels'] = new Map();
    for (const { label, options } of layOut(template).fields) {
      labels.set(label, { label, options: new Map(options.map((option) => [option, option])) });
    }
    forms.set(name, { template, labels });
  }
  // an image is called as the folder of its template, and then on
  return (image) =>
    forms.get([...forms.keys()].find((name) => path.basename(image).startsWith(`${name}__`)) ?? '') ?? null;
};
