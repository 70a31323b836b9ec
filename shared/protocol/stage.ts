// The ten stages of a batch in their order, and the states a batch can be in.
import * as v from 'valibot';

export const STAGES = [
  'uploading',
  'extracting',
  'organizing_qr',
  'processing_sheets',
  'collecting_results',
  'generating_csv',
  'loading_database',
  'cleanup',
  'completed',
  'failed',
] as const;
export const Stage = v.picklist(STAGES);
export type Stage = v.InferOutput<typeof Stage>;

export const BATCH_STATUSES = [
  'uploading',
  'uploaded',
  'validating',
  'processing',
  'completed',
  'completed_with_errors',
  'failed',
  'reprocessing',
  'paused',
  'cancelled',
] as const;
export const BatchStatus = v.picklist(BATCH_STATUSES);
export type BatchStatus = v.InferOutput<typeof BatchStatus>;

/** No more events will come of a batch in one of these. */
export const ENDED: readonly BatchStatus[] = ['completed', 'completed_with_errors', 'failed', 'cancelled'];
