import { expect, test } from 'vitest';
import type { Chunk, Step, Upload } from '../../db.ts';
import { sumUp, viewUpload } from './state.ts';

const MB = 2 ** 20;
const upload = (step: Step): Upload => ({
  id: 'a',
  owner: { user_id: 'u1', username: 'amal' },
  upload_type: 'zip_with_qr',
  name: 'scans.zip',
  size: 120 * MB,
  chunk_size: 50 * MB,
  task_id: null,
  files: [{ name: 'scans.zip', size: 120 * MB }],
  created_at: '2026-01-01T10:00:00Z',
  step,
  server: null,
});
const chunk = (index: number, state: Chunk['state'], size = 50 * MB): Chunk => ({
  upload: 'a',
  index,
  size,
  sha256: '',
  landed: state === 'sent' ? size : 0,
  state,
});

test('[U1] while it is copied only what is stored is called safe', () => {
  const view = viewUpload(upload({ at: 'staging' }), [chunk(0, 'staged')], null, 0);
  expect(view.sentence).toContain('50 MB of 120 MB safe');
  expect(view.cells).toEqual(['safe', 'none', 'none']);
  expect(view.word).not.toContain('Safe');
});

test('what is paused says so while it would be sent, and nothing else of it is hidden', () => {
  const paused = { ...upload({ at: 'queued' }), paused: true };
  const lease = { key: 'sender' as const, by: 'page' as const, upload: 'a', beat: 0, flying: 0, rate: null };
  const view = viewUpload(paused, [chunk(0, 'sent'), chunk(1, 'staged')], lease, 0);
  expect(view).toMatchObject({ word: 'Paused', sent: 1, safe: 2, sending: false, can_pause: false });
  expect(viewUpload({ ...paused, paused: false }, [], null, 0).can_pause).toBe(true);
  // Copying goes on: the more is safe here, the better.
  expect(viewUpload({ ...upload({ at: 'staging' }), paused: true }, [], null, 0).word).toBe('Copying');
});

test('when the copying broke off, the file is asked for by name', () => {
  const view = viewUpload(upload({ at: 'incomplete', why: 'interrupted' }), [chunk(0, 'staged')], null, 0);
  expect(view.needs_file).toBe(true);
  expect(view.sentence).toContain('50 MB of 120 MB are safe');
  expect(view.sentence).toContain('“scans.zip”');
});

test('it is being sent only while somebody has the lease and beats', () => {
  const chunks = [chunk(0, 'sent'), chunk(1, 'staged'), chunk(2, 'sent', 20 * MB)];
  const lease = { key: 'sender' as const, by: 'page' as const, upload: 'a', beat: 1_000_000, flying: 0, rate: null };
  const sending = viewUpload(upload({ at: 'queued' }), chunks, lease, 1_010_000);
  expect(sending).toMatchObject({ sending: true, sent: 2, total: 3, word: 'Sending' });
  expect(sending.sentence).toBe('Sending chunk 3 of 3.');
  const measured = viewUpload(upload({ at: 'queued' }), chunks, { ...lease, flying: 10 * MB, rate: MB }, 1_010_000);
  expect(measured.sent_bytes).toBe(80 * MB);
  expect(measured.sentence).toBe('Sending chunk 3 of 3 at 1 MB/s, less than a minute left.');
  expect(viewUpload(upload({ at: 'queued' }), chunks, lease, 1_030_000)).toMatchObject({
    sending: false,
    word: 'Safe on this device',
  });
});

test('what is sent counts as sent although its chunks are gone', () => {
  expect(viewUpload(upload({ at: 'sent', sealed_at: '2026-01-01T11:00:00Z' }), [], null, 0)).toMatchObject({
    sent: 3,
    safe: 3,
    tone: 'ok',
  });
});

test('the sum tells sending before attention before waiting', () => {
  const waiting = viewUpload(upload({ at: 'queued' }), [], null, 0);
  const parked = viewUpload(upload({ at: 'parked', code: 'FORBIDDEN', detail: 'no' }), [], null, 0);
  const sent = viewUpload(upload({ at: 'sent', sealed_at: '2026-01-01T11:00:00Z' }), [], null, 0);
  expect(sumUp([sent])).toMatchObject({ work: 'none', uploads: 0 });
  expect(sumUp([waiting, sent])).toMatchObject({ work: 'waiting', of: 3 });
  expect(sumUp([waiting, parked])).toMatchObject({ work: 'attention', attention: 1, uploads: 1, of: 3 });
  expect(sumUp([{ ...waiting, sending: true }, parked])).toMatchObject({ work: 'sending', attention: 1 });
});
