// Tells Redis what was logged: the seeds' keys, kept 24 hours, and the channel that wakes the streams of every API
// process. A copy of what SQL holds, written after the commit: when Redis is away, nothing is lost but speed.
import type { Logged } from './log.ts';

const KEPT_SECONDS = 86_400;
export const CHANNELS = 'batch:*:progress';
export const channelOf = (batchId: string): string => `batch:${batchId}:progress`;
export const batchOfChannel = (channel: string): string => channel.slice('batch:'.length, -':progress'.length);

/** The little of ioredis that this needs. */
export interface Announcer {
  pipeline(): {
    set(key: string, value: string, mode: 'EX', seconds: number): unknown;
    rpush(key: string, ...values: string[]): unknown;
    expire(key: string, seconds: number): unknown;
    publish(channel: string, message: string): unknown;
    exec(): Promise<unknown>;
  };
  readonly status: string;
}

/** Takes the copy of a purged batch away. Never throws: without it, the keys run out by themselves. */
export const createForget =
  (redis: { del(...keys: string[]): Promise<unknown> }) =>
  (batchId: string): void => {
    const key = channelOf(batchId);
    redis.del(`${key}:current`, `${key}:log`).catch(() => undefined);
  };

/** Wakes whoever watches a batch or the list, when something changed that is not in the log. Never throws. */
export const createTouch =
  (redis: { publish(channel: string, message: string): Promise<unknown> }) =>
  (batchId: string): void => {
    redis.publish(channelOf(batchId), '{}').catch(() => undefined);
  };

export type Announce = (logged: readonly Logged[]) => void;

/** Returns a function that never throws and is never waited for. */
export const createAnnounce =
  (redis: Announcer): Announce =>
  (logged) => {
    const first = logged[0];
    if (!first || redis.status !== 'ready') return;
    const key = channelOf(first.batch_id);
    const told = logged.filter(
      (l) => l.event.type === 'progress' || l.event.type === 'complete' || l.event.type === 'error',
    );
    const lines = told.map((l) => JSON.stringify({ ...l.event.data, id: l.seq }));
    const pipeline = redis.pipeline();
    const newest = lines.at(-1);
    if (newest) {
      pipeline.set(`${key}:current`, newest, 'EX', KEPT_SECONDS);
      pipeline.rpush(`${key}:log`, ...lines);
      pipeline.expire(`${key}:log`, KEPT_SECONDS);
    }
    for (const line of lines) pipeline.publish(key, line);
    if (lines.length < logged.length) pipeline.publish(key, JSON.stringify({ id: logged.at(-1)?.seq }));
    // Redis may go away between the check and the write: the streams then find the events by polling SQL.
    pipeline.exec().catch(() => undefined);
  };
