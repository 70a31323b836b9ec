// What the upload bench orders of its sender process, and what that tells on the way.
import * as v from 'valibot';

export const Order = v.variant('way', [
  v.object({ way: v.literal('tus'), url: v.string(), file: v.string() }),
  v.object({
    way: v.literal('sheaf'),
    url: v.string(),
    file: v.string(),
    token: v.string(),
    chunkSize: v.number(),
    /** chunks under way at once */
    parallel: v.number(),
    /** of the line; null: as fast as it goes */
    bytesPerSecond: v.nullable(v.number()),
  }),
]);
export type Order = v.InferOutput<typeof Order>;
/** What the sender tells its parent. Times are ms since 1970. */
export const Told = v.variant('told', [
  v.object({ told: v.literal('opened'), batch_id: v.string(), at: v.number() }),
  /** bytes of the file that have been put on the line so far */
  v.object({ told: v.literal('sent'), bytes: v.number(), at: v.number() }),
  v.object({ told: v.literal('done'), began: v.number(), ended: v.number(), lastByteAt: v.number() }),
]);
export type Told = v.InferOutput<typeof Told>;
