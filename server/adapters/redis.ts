// Redis: the queues between the processes, and the channel that pokes the streams. It may vanish at any moment.
import { Queue } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import type { RedisPlace } from '../config.ts';
import { BATCH_QUEUE, type BatchJob, PAGE_QUEUE, type PageJob, type Queues } from '../pipeline/flow.ts';

const PREFIX = 'sheaf';

function connect(place: NonNullable<RedisPlace>, options: Omit<RedisOptions, 'replyMapping'>): Redis {
  const all = { retryStrategy: (times: number) => Math.min(100 * times, 2000), ...options };
  return 'url' in place ? new Redis(place.url, all) : new Redis(place.socket, all);
}

/** For BullMQ's workers: waits for Redis as long as it takes. */
export const workerConnection = (place: NonNullable<RedisPlace>): Redis =>
  connect(place, { maxRetriesPerRequest: null });

/** For commands that are worth nothing later: they fail at once while Redis is away. */
export const briefConnection = (place: NonNullable<RedisPlace>): Redis =>
  connect(place, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });

export const queueOptions = { prefix: PREFIX };

export function openQueues(connection: Redis): Queues & { close(): Promise<void> } {
  const batches = new Queue<BatchJob>(BATCH_QUEUE, { connection, prefix: PREFIX });
  const pages = new Queue<PageJob>(PAGE_QUEUE, { connection, prefix: PREFIX });
  // A queue whose Redis is away says so on every attempt; the reconciler is what deals with it.
  for (const queue of [batches, pages]) queue.on('error', () => undefined);
  return {
    batches,
    pages,
    async close() {
      await Promise.all([batches.close(), pages.close()]);
    },
  };
}
