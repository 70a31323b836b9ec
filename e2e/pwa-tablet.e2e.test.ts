// The deaths of a tablet: its tab, its service worker and its browser killed while an upload is under way. Nothing that
// was safe is lost, and one batch comes of it.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchList } from '../shared/protocol/batch.ts';
import { chunksIn, type Line, openLine } from './line.ts';
import { announceExam, differences, drawExam, packZip } from './support/exam.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';
import { createTablet, type Tablet } from './support/tablet.ts';

const MB = 2 ** 20;

let folder: string;
let sheaf: Sheaf;
let line: Line;
let tablet: Tablet;

beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf();
  line = await openLine(sheaf.url);
  tablet = createTablet(line.url, path.join(folder, 'profile'));
});
afterAll(async () => {
  await tablet.close();
  await line.close();
  await sheaf.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('[U3] [U6] service worker, tab and browser killed while it is sent: it arrives once, byte for byte', async () => {
  const client = await sheaf.client();
  const exam = await drawExam({ seed: 21, covers: 1, sheets: 5, questions: 40, dpi: 150 });
  await announceExam(client, exam);
  const zip = path.join(folder, 'hurt.zip');
  fs.writeFileSync(zip, await packZip([...exam.scans, { name: 'notes.bin', bytes: Buffer.alloc(110 * MB, 7) }]));

  await tablet.app();
  await tablet.signIn(sheaf.admin);
  // Each death finds it under way, however slowly a browser starts.
  line.pace(2 * MB);
  const id = await tablet.queue(zip);
  const arriving = (more: number) => {
    const before = chunksIn(line.heard).length;
    return eventually('more of it', () => chunksIn(line.heard).length >= before + more);
  };
  await arriving(1);
  await tablet.killWorker();
  await arriving(1);
  await tablet.killTab();
  await tablet.app();
  await arriving(1);
  await tablet.killBrowser();
  line.pace(null);
  await eventually('the upload sent', async () =>
    (await tablet.queued()).some((upload) => upload.id === id && upload.at === 'sent'),
  );
  expect(await tablet.queued()).toEqual([{ id, name: 'hurt.zip', at: 'sent', stored: 0, chunks: [] }]);
  const batch = await eventually('the end of the batch', async () =>
    (await client.call(BatchList, 'GET', '/api/batches')).items.find(({ status }) => status === 'completed'),
  );
  expect((await client.call(BatchList, 'GET', '/api/batches')).items).toHaveLength(1);
  expect(await differences(client, batch.batch_id, exam)).toEqual([]);
});
