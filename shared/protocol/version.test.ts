import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROTOCOL_VERSION } from './version.ts';

/** Every schema and constant of the wire as text: any field, bound, pattern or option that changes, changes it. */
async function wire(): Promise<string> {
  const files = readdirSync(new URL('.', import.meta.url))
    .filter((file) => file.endsWith('.ts') && !file.includes('.test.') && file !== 'version.ts')
    .sort();
  const parts = await Promise.all(
    files.map(async (file) => {
      const exported = (await import(new URL(file, import.meta.url).href)) as Record<string, unknown>;
      const names = Object.keys(exported).sort();
      return names.map(
        (name) => `${file} ${name} ${JSON.stringify(exported[name], (_, x) => (x instanceof RegExp ? x.source : x))}`,
      );
    }),
  );
  return parts.flat().join('\n');
}

const PINNED: Record<number, string> = {
  1: 'a8d506b0b80c705c',
};

test('the wire does not change without a new version', async () => {
  const hash = createHash('sha256')
    .update(await wire())
    .digest('hex')
    .slice(0, 16);
  expect(hash, 'the wire has changed: bump PROTOCOL_VERSION, add a line to its history and pin the new hash').toBe(
    PINNED[PROTOCOL_VERSION],
  );
});
