// docs/omr.md is true: its commands run as they stand, and its template is one.
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { parseCsv } from '../server/cli/csv.ts';
import { parseTemplate } from '../shared/template/template.ts';
import { ROOT, temporaryFolder } from './support/places.ts';

// processes are started and pages drawn, on machines that have other things to do
vi.setConfig({ testTimeout: 60_000 });

const blocks = async (language: string): Promise<string[]> => {
  const page = await fs.readFile(path.join(ROOT, 'docs', 'omr.md'), 'utf8');
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code!);
};

test('every command of docs/omr.md does what it says', async () => {
  const folder = temporaryFolder();
  try {
    const key = { answers: { '': Array.from({ length: 60 }, () => 'A') }, marks: { correct: 1, wrong: 0, blank: 0 } };
    await fs.writeFile(path.join(folder, 'key.json'), JSON.stringify(key));
    const commands = (await blocks('sh')).flatMap((block) => block.trim().split('\n'));
    expect(commands.length).toBeGreaterThan(5);
    for (const command of commands) {
      expect(command).toMatch(/^npm run -s omr -- /);
      // what npm would run, without building it again
      const args = [path.join(ROOT, 'dist', 'server', 'cli', 'omr.js'), ...command.split(' ').slice(5)];
      await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 });
    }
    const rows = parseCsv(await fs.readFile(path.join(folder, 'results.csv'), 'utf8'));
    expect(rows.map(({ kind, template }) => [kind, template])).toEqual(Array(3).fill(['sheet', 'sheaf-60@1']));
    expect(await fs.readdir(path.join(folder, 'seen'))).toHaveLength(3);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
});

test('the template of docs/omr.md passes its schema', async () => {
  for (const json of await blocks('json')) expect(parseTemplate(JSON.parse(json))).toMatchObject({ ok: true });
});
