// A batch as it stands in a database after its load, without an image having been drawn or read: for tests and benches of
// what follows from keys and tasks.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from '../../server/adapters/database.ts';
import { storeAnswers } from '../../server/batches/answers.ts';
import { type Candidate, type ExamSize, simulateExam } from '../../shared/corpus/candidates.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import type { SheetReading } from '../../shared/protocol/reading.ts';
import { marksOf, packValues } from '../../shared/scoring/marks.ts';
import { notesOf, packNotes, riskOf } from '../../shared/scoring/notes.ts';
import { BUILT_IN } from '../../shared/template/built-in.ts';

export interface StoredExam {
  batch_id: string;
  batch_no: number;
  key: KeyContent;
  candidates: Candidate[];
  /** by packet */
  task_ids: string[];
  sheet_ids: number[];
  template_id: string;
  reading(sheet: number): SheetReading;
}

export interface StoreOptions extends ExamSize {
  batch_no: number;
  /** a row an answer, bulk-loaded from a file in this folder */
  answersIn?: string;
  /** the reading of each sheet too */
  readings?: boolean;
  /** what the sheet's booklet field says, where it is not the booklet the candidate had */
  marked?: (candidate: Candidate, sheet: number) => string;
}

/** Stores the sheets, unscored, in one group a packet. Tasks and keys are whoever's asks for them. */
export async function storeExam(db: Database, options: StoreOptions): Promise<StoredExam> {
  const { batch_no, answersIn, readings, marked = ({ booklet }) => booklet } = options;
  const { key, candidates } = simulateExam(options);
  const template = BUILT_IN.find(({ id }) => id === `sheaf-${options.questions}`);
  if (!template) throw new RangeError(`no built-in sheet has ${options.questions} questions`);
  const batch_id = `batch-${batch_no}`;
  const packets = Math.ceil(candidates.length / options.packet);
  const task_ids = Array.from({ length: packets }, (_, i) => String(10_000_000 + batch_no * 10_000 + i));
  const field = (label: string, value: string) => ({ label, value, confidence: 0.99, flags: [] });
  const reading = (sheet: number): SheetReading => ({
    kind: 'sheet',
    template_id: template.id,
    template_version: template.version,
    qr: null,
    orientation: 0,
    to_image: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    fields: [
      field('roll', String(20_000_000 + sheet)),
      field('variant', marked(candidates[sheet]!, sheet)),
      ...candidates[sheet]!.values.map((value, i) => field(`q${i + 1}`, value)),
    ],
    fills: '',
    threshold: 50,
    flags: [],
  });
  // A cover before each packet.
  const page = (sheet: number): number => sheet + candidates[sheet]!.packet + 1;
  const sheet_ids = candidates.map((_, sheet) => batch_no * 1_000_000 + page(sheet));
  const now = Date.now();
  await db.write(async (tx) => {
    await db.insertNew(tx, 'batches', [
      {
        batch_id,
        batch_no,
        name: `${batch_id}.zip`,
        upload_type: 'zip_with_qr',
        task_id: null,
        status: 'completed',
        resume_status: null,
        stage: 'completed',
        message: 'Batch completed successfully',
        progress_percentage: 100,
        error_details: null,
        size: 1,
        uploaded_by: 'nobody',
        centre_id: null,
        created_at: now,
        first_byte_at: now,
        uploaded_at: now,
        processing_started_at: now,
        processing_completed_at: now,
        deleted_at: null,
        directory_known: 1,
        total_pages: candidates.length + packets,
        covers: packets,
        blank_pages: 0,
        done_pages: candidates.length + packets,
        failed_sheets: 0,
        doubtful_sheets: 0,
        total_answers: candidates.length * options.questions,
        event_seq: 0,
        rev: 1,
      },
    ]);
    await db.insertNew(tx, 'templates', [
      {
        template_id: template.id,
        version: template.version,
        content: JSON.stringify(template),
        created_by: null,
        created_at: now,
      },
    ]);
    await db.insertNew(tx, 'stages', [
      { batch_id, stage: 'loading_database', enqueued_at: null, started_at: now, finished_at: now },
    ]);
    await db.insertNew(
      tx,
      'sheet_groups',
      task_ids.map((task_id, group_index) => ({
        batch_id,
        group_index,
        task_id,
        cover_page: group_index * (options.packet + 1),
        first_page: group_index * (options.packet + 1),
        sheets: candidates.filter(({ packet }) => packet === group_index).length,
        failed_sheets: 0,
        state: 'no-task',
        suspicion: null,
        confirmed_key: null,
      })),
    );
    await db.insertNew(
      tx,
      'pages',
      candidates.map(({ packet }, sheet) => ({
        sheet_id: sheet_ids[sheet]!,
        batch_id,
        page_index: page(sheet),
        name: `${page(sheet)}.jpg`,
        file_offset: 0,
        file_end: 1,
        compressed_size: 1,
        size: 1,
        method: 0,
        crc32: 0,
        part: null,
        state: 'done',
        kind: 'sheet',
        attempts: 1,
        started_at: now,
        finished_at: now,
        duration_ms: 1,
        error_message: null,
        group_index: packet,
        task_id: task_ids[packet]!,
      })),
    );
    const marks = candidates.map((_, sheet) => marksOf(reading(sheet)));
    await db.insertNew(
      tx,
      'marks',
      marks.map(({ roll, variant, values, doubtful }, sheet) => ({
        sheet_id: sheet_ids[sheet]!,
        roll,
        variant,
        questions: values.length,
        choices: packValues(values),
        doubtful,
        variant_doubtful: 0 as const,
        notes: packNotes(notesOf(reading(sheet))),
        risk: riskOf(reading(sheet)),
      })),
    );
    await db.insertNew(
      tx,
      'results',
      marks.map(({ roll, variant, values, doubtful }, sheet) => ({
        sheet_id: sheet_ids[sheet]!,
        batch_id,
        task_id: task_ids[candidates[sheet]!.packet]!,
        key_id: null,
        key_version: null,
        roll,
        variant,
        score: null,
        max_score: null,
        correct: null,
        wrong: null,
        blank: values.filter((value) => value === '').length,
        multiple: 0,
        doubtful,
        unscored: 'no-task',
      })),
    );
    if (readings) {
      await db.insertNew(
        tx,
        'readings',
        sheet_ids.map((sheet_id, sheet) => ({
          sheet_id,
          engine_version: 1,
          template_id: template.id,
          template_version: template.version,
          image_sha256: '0'.repeat(64),
          content: JSON.stringify(reading(sheet)),
          created_at: now,
        })),
      );
    }
  });
  if (answersIn !== undefined) {
    const file = path.join(answersIn, `${batch_id}.csv`);
    const lines = candidates.flatMap(({ values }, sheet) =>
      values.map((value, i) => `${sheet_ids[sheet]},${i + 1},"${value}",0.99,""\n`),
    );
    await writeFile(file, lines.join(''));
    await storeAnswers(db, { batch_no }, file);
  }
  return { batch_id, batch_no, key, candidates, task_ids, sheet_ids, template_id: template.id, reading };
}
