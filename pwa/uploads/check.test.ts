import { expect, test } from 'vitest';
import { checkBatch, hasZipEnd, kindOf } from './check.ts';

const file = (name: string, bytes: number[]): File => new File([new Uint8Array(bytes)], name);
const LOCAL = [0x50, 0x4b, 0x03, 0x04, 0, 0, 0, 0];
const END = [0x50, 0x4b, 0x05, 0x06, ...Array<number>(18).fill(0)];
const zip = file('a.zip', [...LOCAL, ...END]);
const jpeg = file('a.jpg', [0xff, 0xd8, 0xff, 0xe0]);

test('a ZIP with covers needs no task id', async () => {
  expect(await checkBatch('zip_with_qr', [zip], '')).toEqual({});
});

test('a ZIP for one task needs eight digits', async () => {
  expect(await checkBatch('zip_without_qr', [zip], '')).toEqual({ task_id: 'Type the task id: 8 digits.' });
  expect(await checkBatch('zip_without_qr', [zip], '1234567')).toHaveProperty('task_id');
  expect(await checkBatch('zip_without_qr', [zip], '12345678')).toEqual({});
});

test('a name that ends in .zip does not make a ZIP', async () => {
  const found = await checkBatch('zip_with_qr', [file('b.zip', [0xff, 0xd8, 0xff, 0xe0])], '');
  expect(found.files).toContain('b.zip is not a ZIP file');
});

test('a ZIP whose end is missing was copied badly', async () => {
  expect((await checkBatch('zip_with_qr', [file('c.zip', LOCAL)], '')).files).toContain('broke off');
});

test('a ZIP without entries holds no sheets', async () => {
  expect((await checkBatch('zip_with_qr', [file('d.zip', END)], '')).files).toContain('without any files');
});

test('images are known by their first bytes, whatever their names', async () => {
  expect(await checkBatch('images', [jpeg, file('scan.dat', [0x89, 0x50, 0x4e, 0x47])], '12345678')).toEqual({});
  expect((await checkBatch('images', [jpeg, file('notes.jpg', [1, 2, 3, 4])], '12345678')).files).toContain(
    'notes.jpg',
  );
  expect((await checkBatch('images', [zip], '12345678')).files).toContain('is a ZIP file');
});

test('nothing chosen, an empty file, two ZIPs: each is said', async () => {
  expect(await checkBatch('zip_with_qr', [], '')).toEqual({ files: 'Choose a ZIP file.' });
  expect(await checkBatch('images', [], '12345678')).toEqual({ files: 'Choose the images.' });
  expect((await checkBatch('zip_with_qr', [file('e.zip', [])], '')).files).toBe('e.zip is empty.');
  expect((await checkBatch('zip_with_qr', [zip, zip], '')).files).toBe('Choose one ZIP file.');
});

test('the kinds that can be read, by their magic numbers', () => {
  const kinds = [
    [0x50, 0x4b, 0x03, 0x04],
    [0xff, 0xd8, 0xff, 0xdb],
    [0x89, 0x50, 0x4e, 0x47],
    [0x49, 0x49, 0x2a, 0x00],
    [0x4d, 0x4d, 0x00, 0x2a],
    [0x25, 0x50, 0x44, 0x46],
    [0x4d, 0x5a, 0x90, 0x00],
  ].map((bytes) => kindOf(new Uint8Array(bytes)));
  expect(kinds).toEqual(['zip', 'jpeg', 'png', 'tiff', 'tiff', 'pdf', 'unknown']);
});

test('the end record is found before a comment', () => {
  expect(hasZipEnd(new Uint8Array([...END, 65, 66, 67]))).toBe(true);
  expect(hasZipEnd(new Uint8Array(END.slice(0, 21)))).toBe(false);
});
