// Readings as a table: one row a page, the template's labels as columns, what a person should look at in words.
import { stringify } from 'csv-stringify/sync';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { FieldReading, Reading, SheetReading } from '../../shared/protocol/reading.ts';
import { scoreSheet } from '../../shared/scoring/score.ts';
import { withJoined } from '../../shared/template/joined.ts';
import { labelsOf, type Template } from '../../shared/template/template.ts';

export type ReadFile = { file: string } & ({ ok: true; reading: Reading } | { ok: false; reason: string });

const FIRST = ['file', 'kind', 'reason', 'template', 'orientation', 'task_id', 'flags', 'confidence', 'review'];
const SCORES = ['score', 'max_score', 'correct', 'wrong', 'blank', 'multiple', 'unscored'] as const;

type Cell = string | number | null;
type Row = Record<string, Cell>;

export interface Table {
  add(file: ReadFile): void;
  /** CSV with a header line */
  csv(): string;
}

/** `confidence` is the lowest of a sheet's fields, `review` lists those that wait for a person. Keeps the rows, not the readings. */
export const tableOf = (templates: readonly Template[], key: KeyContent | null): Table => {
  const rows: Row[] = [];
  // labels of all templates met, those of the largest first: questions stay in their order
  const met = new Map<string, string[]>();
  return {
    add(file) {
      if (!file.ok) {
        rows.push({ file: file.file, kind: 'failed', reason: file.reason });
        return;
      }
      const { reading } = file;
      const template = reading.kind === 'sheet' ? templateOf(templates, reading) : undefined;
      const fields = reading.kind === 'sheet' ? fieldsOf(reading, template) : [];
      if (reading.kind === 'sheet') {
        const name = `${reading.template_id}@${reading.template_version}`;
        if (!met.has(name))
          met.set(
            name,
            fields.map(({ label }) => label),
          );
      }
      rows.push(rowOf(file.file, reading, fields, template, key));
    },
    csv() {
      const labels = [...new Set([...met.values()].sort((a, b) => b.length - a.length).flat())];
      const columns = [...FIRST, ...(key ? SCORES : []), ...labels];
      return stringify(rows, { header: true, columns, record_delimiter: 'windows' });
    },
  };
};

/** One JSON object a page. `joined` has the values that the template makes of several fields. */
export const toJsonLine = (file: ReadFile, templates: readonly Template[], key: KeyContent | null): string => {
  if (!file.ok || file.reading.kind !== 'sheet') return `${JSON.stringify(file)}\n`;
  const { reading } = file;
  const template = templateOf(templates, reading);
  const fields = fieldsOf(reading, template);
  const joined = template?.joined?.length
    ? { joined: fields.filter(({ label }) => template.joined!.some((one) => one.label === label)) }
    : {};
  const score = key ? { score: scoreSheet({ ...reading, fields }, key) } : {};
  return `${JSON.stringify({ ...file, ...joined, ...score })}\n`;
};

export const templateOf = (templates: readonly Template[], reading: SheetReading): Template | undefined =>
  templates.find(({ id, version }) => id === reading.template_id && version === reading.template_version);

const fieldsOf = ({ fields }: SheetReading, template: Template | undefined): FieldReading[] =>
  template ? withJoined(template, fields) : fields;

const rowOf = (
  file: string,
  reading: Reading,
  fields: readonly FieldReading[],
  template: Template | undefined,
  key: KeyContent | null,
): Row => {
  const row: Row = { file, kind: reading.kind, flags: reading.flags.join(' ') };
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
      // the other flags are remarks on fields that are certain
      row.review = reading.fields
        .filter(({ flags }) => flags.includes('doubtful'))
        .map(({ label, flags }) => `${label}:${flags.filter((flag) => flag !== 'blank').join('+')}`)
        .join(' ');
      if (key) {
        const score = scoreSheet({ ...reading, fields: [...fields] }, key);
        for (const name of SCORES) row[name] = score[name];
      }
      const empty = template ? emptyValues(template) : new Map<string, string>();
      for (const { label, value, flags } of fields) {
        // what is doubtful is not said to be empty
        row[label] = value === '' && !flags.includes('doubtful') ? (empty.get(label) ?? '') : value;
      }
      return row;
    }
  }
};

const known = new WeakMap<Template, Map<string, string>>();

/** What a template writes where nothing is marked, by label. */
const emptyValues = (template: Template): Map<string, string> => {
  let values = known.get(template);
  if (!values) {
    values = new Map();
    for (const block of template.fields) {
      if (block.type === 'grid' || block.empty === undefined) continue;
      for (const label of block.type === 'placed' ? [block.label] : labelsOf(block)) values.set(label, block.empty);
    }
    known.set(template, values);
  }
  return values;
};
