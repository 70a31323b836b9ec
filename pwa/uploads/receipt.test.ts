import { expect, test } from 'vitest';
import type { Upload } from '../db.ts';
import { receiptOf } from './receipt.ts';

test('a receipt names the file, its batch, when it was verified, and every chunk in file order', () => {
  const upload: Upload = {
    id: 'a',
    owner: { user_id: 'u1', username: 'amal' },
    upload_type: 'zip_with_qr',
    name: 'scans.zip',
    size: 12,
    chunk_size: 8,
    task_id: null,
    files: [{ name: 'scans.zip', size: 12 }],
    created_at: '2026-01-01T10:00:00Z',
    step: { at: 'sent', sealed_at: '2026-01-01T10:05:00Z' },
    server: { upload_id: 'up', batch_id: 'ba', upload_token: 'secret', epoch: 1 },
  };
  const chunk = (index: number, size: number) => ({
    upload: 'a',
    index,
    size,
    sha256: `digest-${index}`,
    landed: size,
    state: 'sent' as const,
  });
  const text = receiptOf(upload, [chunk(1, 4), chunk(0, 8)]);
  for (const part of ['name: scans.zip', 'batch: ba', 'verified by the server: 2026-01-01T10:05:00Z'])
    expect(text).toContain(part);
  expect(text).toMatch(/0 8 digest-0\n1 4 digest-1\n$/);
  expect(text).not.toContain('secret');
});
