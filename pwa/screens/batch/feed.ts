// From stored events to the rows of the item feed: one a sheet, in the order in which they were first heard of. Pure, and
// fed piece by piece: a batch of 11,404 sheets has twice as many events, and four times a second there are more.
import type { SheetRow } from '../../../shared/protocol/batch.ts';
import type { StoredEvent } from '../../db.ts';

export interface FeedRow {
  item_id: string;
  /** in file order, from 0 */
  index: number;
  state: 'reading' | 'read' | 'failed';
  /** ms, once it was read */
  duration_ms: number | null;
  sheet_id: string | null;
  error: string | null;
  attempts: number;
  will_retry: boolean;
}

export function createFeed() {
  let rows: FeedRow[] = [];
  let at = new Map<string, number>();

  const put = (item_id: string, index: number, change: Partial<FeedRow>): void => {
    const place = at.get(item_id);
    const before: FeedRow = (place === undefined ? undefined : rows[place]) ?? {
      item_id,
      index,
      state: 'reading',
      duration_ms: null,
      sheet_id: null,
      error: null,
      attempts: 1,
      will_retry: false,
    };
    const row = { ...before, ...change };
    if (place !== undefined) rows[place] = row;
    else {
      at.set(item_id, rows.length);
      rows.push(row);
    }
  };

  return {
    /** @returns the same list as before where nothing has changed */
    take(events: readonly StoredEvent[]): readonly FeedRow[] {
      if (events.length === 0) return rows;
      rows = [...rows];
      for (const { event } of events) {
        if (event.type === 'item.started')
          put(event.data.item_id, event.data.item_index, { state: 'reading', error: null });
        else if (event.type === 'item.completed')
          put(event.data.item_id, event.data.item_index, {
            state: 'read',
            duration_ms: event.data.duration_ms,
            sheet_id: event.data.sheet_id,
            error: null,
            will_retry: false,
          });
        else if (event.type === 'item.failed')
          put(event.data.item_id, event.data.item_index, {
            state: 'failed',
            error: event.data.error_message,
            attempts: event.data.retry_count + 1,
            will_retry: event.data.will_retry,
          });
      }
      return rows;
    },
    /** The log was told anew from its start. */
    clear(): void {
      rows = [];
      at = new Map();
    },
  };
}

/**
 * Whoever opens a batch in the middle is not told of every sheet that was read before: those are taken from the sheets
 * themselves, in file order, ahead of what the log tells.
 */
export function withEarlier(rows: readonly FeedRow[], sheets: readonly SheetRow[]): readonly FeedRow[] {
  const told = new Set(rows.map(({ index }) => index));
  const earlier = sheets.filter(({ status, page_index }) => status !== 'waiting' && !told.has(page_index));
  if (earlier.length === 0) return rows;
  return [
    ...earlier.map(
      (sheet): FeedRow => ({
        item_id: sheet.sheet_id,
        index: sheet.page_index,
        state: sheet.status === 'failed' ? 'failed' : 'read',
        duration_ms: null,
        sheet_id: sheet.sheet_id,
        error: sheet.error_message,
        attempts: 1,
        will_retry: false,
      }),
    ),
    ...rows,
  ];
}
