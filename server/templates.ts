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

/** The newest version of every template, parsed once a version. */
export function templatesOf(db: Database): () => Promise<readonly Template[]> {
  const parsed = new Map<string, Template>();
  return async () => {
    const versions = await db.sql
      .selectFrom('templates')
      .select(['template_id', (eb) => eb.fn.max('version').as('version')])
      .groupBy('template_id')
      .orderBy('template_id')
      .execute();
    const templates: Template[] = [];
    for (const { template_id, version } of versions) {
      const name = `${template_id}@${version}`;
      let template = parsed.get(name);
      if (!template) {
        const row = await db.sql
          .selectFrom('templates')
          .select('content')
          .where('template_id', '=', template_id)
          .where('version', '=', version)
          .executeTakeFirstOrThrow();
        const read = parseTemplate(JSON.parse(row.content));
        if (!read.ok) throw new Error(`template ${name} in the database is not one: ${errorsInWords(read.errors)}`);
        template = read.template;
        parsed.set(name, template);
      }
      templates.push(template);
    }
    return templates;
  };
}
