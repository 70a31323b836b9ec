// Values made of several fields, as a roll number whose digits are fields of their own. Derived whenever they are shown or
// scored and never kept: the reading has the fields.
import type { FieldReading } from '../protocol/reading.ts';
import type { Template } from './template.ts';

/** The fields of a reading and, before them, the template's joined values: a part after the other, '_' where nothing and
 *  '?' where several are marked, '' when all is blank. As sure as the least sure part. */
export const withJoined = ({ joined = [] }: Template, fields: readonly FieldReading[]): FieldReading[] => {
  const byLabel = new Map(fields.map((field) => [field.label, field]));
  const made = joined.map(({ label, of }): FieldReading => {
    const parts = of.flatMap((part) => byLabel.get(part) ?? []);
    const blank = parts.every(({ value }) => value === '');
    const flags = new Set(parts.flatMap((part) => part.flags));
    if (!blank) flags.delete('blank');
    return {
      label,
      value: blank ? '' : parts.map(({ value }) => (value === '' ? '_' : value.includes('|') ? '?' : value)).join(''),
      confidence: parts.reduce((least, { confidence }) => Math.min(least, confidence), 1),
      flags: [...flags],
    };
  });
  const replaced = new Set(made.map(({ label }) => label));
  return [...made, ...fields.filter(({ label }) => !replaced.has(label))];
};
