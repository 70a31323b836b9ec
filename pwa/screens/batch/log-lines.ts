// From stored events to the lines of the activity log. Pure. Sheets that went well are the progress, not the log.
import type { StoredEvent } from '../../db.ts';
import { duration } from '../../ui/format.ts';
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

/** Newest first. A failed item carries no time of its own: it stands at the time of what was told before it. */
export function logLines(events: readonly StoredEvent[], startedAt: string): LogLine[] {
  const t = batchWords();
  const lines: LogLine[] = [];
  let at = startedAt;
  let elapsed_ms = 0;
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
          words: event.type === 'error' ? event.data.error_details : event.data.message,
        });
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
