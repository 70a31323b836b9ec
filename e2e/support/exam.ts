// A small exam with known answers: drawn as scans, packed as a ZIP, its tasks made through the public API, and what the
// server says of it compared with what was drawn.
import yazl from 'yazl';
import { encodeJpeg } from '../../server/adapters/decode.ts';
import type { Client } from '../../server/cli/client.ts';
import { parseCsv } from '../../server/cli/csv.ts';
import { type SamplePage, type SampleSize, sampleBatch } from '../../shared/corpus/sample.ts';
import { SheetList } from '../../shared/protocol/batch.ts';
import { OMITTED } from '../../shared/protocol/export.ts';
import { KeyAnswer, type NewTask, PublishAnswer, TaskAnswer } from '../../shared/protocol/key.ts';

const JPEG_QUALITY = 80;

/** A page and the image file that was made of it. */
export interface Scan extends SamplePage {
  bytes: Buffer;
}

export interface Exam {
  tasks: ReturnType<typeof sampleBatch>['tasks'];
  template_id: string;
  scans: Scan[];
}

export interface ZipEntry {
  name: string;
  bytes: Buffer;
}

/** @param dpi 150 is read quickly, 200 is what scanners write */
export async function drawExam({ dpi, ...size }: SampleSize & { dpi: number }): Promise<Exam> {
  const { tasks, template, pages } = sampleBatch(size);
  const scans: Scan[] = [];
  for (const page of pages) scans.push({ ...page, bytes: await encodeJpeg(page.draw(dpi), JPEG_QUALITY) });
  return { tasks, template_id: template.id, scans };
}

/** The entries in their order, stored and not compressed: scans are compressed already. */
export async function packZip(entries: readonly ZipEntry[]): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  for (const { name, bytes } of entries) zip.addBuffer(bytes, name, { compress: false });
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Publishes the keys and makes the tasks that the covers name. */
export async function announceExam(client: Client, { tasks, template_id }: Exam): Promise<void> {
  for (const { task_id, key } of tasks) {
    const key_id = `key-${task_id}`;
    await client.call(KeyAnswer, 'POST', '/api/answer-keys', { key_id, content: key });
    await client.call(PublishAnswer, 'POST', `/api/answer-keys/${key_id}/publish`);
    const task: NewTask = { task_id, exam: 'Spring exam', centre: 'North centre', template_id, key_id };
    await client.call(TaskAnswer, 'POST', '/api/tasks', task);
  }
}

/** What differs between a finished batch and what was drawn, a line each: a sheet that is missing, failed, doubled or of
 *  another task, a wrong roll number, variant or answer. Nothing when all is right. */
export async function differences(client: Client, batchId: string, { scans }: Pick<Exam, 'scans'>): Promise<string[]> {
  const drawn = scans.filter((scan) => scan.kind === 'sheet');
  const { items } = await client.call(SheetList, 'GET', `/api/batches/${batchId}/sheets?limit=1000`);
  const sheets = new Map(items.map((sheet) => [sheet.name, sheet]));
  const found: string[] = [];
  if (items.length !== drawn.length) found.push(`${items.length} sheets instead of ${drawn.length}`);

  const lines = parseCsv(await client.text(`/api/batches/${batchId}/export?format=long`));
  const read = new Map<string, string>();
  for (const { sheet_id, question, value = '' } of lines) {
    const which = `${sheet_id} q${question}`;
    if (read.has(which)) found.push(`${which} stands twice in the export`);
    read.set(which, value === OMITTED ? '' : value);
  }
  for (const { name, truth, task_id } of drawn) {
    const sheet = sheets.get(name);
    if (!truth || sheet?.status !== 'read') {
      found.push(`${name} was not read: ${sheet?.error_message ?? sheet?.status ?? 'no such sheet'}`);
      continue;
    }
    if (sheet.task_id !== task_id) found.push(`${name} belongs to task ${task_id}, was given to ${sheet.task_id}`);
    if (sheet.roll !== truth.roll) found.push(`${name}: roll ${truth.roll} was read as ${sheet.roll}`);
    if (sheet.variant !== truth.variant) found.push(`${name}: variant ${truth.variant} was read as ${sheet.variant}`);
    for (const [i, answer] of truth.answers.entries()) {
      const value = read.get(`${sheet.sheet_id} q${i + 1}`);
      if (value !== answer) found.push(`${name} q${i + 1}: drawn '${answer}', read '${value ?? 'no line'}'`);
    }
  }
  const expected = drawn.reduce((sum, { truth }) => sum + (truth?.answers.length ?? 0), 0);
  if (lines.length !== expected) found.push(`${lines.length} answers in the export instead of ${expected}`);
  return found;
}
