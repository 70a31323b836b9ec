import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { needWritableFolder } from './before-start.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sheaf-test-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('the data folder is made with all that is missing above it, for its owner alone', () => {
  const deep = path.join(folder, 'a', 'b', 'data');
  needWritableFolder(deep);
  needWritableFolder(deep);
  expect(fs.statSync(deep).mode & 0o777).toBe(0o700);
});

test('a file where the data folder should be, or above it, is named', () => {
  const file = path.join(folder, 'notes.txt');
  fs.writeFileSync(file, '');
  expect(() => needWritableFolder(file)).toThrow(`${file} is a file`);
  expect(() => needWritableFolder(path.join(file, 'data'))).toThrow(/notes\.txt/);
});

test.runIf(process.platform === 'linux')(
  'a place in which no folder can be made is refused, not tried for ever',
  () => {
    expect(() => needWritableFolder('/proc/sheaf/data')).toThrow('/proc/sheaf/data cannot be written');
  },
);
