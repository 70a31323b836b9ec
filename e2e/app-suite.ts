// What the suites about the app begin with: one server with an exam that it knows, and for each test a tablet on a line of
// its own.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import type { SampleSize } from '../shared/corpus/sample.ts';
import { openTablet } from './browser.ts';
import { type Line, openLine } from './line.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

export interface AppSuite {
  /** A test that kills it puts another one on the same data folder in its place. */
  sheaf: Sheaf;
  /** signed in as the first admin */
  client: Client;
  exam: Exam;
  /** for files, gone after the last test */
  folder: string;
  /** of the test that runs */
  line: Line;
  tablet: Browser;
  /** A ZIP of the exam's scans, and of so many bytes that are no scan. Returns its path. */
  zipOf(name: string, filler?: number): Promise<string>;
}

export interface AppSuiteOptions extends Partial<Pick<SampleSize, 'covers' | 'sheets'>> {
  /** of the exam that is drawn */
  seed: number;
  /** false: the server has neither its keys nor its tasks */
  announced?: boolean;
}

/** One buffer of what is no scan. */
const FILLER = 32 * 2 ** 20;

/** Call once, at the top of a test file; what is returned is filled in before the first test. */
export function appSuite({ seed, covers = 1, sheets = 4, announced = true }: AppSuiteOptions): AppSuite {
  const folder = temporaryFolder();
  const dataDir = temporaryFolder();
  const suite = {
    folder,
    async zipOf(name, filler = 0) {
      const entries = suite.exam.scans.map(({ name, bytes }) => ({ name, bytes }));
      for (let i = 0, left = filler; left > 0; i++, left -= FILLER)
        entries.push({ name: `notes-${i}.bin`, bytes: Buffer.alloc(Math.min(left, FILLER), i + 1) });
      const file = path.join(folder, name);
      fs.writeFileSync(file, await packZip(entries));
      return file;
    },
  } as AppSuite;
  beforeAll(async () => {
    suite.sheaf = await startSheaf({ dataDir });
    suite.client = await suite.sheaf.client();
    suite.exam = await drawExam({ seed, covers, sheets, questions: 40, dpi: 150 });
    if (announced) await announceExam(suite.client, suite.exam);
  });
  afterAll(async () => {
    await suite.sheaf?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
    fs.rmSync(dataDir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    suite.line = await openLine(suite.sheaf.url);
    suite.tablet = await openTablet(suite.line.url);
  });
  afterEach(async () => {
    await suite.tablet?.close();
    await suite.line?.close();
  });
  return suite;
}
