// The benches in their smallest size: that they measure at all, and print what is promised of them.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT } from './support/places.ts';

async function bench(...args: string[]): Promise<Record<string, unknown>> {
  const file = path.join(ROOT, 'dist', 'e2e', 'bench', 'main.js');
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args, '--json']);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('bench batch compares every answer, and says what a sheet costs beside merely decoding it', async () => {
  const told = await bench('batch', '--sheets', '12', '--runs', '1', '--dpi', '150');
  expect(told).toMatchObject({ sheets: 12, correct: true });
  for (const key of [
    'decode_floor_sheets_per_s',
    'sheets_per_s',
    'efficiency',
    'first_byte_to_complete_s',
    'last_byte_to_complete_s',
    'cpu_s_per_sheet',
  ])
    expect(told[key], key).toBeGreaterThan(0);
  expect(told.stages).toHaveProperty('loading_database');
  for (const name of ['api', 'redis', 'worker 1'])
    expect(told.peak_rss_mb, name).toHaveProperty(name, expect.any(Number));
});

test('bench load measures both databases', async () => {
  const told = await bench('load', '--sheets', '20', '--runs', '1');
  expect(told.answers).toBe(3000);
  for (const key of ['sqlite_s', 'mariadb_s', 'mariadb_ratio']) expect(told[key], key).toBeGreaterThan(0);
});

test('[T1] bench stream counts every event at every watcher, also over cuts', async () => {
  const told = await bench('stream', '--clients', '20', '--seconds', '2', '--cuts', '10');
  expect(told).toMatchObject({ clients: 20, reconnects: 10, lost: 0 });
  for (const key of ['p50_ms', 'p99_ms', 'api_cpu_share']) expect(told[key], key).toBeGreaterThanOrEqual(0);
});
