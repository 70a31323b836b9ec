import { expect, test } from 'vitest';
import { named, parseCursors } from './events.ts';

test('[T1] an id stands for one event number a batch, whatever came after it', () => {
  expect(parseCursors('12-7', 2)).toEqual([12, 7]);
  expect(parseCursors('12-7.31', 2)).toEqual([12, 7]);
  expect(parseCursors('0', 1)).toEqual([0]);
});

test.each(['12', '12-7-3', '', '12-', '-7', '12-7.', '12,7', 'x-7', '12-1234567890123456'])(
  '%j is no id of two batches',
  (id) => {
    expect(parseCursors(id, 2)).toBeNull();
  },
);

test('a sheet’s event names its batch, what names it already stays as it is', () => {
  const item = { type: 'item.completed', data: '{"item_id":"1"}' } as const;
  expect(JSON.parse(named('b-1', item))).toEqual({ batch_id: 'b-1', item_id: '1' });
  const progress = { type: 'progress', data: '{"batch_id":"b-1"}' } as const;
  expect(named('b-1', progress)).toBe(progress.data);
});
