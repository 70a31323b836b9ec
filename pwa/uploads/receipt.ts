// What this device can prove of an upload that arrived: what it was, where it is now, and the digest of every chunk that
// the server verified. Pure.
import type { Chunk, Upload } from '../db.ts';

/** Lines of text, as they are saved; English, since whoever checks it may be anywhere. Digests are SHA-256 in hex. */
export function receiptOf(upload: Upload, chunks: readonly Chunk[]): string {
  const { step, server } = upload;
  const lines = [
    'Sheaf: receipt of an upload',
    '',
    `name: ${upload.name}`,
    `bytes: ${upload.size}`,
    ...upload.files.map(({ name, size }) => `file: ${name} (${size} bytes)`),
    ...(upload.task_id ? [`task: ${upload.task_id}`] : []),
    `sent by: ${upload.owner.username}`,
    `queued: ${upload.created_at}`,
    ...(step.at === 'sent' ? [`verified by the server: ${step.sealed_at}`] : []),
    ...(server ? [`batch: ${server.batch_id}`, `upload: ${server.upload_id}`] : []),
    '',
    `chunks of ${upload.chunk_size} bytes, SHA-256 of each:`,
    ...[...chunks].sort((a, b) => a.index - b.index).map(({ index, size, sha256 }) => `${index} ${size} ${sha256}`),
  ];
  return `${lines.join('\n')}\n`;
}
