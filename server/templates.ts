// Templates in the database: the built-in ones are stored at the start, and the newest version of each is what pages
// are read with.
import { BUILT_IN } from '../shared/template/built-in.ts';
import { errorsInWords, parseTemplate, type Template } from '../shared/template/template.ts';
import type { Database } from './adapters/database.ts';
import { audit, contentHash } from './audit.ts';
import { OFFICE, tellChanges } from './changes.ts';

/** Stores the built-in templates that are not there yet; a version that is there never changes. */
export async function storeBuiltIns(db: Database): Promise<void> {
  const rows = BUILT_IN.map((template) => ({
    template_id: template.id,
    version: template.version,
    content: JSON.stringify(template),
    created_by: null,
    created_at: Date.now(),
  }));
  await db.write(async (tx) => {
    for (const row of rows) {
      if ((await db.insertNew(tx, 'templates', [row])) === 0) continue;
      await audit(db, tx, {
        user_id: null,
        action: 'template.create',
        subject: `template:${row.template_id}@${row.version}`,
        after: { content_sha256: contentHash(row.content) },
      });
      await tellChanges(db, tx, OFFICE, 'template', [`${row.template_id}@${row.version}`]);
    }
  });
}

/** Stored versions of templates, each parsed once. */
export function templateStore(db: Database): (template_id: string, version: number) => Promise<Template | null> {
  const parsed = new Map<string, Template>();
  return async (template_id, version) => {
    const name = `${template_id}@${version}`;
    const before = parsed.get(name);
    if (before) return before;
    const row = await db.sql
      .selectFrom('templates')
      .select('content')
      .where('template_id', '=', template_id)
      .where('version', '=', version)
      .executeTakeFirst();
    if (!row) return null;
    const read = parseTemplate(JSON.parse(row.content));
    if (!read.ok) throw new Error(`template ${name} in the database is not one: ${errorsInWords(read.errors)}`);
    parsed.set(name, read.template);
    return read.template;
  };
}

/** The newest version of every template. */
export function templatesOf(db: Database): () => Promise<readonly Template[]> {
  const stored = templateStore(db);
  return async () => {
    const versions = await db.sql
      .selectFrom('templates')
      .select(['template_id', (eb) => eb.fn.max('version').as('version')])
      .groupBy('template_id')
      .orderBy('template_id')
      .execute();
    const templates: Template[] = [];
    for (const { template_id, version } of versions) {
      const template = await stored(template_id, version);
      if (template) templates.push(template);
    }
    return templates;
  };
}
