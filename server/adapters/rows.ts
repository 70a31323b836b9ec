// What both databases share when they write many rows at once: the primary keys, and the text of a many-row insert.
import type { Schema } from './database.ts';

export const PRIMARY_KEYS: { readonly [K in keyof Schema]: readonly (keyof Schema[K] & string)[] } = {
  settings: ['name'],
  centres: ['centre_id'],
  exams: ['exam_id'],
  users: ['user_id'],
  user_centres: ['user_id', 'centre_id'],
  sessions: ['session_id'],
  refresh_tokens: ['token_hash'],
  login_failures: ['scope'],
  templates: ['template_id', 'version'],
  answer_keys: ['key_id', 'version'],
  tasks: ['task_id'],
  batches: ['batch_id'],
  uploads: ['upload_id'],
  chunks: ['upload_id', 'chunk_index'],
  stages: ['batch_id', 'stage'],
  sheet_groups: ['batch_id', 'group_index'],
  pages: ['sheet_id'],
  readings: ['sheet_id'],
  marks: ['sheet_id'],
  results: ['sheet_id'],
  answers: ['sheet_id', 'question'],
  rescores: ['batch_id'],
  events: ['batch_id', 'seq'],
  corrections: ['correction_id'],
  sequences: ['scope'],
  changes: ['scope', 'entity_type', 'entity_id'],
  sync_clients: ['client_id'],
  sync_outcomes: ['client_id', 'mid'],
  audit: ['seq'],
};

/** A piece of a many-row insert: `parameters` belong to the question marks of `values`, row after row. */
export interface RowsPiece {
  columns: readonly string[];
  /** `(?, ?), (?, ?)` */
  values: string;
  parameters: unknown[];
}

/** Cuts rows of equal columns into pieces of at most 500 rows and 10,000 parameters: SQLite takes 32,766 of them, and a
 *  piece is compiled in a few milliseconds. */
export function rowPieces(rows: readonly object[]): RowsPiece[] {
  const [first] = rows;
  if (first === undefined) return [];
  const columns = Object.keys(first);
  // They become SQL text, so they may be nothing but names.
  for (const column of columns)
    if (!/^[a-z][a-z0-9_]*$/.test(column)) throw new Error(`${JSON.stringify(column)} is not the name of a column`);
  const group = `(${columns.map(() => '?').join(', ')})`;
  const most = Math.max(1, Math.min(500, Math.floor(10_000 / columns.length)));
  const pieces: RowsPiece[] = [];
  for (let from = 0; from < rows.length; from += most) {
    const some = rows.slice(from, from + most);
    const parameters: unknown[] = [];
    for (const row of some) {
      const cells = new Map<string, unknown>(Object.entries(row));
      if (cells.size !== columns.length) throw new Error('All rows of one insert need the same columns');
      for (const column of columns) {
        const cell = cells.get(column);
        if (cell === undefined) throw new Error(`A row has no value for the column ${column}`);
        parameters.push(cell);
      }
    }
    pieces.push({ columns, values: some.map(() => group).join(', '), parameters });
  }
  return pieces;
}
