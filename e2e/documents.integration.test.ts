// Files of several pages in a batch: each page is a sheet of its own, in the file's order and with its own picture; what is
// not taken apart is refused by name.
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeGray } from '../server/adapters/decode.ts';
import type { Client } from '../server/cli/client.ts';
import { SheetList } from '../shared/protocol/batch.ts';
import { UploadBatchAnswer } from '../shared/protocol/upload.ts';
import { pdfOf, type TiffPage, tiffOf } from './support/documents.ts';
import { announceExam, differences, drawExam, type Exam, packZip, type Scan } from './support/exam.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

let sheaf: Sheaf;
let client: Client;
let exam: Exam;

beforeAll(async () => {
  sheaf = await startSheaf();
  client = await sheaf.client();
  exam = await drawExam({ seed: 8, covers: 2, sheets: 6, questions: 40, dpi: 150 });
  await announceExam(client, exam);
});
afterAll(() => sheaf?.stop());

const pdf = async (scans: readonly Scan[]): Promise<Buffer> =>
  pdfOf(
    await Promise.all(
      scans.map(async ({ bytes }) => {
        const { width, height } = await sharp(bytes).metadata();
        return { jpeg: bytes, width, height };
      }),
    ),
  );

const tiff = async (scans: readonly Scan[]): Promise<Buffer> => {
  const pages: TiffPage[] = [];
  for (const { bytes } of scans) {
    const decoded = await decodeGray(bytes);
    if (!decoded.ok) throw new Error(decoded.reason);
    pages.push(decoded.image);
  }
  return tiffOf(pages);
};

const send = async (
  type: string,
  files: readonly { name: string; bytes: Buffer }[],
  taskId?: string,
): Promise<string> => {
  const form = new FormData();
  form.append('upload_type', type);
  if (taskId !== undefined) form.append('task_id', taskId);
  for (const { name, bytes } of files) form.append('file', new Blob([new Uint8Array(bytes)]), name);
  const { batch_id } = await client.call(UploadBatchAnswer, 'POST', '/api/batches/upload', form);
  return batch_id;
};

test('a ZIP of PDFs: covers and sheets are told apart page by page, and every answer is right', async () => {
  const [first, second] = [exam.scans.slice(0, 3), exam.scans.slice(3)];
  const zip = await packZip([
    { name: 'a.pdf', bytes: await pdf(first) },
    { name: 'b.pdf', bytes: await pdf(second) },
    // in a ZIP thousands of TIFFs are not opened beforehand
    { name: 'c.tif', bytes: await tiff(exam.scans.slice(0, 2)) },
    { name: 'd.pdf', bytes: Buffer.from('%PDF-1.4 and nothing else') },
  ]);
  const batch = await send('zip_with_qr', [{ name: 'packet.zip', bytes: zip }]);
  const status = await client.waitForBatch(batch, 240_000);
  expect(status).toMatchObject({ status: 'completed_with_errors', failed_sheets: 2 });
  const named = [
    ...first.map((scan, i) => ({ ...scan, name: `a.pdf#${i + 1}` })),
    ...second.map((scan, i) => ({ ...scan, name: `b.pdf#${i + 1}` })),
  ];
  const found = (await differences(client, batch, { scans: named })).filter(
    (line) => !/^8 sheets instead of 6/.test(line),
  );
  expect(found).toEqual([]);
  const { items } = await client.call(SheetList, 'GET', `/api/batches/${batch}/sheets?limit=100`);
  const reasons = Object.fromEntries(items.map(({ name, error_message }) => [name, error_message]));
  expect(reasons['c.tif']).toMatch(/a TIFF of 2 pages: save each page as an image of its own/);
  expect(reasons['d.pdf']).toMatch(/the PDF is damaged/);
});

test('images sent as a PDF and a TIFF of several pages are sheets of the task, each with its own picture', async () => {
  const task = exam.tasks[0]!.task_id;
  const sheets = exam.scans.filter((scan) => scan.kind === 'sheet' && scan.task_id === task);
  expect(sheets.length).toBe(3);
  const [one, two, three] = sheets as [Scan, Scan, Scan];
  const batch = await send(
    'images',
    [
      { name: 'first.pdf', bytes: await pdf([one, two]) },
      { name: 'second.tiff', bytes: await tiff([three, one]) },
      { name: 'third.jpg', bytes: two.bytes },
    ],
    task,
  );
  expect(await client.waitForBatch(batch, 240_000)).toMatchObject({
    status: 'completed',
    total_sheets: 5,
    failed_sheets: 0,
  });
  const pages = [one, two, three, one, two];
  const names = ['first.pdf#1', 'first.pdf#2', 'second.tiff#1', 'second.tiff#2', 'third.jpg'];
  expect(await differences(client, batch, { scans: pages.map((scan, i) => ({ ...scan, name: names[i]! })) })).toEqual(
    [],
  );

  const { items } = await client.call(SheetList, 'GET', `/api/batches/${batch}/sheets?limit=100`);
  const pictures = new Map<string, Buffer>();
  for (const { name, sheet_id } of items) {
    const answer = await client.request('GET', `/api/batches/${batch}/sheets/${sheet_id}/image`);
    expect([name, answer.status, answer.headers.get('content-type')]).toEqual([name, 200, 'image/jpeg']);
    pictures.set(name, Buffer.from(await answer.arrayBuffer()));
  }
  expect(pictures.get('first.pdf#1')!.equals(pictures.get('first.pdf#2')!)).toBe(false);
  expect((await sharp(pictures.get('second.tiff#1')).metadata()).format).toBe('jpeg');
});
