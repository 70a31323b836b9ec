// What the suites about senders begin with: one server with an exam that it knows, and for each test a tablet on a line of
// its own.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Client } from '../server/cli/client.ts';
import { openTablet } from './browser.ts';
import { type Line, openLine } from './line.ts';
import type { Browser } from './support/chromium.ts';
import { announceExam, drawExam, type Exam, packZip } from './support/exam.ts';
import { temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

export interface UploadsSuite {
  sheaf: Sheaf;
  client: Client;
  exam: Exam;
  /** of the test that runs */
  line: Line;
  tablet: Browser;
  /** A ZIP of the exam's scans and of `size` bytes that are no scan. Returns its path. */
  zipOf(name: string, size: number): Promise<string>;
}

/** Call once, at the top of a test file; what is returned is filled in before the first test. */
export function uploadsSuite(seed: number): UploadsSuite {
  const folder = temporaryFolder();
  const suite = {
    async zipOf(name, size) {
      const file = path.join(folder, name);
      const filler = { name: 'notes.bin', bytes: Buffer.alloc(size, 5) };
      fs.writeFileSync(file, await packZip([...suite.exam.scans, filler]));
      return file;
    },
  } as UploadsSuite;
  beforeAll(async () => {
    suite.sheaf = await startSheaf();
    suite.client = await suite.sheaf.client();
    suite.exam = await drawExam({ seed, covers: 1, sheets: 4, questions: 40, dpi: 150 });
    await announceExam(suite.client, suite.exam);
  });
  afterAll(async () => {
    await suite.sheaf.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    suite.line = await openLine(suite.sheaf.url);
    suite.tablet = await openTablet(suite.line.url);
  });
  afterEach(async () => {
    await suite.tablet.close();
    await suite.line.close();
  });
  return suite;
}
