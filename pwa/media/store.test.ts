import 'fake-indexeddb/auto';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { closeChannel, forgetUser, openUser, type UserDb } from '../db.ts';
import { keepBatch, letGo, scopeOf } from '../sync/feed.ts';
import { forgetBatch } from '../sync/pull.ts';
import { forgetPictures, keepPictures, type NewPicture, type PictureOf, picturesHere, takePicture } from './store.ts';

let user: UserDb;
beforeEach(async () => {
  user = await openUser('sue');
});
afterEach(async () => {
  user.close();
  await forgetUser('sue');
  await forgetUser('bea');
});
afterAll(closeChannel);

const of = (batch: string, sheet: number, field = 'q1'): PictureOf => ({
  batch,
  sheet_id: String(sheet),
  image: 'scan',
  what: { kind: 'field', field, template: 'sheaf-40@1' },
});
/** `size` bytes that no other picture has, unless `like` says so. */
const picture = (batch: string, sheet: number, size: number, like = sheet): NewPicture => ({
  of: of(batch, sheet),
  bytes: new Uint8Array(size).fill(like).buffer,
  type: 'image/jpeg',
  raster: null,
});
const MINUTE = 60_000;
const here = async (batch: string, ...sheets: number[]): Promise<number[]> => {
  const found: number[] = [];
  for (const sheet of sheets)
    if (await user.get('pictures', (await import('./store.ts')).nameOf(of(batch, sheet)))) found.push(sheet);
  return found;
};

test('a picture comes back as it was kept, byte for byte', async () => {
  expect(await keepPictures(user, [picture('b', 1, 100)], 0)).toBe(1);
  const kept = await takePicture(user, of('b', 1), 0);
  expect(kept?.blob.type).toBe('image/jpeg');
  expect([...new Uint8Array((await kept?.blob.arrayBuffer()) ?? new ArrayBuffer(0))]).toEqual(Array(100).fill(1));
  expect(await takePicture(user, of('b', 2), 0)).toBeNull();
  expect(await takePicture(user, { ...of('b', 1), image: 'another scan' }, 0)).toBeNull();
});

test('the budget holds: what nobody has seen for longest goes first', async () => {
  await keepPictures(user, [picture('b', 1, 100)], 1 * MINUTE, 300);
  await keepPictures(user, [picture('b', 2, 100)], 2 * MINUTE, 300);
  await keepPictures(user, [picture('b', 3, 100)], 3 * MINUTE, 300);
  await takePicture(user, of('b', 1), 9 * MINUTE);
  expect(await keepPictures(user, [picture('b', 4, 100)], 10 * MINUTE, 300)).toBe(1);
  expect(await here('b', 1, 2, 3, 4)).toEqual([1, 3, 4]);
  expect((await picturesHere(user)).bytes).toBe(300);
  expect(await user.count('picture_bytes')).toBe(3);
});

test('a batch that is kept offline loses nothing to others, and what does not fit is not kept', async () => {
  await keepBatch(user, 'pinned', true, 0);
  await keepPictures(user, [picture('pinned', 1, 100), picture('pinned', 2, 100)], 1 * MINUTE, 300);
  await keepPictures(user, [picture('b', 3, 100)], 2 * MINUTE, 300);
  await keepPictures(user, [picture('b', 4, 100)], 3 * MINUTE, 300);
  expect([...(await here('pinned', 1, 2)), ...(await here('b', 3, 4))]).toEqual([1, 2, 4]);
  expect(await keepPictures(user, [picture('b', 5, 101)], 4 * MINUTE, 300)).toBe(0);
  expect(await here('b', 4, 5)).toEqual([4]);
  expect(await picturesHere(user)).toEqual({ pictures: 3, bytes: 300, pinned_bytes: 200 });
  await letGo(user, scopeOf('pinned'));
  expect(await keepPictures(user, [picture('b', 5, 250)], 5 * MINUTE, 300)).toBe(1);
  expect([...(await here('pinned', 1, 2)), ...(await here('b', 4, 5))]).toEqual([5]);
});

test('the same bytes are kept and counted once, and stay until nobody names them', async () => {
  await keepPictures(user, [picture('a', 1, 100, 7), picture('b', 2, 100, 7)], 0, 150);
  expect(await picturesHere(user)).toEqual({ pictures: 2, bytes: 100, pinned_bytes: 0 });
  expect(await user.count('picture_bytes')).toBe(1);
  await forgetPictures(user, 'a');
  expect(await takePicture(user, of('b', 2), 0)).not.toBeNull();
  await forgetPictures(user, 'b');
  expect(await user.count('picture_bytes')).toBe(0);
});

test('a picture that is kept anew leaves nothing of the one before', async () => {
  await keepPictures(user, [picture('b', 1, 100)], 0);
  await keepPictures(user, [picture('b', 1, 50, 9)], 0);
  expect(await picturesHere(user)).toEqual({ pictures: 1, bytes: 50, pinned_bytes: 0 });
  expect(await user.count('picture_bytes')).toBe(1);
});

test('a batch that is no longer there for this user takes its pictures along', async () => {
  await keepPictures(user, [picture('a', 1, 100), picture('b', 2, 100)], 0);
  await forgetBatch(user, 'a');
  expect(await user.getAllKeys('pictures')).toEqual([expect.stringContaining('2|')]);
  expect(await user.count('picture_bytes')).toBe(1);
});

test('a sign-out leaves no picture, also when edits stay behind, and another user never sees any', async () => {
  await keepPictures(user, [picture('a', 1, 100)], 0);
  await user.add('outbox', {
    subject: 'sheet:1',
    made_at: '',
    change: { kind: 'correct', batch_id: 'a', items: [], reason: null },
    base: { on: 'nothing' },
    state: { at: 'waiting' },
  } as never);
  const other = await openUser('bea');
  expect(await takePicture(other, of('a', 1), 0)).toBeNull();
  other.close();
  user.close();
  await forgetUser('sue');
  user = await openUser('sue');
  expect([await user.count('outbox'), await user.count('pictures'), await user.count('picture_bytes')]).toEqual([
    1, 0, 0,
  ]);
  await user.clear('outbox');
});

test('on a full device what nobody keeps offline makes way, and what does not fit then is said', async () => {
  await keepPictures(user, [picture('b', 1, 100)], 0);
  const real = IDBObjectStore.prototype.put;
  let refusals = 2;
  IDBObjectStore.prototype.put = function (...args: Parameters<typeof real>) {
    if (this.name === 'picture_bytes' && refusals-- > 0) throw new DOMException('full', 'QuotaExceededError');
    return real.apply(this, args);
  };
  try {
    expect(await keepPictures(user, [picture('b', 2, 100)], 0)).toBe(0);
    expect(await here('b', 1, 2)).toEqual([]);
    expect(await keepPictures(user, [picture('b', 3, 100)], 0)).toBe(1);
  } finally {
    IDBObjectStore.prototype.put = real;
  }
});
