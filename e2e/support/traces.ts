// What of a batch is left in a database, looked for without knowing the schema: every table, every column.
import { sql } from 'kysely';
import type { Database } from '../../server/adapters/database.ts';

/** Rows, by table, in which any column holds one of `ids` (as a part of its text) or one of `numbers` (as its value). */
export async function tracesOf(
  db: Database,
  { ids, numbers }: { ids: readonly string[]; numbers: readonly string[] },
): Promise<Record<string, number>> {
  const known = new Set(numbers);
  const holds = (value: unknown): boolean => {
    if (value === null || value === undefined) return false;
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    return known.has(text) || ids.some((id) => text.includes(id));
  };
  const found: Record<string, number> = {};
  const tables = (await db.sql.introspection.getTables()).map(({ name }) => name);
  // On SQLite the answers lie in another file, of which the schema of this one tells nothing.
  for (const name of new Set([...tables, 'answers'])) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(db.sql);
    const hits = rows.filter((row) => Object.values(row).some(holds)).length;
    if (hits > 0) found[name] = hits;
  }
  return found;
}
