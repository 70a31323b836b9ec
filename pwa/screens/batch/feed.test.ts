import { expect, test } from 'vitest';
import type { StoredEvent } from '../../db.ts';
import { createFeed } from './feed.ts';

const item = (n: number) => ({ item_id: `i${n}`, item_index: n });
const stored = (event: StoredEvent['event'], seq = 1): StoredEvent => ({ batch: 'b', seq, event });
const started = (n: number) =>
  stored({ type: 'item.started', data: { ...item(n), started_at: '2026-01-01T10:00:00Z' } });
const failed = (n: number, will_retry: boolean) =>
  stored({ type: 'item.failed', data: { ...item(n), error_message: 'no marks', retry_count: 0, will_retry } });
const completed = (n: number) =>
  stored({
    type: 'item.completed',
    data: { ...item(n), sheet_id: `s${n}`, duration_ms: 48, completed_at: '2026-01-01T10:00:01Z' },
  });

test('a sheet has one row, which changes in its place', () => {
  const feed = createFeed();
  feed.take([started(1), started(0)]);
  const rows = feed.take([completed(0), failed(1, true), started(2)]);
  expect(rows.map(({ index, state }) => [index, state])).toEqual([
    [1, 'failed'],
    [0, 'read'],
    [2, 'reading'],
  ]);
  expect(feed.take([started(1), completed(1)])[0]).toMatchObject({ state: 'read', error: null, sheet_id: 's1' });
});

test('a feed without news is the same list, and one that starts anew is empty', () => {
  const feed = createFeed();
  const rows = feed.take([started(1)]);
  expect(feed.take([])).toBe(rows);
  feed.clear();
  expect(feed.take([])).toEqual([]);
});
