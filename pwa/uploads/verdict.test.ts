import { expect, test } from 'vitest';
import type { Refused } from '../api.ts';
import { ATTEMPTS, patienceMs, pauseMs, verdict } from './verdict.ts';

const refused = (status: number, more: Partial<Refused> = {}): Refused => ({
  kind: 'refused',
  status,
  code: null,
  detail: '',
  errors: [],
  landed: null,
  retry_after_ms: null,
  ...more,
});

test.each([
  ['no network', { kind: 'unreachable', detail: '', timed_out: false } as const, 'retry'],
  ['an answer that never came', { kind: 'unreachable', detail: '', timed_out: true } as const, 'halve'],
  ['408', refused(408), 'retry'],
  ['423 busy', refused(423, { code: 'CHUNK_BUSY' }), 'retry'],
  ['500', refused(500, { code: 'INTERNAL' }), 'retry'],
  ['502 of a proxy', refused(502), 'retry'],
  ['429', refused(429, { code: 'TOO_MANY_REQUESTS' }), 'back-off'],
  ['503', refused(503, { code: 'UNAVAILABLE' }), 'back-off'],
  ['507', refused(507, { code: 'DISK_FULL' }), 'back-off'],
  ['401', refused(401, { code: 'UNAUTHORIZED' }), 'reopen'],
  ['an upload the server forgot', refused(404, { code: 'UPLOAD_NOT_FOUND' }), 'reopen'],
  ['an epoch that was overtaken', refused(409, { code: 'STALE_EPOCH' }), 'stand-down'],
  ['413 of a proxy', refused(413), 'halve'],
  ['413 of Sheaf', refused(413, { code: 'UPLOAD_TOO_LARGE' }), 'park'],
  ['bytes that arrived wrong', refused(422, { code: 'CHUNK_HASH_MISMATCH' }), 'check-bytes'],
  ['other bytes under one index', refused(409, { code: 'CHUNK_CONFLICT' }), 'park'],
  ['403', refused(403, { code: 'FORBIDDEN' }), 'park'],
  ['an upload that expired or was deleted', refused(410, { code: 'UPLOAD_GONE' }), 'reopen'],
  ['an upload that was sealed meanwhile', refused(409, { code: 'CONFLICT' }), 'look-again'],
  ['a chunk that stands at another byte', refused(409, { code: 'CONFLICT', landed: 7 }), 'resume'],
  ['properties that do not fit', refused(409, { code: 'UPLOAD_MISMATCH' }), 'park'],
])('%s', (_, answer, act) => {
  expect(verdict(answer).act).toBe(act);
});

test('Retry-After is kept to', () => {
  expect(verdict(refused(429, { retry_after_ms: 7_000 }))).toMatchObject({ after_ms: 7_000 });
});

test('a busy server is waited for as long as it asks, but not by sitting there for minutes', () => {
  expect(verdict(refused(423, { retry_after_ms: 2_000 }))).toEqual({ act: 'retry', why: 'busy', at_least_ms: 2_000 });
  expect(verdict(refused(500, { retry_after_ms: 90_000 }))).toMatchObject({ act: 'back-off', after_ms: 90_000 });
});

test('pauses are drawn from a bound that doubles up to half a minute', () => {
  const most = (attempt: number): number => pauseMs(attempt, () => 1);
  expect([1, 2, 3].map(most)).toEqual([2_000, 4_000, 8_000]);
  expect(most(20)).toBe(30_000);
  expect(pauseMs(2, () => 0)).toBe(0);
  expect(ATTEMPTS).toBe(3);
});

test('a sender that gave up comes back after a minute, later and later, within a quarter of an hour', () => {
  expect(patienceMs(0, () => 1)).toBe(60_000);
  expect(patienceMs(60_000, () => 0)).toBe(60_000);
  expect(patienceMs(60_000, () => 1)).toBe(180_000);
  expect(patienceMs(600_000, () => 1)).toBe(900_000);
});
