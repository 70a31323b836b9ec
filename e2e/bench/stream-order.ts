// What stream.ts and its watchers say to each other.
import * as v from 'valibot';

export const ClientOrder = v.object({
  /** of the batch's stream */
  url: v.string(),
  token: v.string(),
  clients: v.number(),
  /** id to begin after */
  from: v.number(),
});
export const ClientTold = v.variant('tell', [
  v.object({ tell: v.literal('connected') }),
  v.object({
    tell: v.literal('counted'),
    /** milliseconds, and how many events were that old */
    ages: v.array(v.tuple([v.number(), v.number()])),
    /** logged events over all watchers, each the next of the one before it */
    received: v.number(),
    /** events that were not: one is missing, or came twice */
    wrong: v.number(),
    /** the last id of each */
    lasts: v.array(v.number()),
  }),
]);
export type ClientTold = v.InferOutput<typeof ClientTold>;
