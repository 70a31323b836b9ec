// From stored events to the lines of the activity log. Pure. Sheets that went well are the progress, not the log.
import type { LoggedEvent } from '../../../shared/protocol/stream.ts';
import type { StoredEvent } from '../../db.ts';
import { duration, share } from '../../ui/format.ts';
import { language } from '../../ui/language.ts';
import { stageWord } from './story.ts';
import { batchWords } from './words.ts';

export interface LogLine {
  seq: number;
  /** RFC 3339 */
  at: string;
  elapsed_ms: number;
  tone: 'plain' | 'bad' | 'ok';
  title: string;
  words: string;
}

type Told = Extract<LoggedEvent, { type: 'progress' | 'complete' | 'error' }>;

/**
 * The server's messages are English. In another language what the event's numbers say is said from them; what moved
 * neither stage nor percentage tells something else (who paused it, why it waits), and is shown as it came.
 *
 * @param stood the one before
 */
function wordsOf(event: Told, stood: Told['data'] | null): string {
  if (event.type === 'error') return event.data.error_details;
  const { message, stage, progress_percentage: percentage, sheets_processed, sheets_total } = event.data;
  if (language.get() === 'en') return message;
  const t = batchWords();
  if (event.type === 'complete') {
    const { total_sheets, failed_sheets, status } = event.data;
    if (failed_sheets > 0) return t.endedFailed({ failed: failed_sheets, total: total_sheets });
    return status === 'completed' ? t.endedWell(total_sheets) : t.endedHeld;
  }
  if (stood?.stage === stage && stood.progress_percentage === percentage) return message;
  if (percentage >= 100) return t.stageDone;
  if (percentage <= 0) return t.stageBegan;
  return stage === 'processing_sheets'
    ? t.sheetsAt({ done: sheets_processed, total: sheets_total })
    : t.stageAt({ share: share(percentage / 100) });
}

/** Newest first. A failed item carries no time of its own: it stands at the time of what was told before it. */
export function logLines(events: readonly StoredEvent[], startedAt: string): LogLine[] {
  const t = batchWords();
  const lines: LogLine[] = [];
  let at = startedAt;
  let elapsed_ms = 0;
  let stood: Told['data'] | null = null;
  for (const { seq, event } of events) {
    switch (event.type) {
      case 'progress':
      case 'complete':
      case 'error':
        at = event.data.timestamp;
        elapsed_ms = event.data.elapsed_seconds * 1000;
        lines.push({
          seq,
          at,
          elapsed_ms,
          tone: event.type === 'error' ? 'bad' : event.type === 'complete' ? 'ok' : 'plain',
          title: stageWord(event.data.stage),
          words: wordsOf(event, stood),
        });
        stood = event.data;
        break;
      case 'item.completed':
        at = event.data.completed_at;
        elapsed_ms = Math.max(elapsed_ms, Date.parse(at) - Date.parse(startedAt));
        break;
      case 'item.started':
        at = event.data.started_at;
        break;
      case 'item.failed':
        lines.push({
          seq,
          at,
          elapsed_ms,
          tone: 'bad',
          title: t.pageNamed({ n: event.data.item_index + 1 }),
          words: `${event.data.error_message}${event.data.will_retry ? ` ${t.againLater}` : ''}`,
        });
        break;
      case 'batch.complete':
        lines.push({
          seq,
          at,
          elapsed_ms,
          tone: event.data.status === 'failed' || event.data.status === 'cancelled' ? 'plain' : 'ok',
          title: t.allPages,
          words: t.allSum({
            read: event.data.completed_items,
            failed: event.data.failed_items,
            time: duration(event.data.total_duration_ms),
          }),
        });
    }
  }
  return lines.reverse();
}
