// A batch told in words and figures: the one sentence, the bar, the stages. Pure.
import type { BatchDetail, BatchRow } from '../../../shared/protocol/batch.ts';
import { ENDED, STAGES, type Stage } from '../../../shared/protocol/stage.ts';
import type { BatchProgress } from '../../../shared/protocol/stream.ts';
import { count, duration, plural, roughly } from '../../ui/format.ts';
import type { Segment } from '../../ui/words.ts';

type Figures = Pick<BatchRow, 'status' | 'total_sheets' | 'processed_sheets' | 'failed_sheets'>;

/** `processed_sheets` counts failed ones too; what is being read just now only the stream knows. */
export function segmentsOf(row: Figures, items: BatchProgress | undefined): Segment[] {
  const live = items && !ENDED.includes(row.status) ? items : undefined;
  const total = Math.max(row.total_sheets, live?.total_items ?? 0);
  const failed = Math.max(row.failed_sheets, live?.failed_items ?? 0);
  const read = Math.max(row.processed_sheets - row.failed_sheets, live?.completed_items ?? 0);
  const reading = Math.min(live?.in_progress_items ?? 0, Math.max(0, total - failed - read));
  return [
    { tone: 'ok', label: 'read', value: read },
    { tone: 'run', label: 'being read', value: reading },
    { tone: 'bad', label: 'failed', value: failed },
    { tone: 'rest', label: 'to come', value: Math.max(0, total - failed - read - reading) },
  ];
}

/** A forecast from fewer than this would be a guess. */
const FORECAST_SHEETS = 20;
const FORECAST_SHARE = 0.05;

export function remaining(items: BatchProgress | undefined): string | null {
  if (!items || items.estimated_time_remaining_ms === null || items.pending_items + items.in_progress_items === 0)
    return null;
  const done = items.completed_items + items.failed_items;
  if (done < FORECAST_SHEETS && done < items.total_items * FORECAST_SHARE) return null;
  return roughly(items.estimated_time_remaining_ms);
}

const sheets = (n: number): string => plural(n, 'sheet');

/** What is happening, and what the reader can do about it. */
export function sentence(detail: BatchDetail, items: BatchProgress | undefined): string {
  const done = Math.max(detail.processed_sheets, (items?.completed_items ?? 0) + (items?.failed_items ?? 0));
  const total = Math.max(detail.total_sheets, items?.total_items ?? 0);
  const left = remaining(items);
  switch (detail.status) {
    case 'uploading': {
      const { upload } = detail;
      const arrived = upload
        ? `${count(upload.chunks_verified)} of ${plural(upload.total_chunks, 'chunk')} have arrived`
        : 'Bytes are arriving';
      return done > 0 ? `${arrived}; ${sheets(done)} ${done === 1 ? 'is' : 'are'} read already.` : `${arrived}.`;
    }
    case 'uploaded':
    case 'validating':
      return 'Everything has arrived and is being checked.';
    case 'processing':
    case 'reprocessing':
      return `Reading sheets: ${count(done)} of ${count(total)}${left ? `, ${left} left` : ''}.`;
    case 'completed': {
      const time = detail.total_duration_ms === null ? '' : ` in ${duration(detail.total_duration_ms)}`;
      const doubt =
        detail.doubtful_sheets > 0
          ? ` ${sheets(detail.doubtful_sheets)} ${detail.doubtful_sheets === 1 ? 'has' : 'have'} doubtful marks.`
          : '';
      return `All ${sheets(detail.total_sheets)} were read${time}.${doubt}`;
    }
    case 'completed_with_errors':
      if (detail.failed_sheets === 0)
        return `All ${sheets(detail.total_sheets)} were read, but some stand behind no readable cover: a person must place them.`;
      return `${count(detail.total_sheets - detail.failed_sheets)} of ${sheets(detail.total_sheets)} were read; ${count(detail.failed_sheets)} failed and ${detail.failed_sheets === 1 ? 'is' : 'are'} listed first below.`;
    case 'failed':
      return `It stopped: ${(detail.error_details ?? detail.message).replace(/\.+$/, '')}.`;
    case 'paused':
      return `Paused after ${count(done)} of ${sheets(total)}.`;
    case 'cancelled':
      return 'Cancelled. Nothing more will be read.';
  }
}

export const STAGE_WORDS: Record<Stage, string> = {
  uploading: 'Upload',
  extracting: 'Unpack',
  organizing_qr: 'Group',
  processing_sheets: 'Read',
  collecting_results: 'Collect',
  generating_csv: 'Table',
  loading_database: 'Load',
  cleanup: 'Tidy up',
  completed: 'Completed',
  failed: 'Failed',
};

export interface StageView {
  stage: Stage;
  word: string;
  state: 'done' | 'current' | 'failed' | 'to-come';
  duration_ms: number | null;
  wait_ms: number | null;
}

/** The eight stages of work in order. `stage` of the batch is the frontier: what lies before it is done. */
export function stageViews(detail: BatchDetail, now: number): StageView[] {
  const frontier = STAGES.indexOf(detail.stage);
  const failedAt =
    detail.status === 'failed' ? (detail.stages.findLast((times) => times.stage !== 'failed')?.stage ?? null) : null;
  return STAGES.filter((stage) => stage !== 'completed' && stage !== 'failed').map((stage, index) => {
    const times = detail.stages.find((entry) => entry.stage === stage);
    const state = (() => {
      if (detail.stage === 'completed') return 'done';
      if (detail.stage === 'failed') {
        if (stage === failedAt) return 'failed';
        return times?.finished_at ? 'done' : 'to-come';
      }
      if (index === frontier) return ENDED.includes(detail.status) ? 'done' : 'current';
      return index < frontier ? 'done' : 'to-come';
    })();
    const began = times ? Date.parse(times.started_at) : null;
    const ended = times?.finished_at ? Date.parse(times.finished_at) : state === 'current' ? now : null;
    return {
      stage,
      word: STAGE_WORDS[stage],
      state,
      duration_ms: began !== null && ended !== null ? Math.max(0, ended - began) : null,
      wait_ms: times?.wait_ms ?? null,
    };
  });
}
