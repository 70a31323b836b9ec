// The sheets that pages are printed on, as far as this device knows them: what can be marked, and where it lies.
import { builtIn } from '../../../shared/template/built-in.ts';
import { type LaidField, layOut } from '../../../shared/template/geometry.ts';
import { parseTemplate, type Template } from '../../../shared/template/template.ts';
import type { UserDb } from '../../db.ts';

/** By `template@version`, as a page's line names it. */
export type Templates = ReadonlyMap<string, Template>;

export async function readTemplates(user: UserDb): Promise<Templates> {
  const found = new Map<string, Template>();
  for (const { template_id, version, content } of await user.getAll('templates')) {
    const parsed = parseTemplate(JSON.parse(content));
    if (parsed.ok) found.set(`${template_id}@${version}`, parsed.template);
  }
  return found;
}

/** One that is not here may be one that every Sheaf has. */
export const templateOf = (templates: Templates, name: string | null): Template | null =>
  name === null ? null : (templates.get(name) ?? builtIn(name.replace(/@\d+$/, '')) ?? null);

export const fieldOf = (template: Template | null, label: string): LaidField | null =>
  (template && layOut(template).fields.find((field) => field.label === label)) ?? null;
