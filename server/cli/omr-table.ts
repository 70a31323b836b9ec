// Readings as a table: one row a page, the template's labels as columns, what a person should look at in words.
import { stringify } from 'csv-stringify/sync';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { Reading } from '../../shared/protocol/reading.ts';
import { scoreSheet } from '../../shared/scoring/score.ts';

export type ReadFile = { file: string } & ({ ok: true; reading: Reading } | { ok: false; reason: string });

const FIRST = ['file', 'kind', 'reason', 'template', 'orientation', 'task_id', 'flags', 'confidence', 'review'];
const SCORES = ['score', 'max_score', 'correct', 'wrong', 'blank', 'multiple', 'unscored'] as const;

/** CSV with a header line. `confidence` is the lowest of the sheet's fields, `review` lists the flagged ones. */
export const toCsv = (files: readonly ReadFile[], key: KeyContent | null): string => {
  const columns = [...FIRST, ...(key ? SCORES : []), ...labelsOf(files)];
  const rows = files.map((file) => rowOf(file, key));
  return stringify(rows, { header: true, columns, record_delimiter: 'windows' });
};

/** One JSON object a page. */
export const toJsonLine = (file: ReadFile, key: KeyContent | null): string => {
  const scored = key && file.ok && file.reading.kind === 'sheet' ? { score: scoreSheet(file.reading, key) } : {};
  return `${JSON.stringify({ ...file, ...scored })}\n`;
};

/** Labels of all templates met, those of the largest first: questions stay in their order. */
const labelsOf = (files: readonly ReadFile[]): string[] => {
  const lists = new Map<string, string[]>();
  for (const file of files) {
    if (!file.ok || file.reading.kind !== 'sheet') continue;
    const { template_id, template_version, fields } = file.reading;
    const name = `${template_id}@${template_version}`;
    if (!lists.has(name)) lists.set(name, [...fields.map(({ label }) => label)]);
  }
  return [...new Set([...lists.values()].sort((a, b) => b.length - a.length).flat())];
};

type Cell = string | number | null;

const rowOf = (file: ReadFile, key: KeyContent | null): Record<string, Cell> => {
  if (!file.ok) return { file: file.file, kind: 'failed', reason: file.reason };
  const { reading } = file;
  const row: Record<string, Cell> = { file: file.file, kind: reading.kind, flags: reading.flags.join(' ') };
  switch (reading.kind) {
    case 'blank':
      return row;
    case 'foreign':
      return { ...row, reason: reading.reason };
    case 'cover':
      return { ...row, orientation: reading.orientation, task_id: reading.task_id };
    case 'sheet': {
      row.template = `${reading.template_id}@${reading.template_version}`;
      row.orientation = reading.orientation;
      row.confidence = reading.fields.reduce((least, { confidence }) => Math.min(least, confidence), 1);
      const flagged = reading.fields.map(({ label, flags }) => ({ label, flags: flags.filter((f) => f !== 'blank') }));
      row.review = flagged
        .filter(({ flags }) => flags.length > 0)
        .map(({ label, flags }) => `${label}:${flags.join('+')}`)
        .join(' ');
      if (key) {
        const score = scoreSheet(reading, key);
        for (const name of SCORES) row[name] = score[name];
      }
      for (const { label, value } of reading.fields) row[label] = value;
      return row;
    }
  }
};
