// SHA-256 of what a Blob holds. Web Crypto takes a chunk only as a whole, so its bytes are in memory once; whoever looks at
// many chunks reads each into the buffer of the one before, and leaves nothing behind for V8 to sweep.

/** Taken off a stream at once. */
const PIECE = 4 * 2 ** 20;

const hex = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
export const sha256 = async (bytes: BufferSource): Promise<string> => hex(await crypto.subtle.digest('SHA-256', bytes));

/** Answers the buffer that the bytes are in: it changes hands with every read, and is lost when a read fails. */
async function fill(buffer: ArrayBuffer, blob: Blob): Promise<ArrayBuffer> {
  const reader = blob.stream().getReader({ mode: 'byob' });
  let filled = 0;
  while (filled < blob.size) {
    const { value, done } = await reader.read(new Uint8Array(buffer, filled, Math.min(PIECE, blob.size - filled)));
    if (done) throw new Error(`a Blob of ${blob.size} bytes ended after ${filled}`);
    buffer = value.buffer;
    filled += value.byteLength;
  }
  await reader.cancel();
  return buffer;
}

/** One Blob at a time. Rejects with what the browser says of bytes that cannot be read. */
export function createDigester(): (blob: Blob) => Promise<string> {
  let buffer = new ArrayBuffer(0);
  return async (blob) => {
    if (buffer.byteLength < blob.size) buffer = new ArrayBuffer(blob.size);
    try {
      buffer = await fill(buffer, blob);
    } catch {
      // No byte streams in this browser, or a fault: a stream calls every one a network error, this names it.
      buffer = new ArrayBuffer(0);
      return sha256(await blob.arrayBuffer());
    }
    return sha256(new Uint8Array(buffer, 0, blob.size));
  };
}
