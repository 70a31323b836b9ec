import { expect, test } from 'vitest';
import type { BatchDetail } from '../../../shared/protocol/batch.ts';
import { remaining, segmentsOf, sentence, stageViews } from './story.ts';

const detail = (more: Partial<BatchDetail>): BatchDetail => ({
  batch_id: 'b',
  name: 'scans.zip',
  upload_type: 'zip_with_qr',
  status: 'processing',
  task_id: null,
  centre: null,
  uploaded_by: 'amal',
  size: 1,
  total_sheets: 600,
  processed_sheets: 214,
  failed_sheets: 2,
  doubtful_sheets: 0,
  created_at: '2026-01-01T10:00:00Z',
  processing_started_at: null,
  processing_completed_at: null,
  deleted_at: null,
  stage: 'processing_sheets',
  message: '',
  error_details: null,
  provisional: true,
  total_pages: 610,
  covers: 10,
  blank_pages: 0,
  total_answers: 0,
  uploaded_at: null,
  total_duration_ms: null,
  extraction_duration_ms: null,
  omr_duration_ms: null,
  stages: [],
  upload: null,
  ...more,
});
const items = (more = {}) => ({
  batch_id: 'b',
  total_items: 600,
  completed_items: 212,
  failed_items: 2,
  in_progress_items: 4,
  pending_items: 382,
  percentage: 35,
  throughput_rate: 120,
  estimated_time_remaining_ms: 193_000,
  ...more,
});

test('the bar never counts a sheet twice', () => {
  const parts = segmentsOf(detail({}), items());
  expect(parts.map((part) => part.value)).toEqual([212, 4, 2, 382]);
  expect(parts.reduce((sum, part) => sum + part.value, 0)).toBe(600);
});

test('an ended batch has nothing being read, whatever the last snapshot said', () => {
  const ended = segmentsOf(detail({ status: 'completed_with_errors', processed_sheets: 600 }), items());
  expect(ended.map((part) => part.value)).toEqual([598, 0, 2, 0]);
});

test('the sentence fits the state', () => {
  const upload = { upload_id: 'u', chunks_verified: 3, total_chunks: 12, state: 'open' };
  expect(sentence(detail({ status: 'uploading', upload, processed_sheets: 214 }), undefined)).toBe(
    '3 of 12 chunks have arrived; 214 sheets are read already.',
  );
  expect(sentence(detail({}), items())).toBe('Reading sheets: 214 of 600, about 3 minutes left.');
  expect(sentence(detail({ status: 'completed', total_duration_ms: 41_000 }), undefined)).toBe(
    'All 600 sheets were read in 41 s.',
  );
  expect(sentence(detail({ status: 'completed_with_errors' }), undefined)).toContain(
    '598 of 600 sheets were read; 2 failed',
  );
  expect(sentence(detail({ status: 'failed', error_details: 'the ZIP is empty' }), undefined)).toContain(
    'the ZIP is empty',
  );
});

test('a forecast is given from 20 sheets or 5 % on, and not when nothing is left', () => {
  expect(remaining(items({ completed_items: 8, failed_items: 0 }))).toBeNull();
  expect(remaining(items({ completed_items: 20, failed_items: 0 }))).toBe('about 3 minutes');
  expect(remaining(items({ pending_items: 0, in_progress_items: 0 }))).toBeNull();
});

test('stages before the frontier are done, the frontier counts on, the rest is to come', () => {
  const stages = [
    {
      stage: 'uploading' as const,
      started_at: '2026-01-01T10:00:00Z',
      finished_at: '2026-01-01T10:00:05Z',
      wait_ms: null,
    },
    { stage: 'processing_sheets' as const, started_at: '2026-01-01T10:00:10Z', finished_at: null, wait_ms: 1_500 },
  ];
  const views = stageViews(detail({ stages }), Date.parse('2026-01-01T10:00:30Z'));
  expect(views).toHaveLength(8);
  expect(views.map((view) => view.state).slice(0, 5)).toEqual(['done', 'done', 'done', 'current', 'to-come']);
  expect(views[0]?.duration_ms).toBe(5_000);
  expect(views[3]).toMatchObject({ duration_ms: 20_000, wait_ms: 1_500 });
});

test('a failed batch shows where it failed', () => {
  const stages = [
    {
      stage: 'uploading' as const,
      started_at: '2026-01-01T10:00:00Z',
      finished_at: '2026-01-01T10:00:05Z',
      wait_ms: null,
    },
    { stage: 'extracting' as const, started_at: '2026-01-01T10:00:05Z', finished_at: null, wait_ms: null },
    { stage: 'failed' as const, started_at: '2026-01-01T10:00:06Z', finished_at: null, wait_ms: null },
  ];
  const views = stageViews(detail({ status: 'failed', stage: 'failed', stages }), Date.parse('2026-01-01T10:01:00Z'));
  expect(views.map((view) => view.state).slice(0, 3)).toEqual(['done', 'failed', 'to-come']);
});
