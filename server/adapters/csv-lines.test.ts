import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CsvField, csvReader } from './csv-lines.ts';

const read = (columns: number, ...pieces: string[]): CsvField[] => {
  const reader = csvReader(columns);
  const fields: CsvField[] = [];
  for (const piece of pieces) reader.push(piece, fields);
  reader.end(fields);
  return fields;
};

describe('csvReader', () => {
  test('fields are parted by commas and rows by LF or CRLF', () => {
    expect(read(2, 'a,b\r\nc,d\ne,f')).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('\\N is NULL only without quotes, and nothing is the empty string', () => {
    expect(read(4, '\\N,"\\N",,""\n')).toEqual([null, '\\N', '', '']);
  });

  test('a quoted field may hold commas, quotes, line breaks and any letter', () => {
    expect(read(2, '"a,""b""\r\nc",é日𝄞\r\n')).toEqual(['a,"b"\r\nc', 'é日𝄞']);
  });

  test('a last field may be empty, with and without a line break', () => {
    expect(read(2, 'a,\nb,')).toEqual(['a', '', 'b', '']);
    expect(read(2, '"a",\r\n')).toEqual(['a', '']);
  });

  test('no text is no rows', () => {
    expect(read(3, '', '')).toEqual([]);
  });

  test('a row of the wrong width is refused by its number', () => {
    expect(() => read(2, 'a,b\nc\n')).toThrow('Row 2 has 1 fields instead of 2');
    expect(() => read(2, 'a,b,c')).toThrow('Row 1 has 3 fields instead of 2');
    expect(() => read(2, 'a,b\n\n')).toThrow('Row 2 has 1 fields instead of 2');
  });

  test('a quote out of place is refused', () => {
    expect(() => read(1, 'a"b\n')).toThrow('quote in the middle');
    expect(() => read(1, '"a"b\n')).toThrow('after a closing quote');
    expect(() => read(1, '"a')).toThrow('never closed');
  });

  test('where the pieces are cut makes no difference', () => {
    const field = fc.oneof(
      fc.constant(null),
      fc.string({ unit: fc.constantFrom('a', '"', ',', '\r', '\n', '\\', 'N', 'é') }),
    );
    const written = (value: CsvField) => (value === null ? '\\N' : `"${value.replaceAll('"', '""')}"`);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(field, field, field), { maxLength: 6 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n'),
        (rows, cuts, lineEnd) => {
          const text = rows.map((row) => row.map(written).join(',') + lineEnd).join('');
          const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
          const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
          expect(read(3, ...pieces)).toEqual(rows.flat());
        },
      ),
    );
  });
});
