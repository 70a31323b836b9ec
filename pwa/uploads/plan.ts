// Which chunks of an upload go next, and in what order. Pure.

/** Inclusive ranges, as the server lists what it holds. */
export type Ranges = readonly (readonly [number, number])[];

export const inRanges = (ranges: Ranges, index: number): boolean =>
  ranges.some(([first, last]) => first <= index && index <= last);

/** A ZIP's directory is at most this far from its end in all but the largest archives: 11,000 entries take 0.8 MB. */
const DIRECTORY_REACH = 2 ** 20;

/**
 * The chunks still to be sent. The end of the file goes first, because a ZIP keeps its directory there and the server
 * reads pages as soon as it knows where they lie; then from the start on.
 */
export function sendingOrder(size: number, chunkSize: number, held: Ranges): number[] {
  const count = Math.ceil(size / chunkSize);
  const tail = Math.max(0, Math.floor((size - DIRECTORY_REACH) / chunkSize));
  const order: number[] = [];
  for (let i = tail; i < count; i++) order.push(i);
  for (let i = 0; i < tail; i++) order.push(i);
  return order.filter((i) => !inRanges(held, i));
}
