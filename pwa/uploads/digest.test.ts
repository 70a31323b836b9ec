import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createDigester } from './digest.ts';

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('the digest of a Blob is that of its bytes, whatever was read into the same buffer before', async () => {
  const digest = createDigester();
  for (const size of [9_000_000, 3, 0, 4 * 2 ** 20, 9_000_001]) {
    const bytes = randomBytes(size);
    expect(await digest(new Blob([bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)]))).toBe(digestOf(bytes));
  }
});

test('where a browser has no byte streams the Blob is read as a whole', async () => {
  const bytes = randomBytes(70_000);
  const blob = new Blob([bytes]);
  blob.stream = () => new ReadableStream();
  expect(await createDigester()(blob)).toBe(digestOf(bytes));
});

test('bytes that cannot be read are told by their own error, and the next Blob is digested all the same', async () => {
  const digest = createDigester();
  const gone = new Blob([randomBytes(100)]);
  gone.stream = () => {
    throw new TypeError('network error');
  };
  gone.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'));
  await expect(digest(gone)).rejects.toThrow('gone');
  const bytes = randomBytes(100);
  expect(await digest(new Blob([bytes]))).toBe(digestOf(bytes));
});
