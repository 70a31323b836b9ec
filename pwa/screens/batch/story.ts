// A batch told in words and figures: the one sentence, the bar, the stages. Pure.
import type { BatchDetail, BatchRow } from '../../../shared/protocol/batch.ts';
import { ENDED, STAGES, type Stage } from '../../../shared/protocol/stage.ts';
import type { BatchProgress } from '../../../shared/protocol/stream.ts';
import { duration, roughly } from '../../ui/format.ts';
import type { Segment } from '../../ui/words.ts';
import { batchWords } from './words.ts';

type Figures = Pick<BatchRow, 'status' | 'total_sheets' | 'processed_sheets' | 'failed_sheets'>;

/** `processed_sheets` counts failed ones too; what is being read just now only the stream knows. */
export function segmentsOf(row: Figures, items: BatchProgress | undefined): Segment[] {
  const t = batchWords();
  const live = items && !ENDED.includes(row.status) ? items : undefined;
  const total = Math.max(row.total_sheets, live?.total_items ?? 0);
  const failed = Math.max(row.failed_sheets, live?.failed_items ?? 0);
  const read = Math.max(row.processed_sheets - row.failed_sheets, live?.completed_items ?? 0);
  const reading = Math.min(live?.in_progress_items ?? 0, Math.max(0, total - failed - read));
  return [
    { tone: 'ok', label: t.read, value: read },
    { tone: 'run', label: t.beingRead, value: reading },
    { tone: 'bad', label: t.failed, value: failed },
    { tone: 'rest', label: t.toCome, value: Math.max(0, total - failed - read - reading) },
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

/** What is happening, and what the reader can do about it. */
export function sentence(detail: BatchDetail, items: BatchProgress | undefined): string {
  const t = batchWords();
  const done = Math.max(detail.processed_sheets, (items?.completed_items ?? 0) + (items?.failed_items ?? 0));
  const total = Math.max(detail.total_sheets, items?.total_items ?? 0);
  const left = remaining(items);
  switch (detail.status) {
    case 'uploading': {
      const { upload } = detail;
      const arrived = upload ? t.chunksArrived(upload.total_chunks, { done: upload.chunks_verified }) : t.bytesArriving;
      return done > 0 ? t.readAlready(done, { arrived }) : t.arrivedOnly({ arrived });
    }
    case 'uploaded':
    case 'validating':
      return t.checking;
    case 'processing':
    case 'reprocessing':
      return left ? t.readingLeft({ done, total, left }) : t.readingSheets({ done, total });
    case 'completed': {
      const all =
        detail.total_duration_ms === null
          ? t.allRead(detail.total_sheets)
          : t.allReadIn(detail.total_sheets, { time: duration(detail.total_duration_ms) });
      return detail.doubtful_sheets > 0 ? `${all} ${t.doubtMarks(detail.doubtful_sheets)}` : all;
    }
    case 'completed_with_errors':
      if (detail.failed_sheets === 0) return t.unplaced(detail.total_sheets);
      return t.someFailed(detail.failed_sheets, {
        read: detail.total_sheets - detail.failed_sheets,
        total: detail.total_sheets,
      });
    case 'failed':
      return t.stopped({ why: (detail.error_details ?? detail.message).replace(/\.+$/, '') });
    case 'paused':
      return t.pausedAfter(total, { done });
    case 'cancelled':
      return t.cancelledWords;
  }
}

const STAGE_NAMES = {
  uploading: 'stageUploading',
  extracting: 'stageExtracting',
  organizing_qr: 'stageOrganizing',
  processing_sheets: 'stageProcessing',
  collecting_results: 'stageCollecting',
  generating_csv: 'stageGenerating',
  loading_database: 'stageLoading',
  cleanup: 'stageCleanup',
  completed: 'stageCompleted',
  failed: 'stageFailed',
} as const satisfies Record<Stage, string>;
export const stageWord = (stage: Stage): string => batchWords()[STAGE_NAMES[stage]];

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
      word: stageWord(stage),
      state,
      duration_ms: began !== null && ended !== null ? Math.max(0, ended - began) : null,
      wait_ms: times?.wait_ms ?? null,
    };
  });
}

export type Connection = 'connecting' | 'live' | 'lost' | 'ended';

/** Nothing for this long (the server says something every 15 s), and the line is not alive, whatever it said last. */
const SILENT_MS = 40_000;

/** Whether what is shown is live, from what was noted of the stream, never from what the browser believes. */
export function connectionOf(
  status: BatchRow['status'] | undefined,
  cursor: { line?: 'open' | 'lost'; heard_at?: number } | undefined,
  online: boolean,
  now: number,
): Connection {
  if (status !== undefined && ENDED.includes(status)) return 'ended';
  if (cursor?.heard_at === undefined) return online ? 'connecting' : 'lost';
  return online && cursor.line === 'open' && now - cursor.heard_at < SILENT_MS ? 'live' : 'lost';
}
