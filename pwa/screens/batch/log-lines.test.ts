import { afterEach, expect, test } from 'vitest';
import type { ProgressEvent } from '../../../shared/protocol/stream.ts';
import type { StoredEvent } from '../../db.ts';
import { speak } from '../../ui/language.ts';
import { logLines } from './log-lines.ts';

afterEach(() => speak('en'));

const progress = (stage: ProgressEvent['stage'], percentage: number, message: string): ProgressEvent => ({
  batch_id: 'b',
  stage,
  message,
  progress_percentage: percentage,
  sheets_total: 40,
  sheets_total_final: true,
  sheets_processed: 12,
  elapsed_seconds: 3,
  stage_elapsed_seconds: 1,
  timestamp: '2026-01-01T10:00:00.000Z',
});
const told: StoredEvent['event'][] = [
  { type: 'progress', data: progress('extracting', 0, 'Reading the directory') },
  { type: 'progress', data: progress('processing_sheets', 30, 'Read 12 of 40 sheets') },
  { type: 'progress', data: progress('processing_sheets', 30, 'Paused by amal') },
  {
    type: 'complete',
    data: { ...progress('completed', 100, 'Done'), status: 'completed', total_sheets: 40, failed_sheets: 0 },
  },
];
const events = told.map((event, seq): StoredEvent => ({ batch: 'b', seq, event }));
const words = () => logLines(events, '2026-01-01T09:59:57.000Z').map((line) => line.words);

test('in English the log says what the server said, newest first', () => {
  expect(words()).toEqual(['Done', 'Paused by amal', 'Read 12 of 40 sheets', 'Reading the directory']);
});

test('in Arabic lines are made from their numbers, and what says more than these is shown as it came', async () => {
  await speak('ar');
  const [end, paused, reading, begun] = words();
  expect(begun).toBe('بدأت.');
  expect(reading).toMatch(/12.*40/);
  expect(paused).toBe('Paused by amal');
  expect(end).toMatch(/40/);
  for (const line of [end, reading, begun]) expect(line).not.toMatch(/[a-z]/i);
});
