import { expect, test } from 'vitest';
import { parseCsv } from './csv.ts';

test('a record a line, named by the header; the last line may or may not end', () => {
  expect(parseCsv('a,b\r\n1,2\r\n3,\r\n')).toEqual([
    { a: '1', b: '2' },
    { a: '3', b: '' },
  ]);
  expect(parseCsv('a,b\n1,2')).toEqual([{ a: '1', b: '2' }]);
});

test('quoted fields hold commas, line ends and doubled quotes; a byte order mark is no part of a name', () => {
  expect(parseCsv('\uFEFFname,value\r\n"a,b","say ""yes""\r\nor no"\r\n')).toEqual([
    { name: 'a,b', value: 'say "yes"\r\nor no' },
  ]);
});
