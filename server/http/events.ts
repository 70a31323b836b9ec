// The app's stream: one connection for all that a browser watches. It says which batches of the list have changed, and
// carries the streams of the batches that are named. Its id holds how far each of those has come, in the order in which
// the query names them, so that one id resumes all of them.
import { EventsQuery } from '../../shared/protocol/stream.ts';
import { mayKnow } from '../auth/access.ts';
import { findVisible } from '../batches/queries.ts';
import { frame, type News, type Sink } from '../progress/feeds.ts';
import { readStageLog, type Told } from '../progress/log.ts';
import type { Roster } from '../progress/roster.ts';
import { snapshot } from '../progress/snapshot.ts';
import { parse, type Routes } from './routes.ts';
import { openLine } from './sse.ts';
import type { StreamDeps } from './stream.ts';

/** The event numbers an id stands for, one a batch; null for one that is not ours. */
export function parseCursors(id: string, batches: number): number[] | null {
  const match = /^(\d{1,15}(?:-\d{1,15})*)(?:\.\d+)?$/.exec(id);
  const cursors = match?.[1]?.split('-').map(Number);
  return cursors?.length === batches ? cursors : null;
}

/** What is said of one batch among others names it; what its own stream says need not. */
export const named = (batchId: string, { type, data }: Pick<Told, 'type' | 'data'>): string =>
  type.startsWith('item.') ? `{"batch_id":${JSON.stringify(batchId)},${data.slice(1)}` : data;

export interface EventsDeps extends StreamDeps {
  roster: Roster;
}

export function eventRoutes(routes: Routes, { db, feeds, roster, closing }: EventsDeps): void {
  routes.on('GET /api/events', async (req, res, { user, expiresAt }) => {
    const asked = parse(EventsQuery, req.query, 'query').batches;
    const batches = [];
    for (const { batch_id, after } of asked) {
      const batch = await findVisible(db, user, batch_id);
      batches.push({ batch_id, after, newest: batch.event_seq });
    }
    const lastId = req.get('last-event-id') ?? '';
    const resumed = lastId === '' ? null : parseCursors(lastId, batches.length);
    const cursors = batches.map(({ after }, i) => resumed?.[i] ?? after ?? 0);
    const id = (): string => (cursors.length === 0 ? '0' : cursors.join('-'));
    const line = openLine(req, res, { at: id, expiresAt, closing });
    if (lastId !== '' && batches.length > 0 && !resumed)
      line.say('reset', {
        reason: `The id ${lastId.slice(0, 40)} is not one of these batches; what they say follows anew`,
      });
    const lookAtAll = (): unknown => line.say('batches.changed', { batch_ids: null });
    let missed = false;
    const stops: (() => void)[] = [
      roster.watch((changed) => {
        if (line.isFull()) {
          if (missed) return;
          missed = true;
          void line.drained().then(() => {
            missed = false;
            if (!line.isClosed()) lookAtAll();
          });
          return;
        }
        const mine = changed?.filter((batch) => mayKnow(user, batch)).map(({ batch_id }) => batch_id);
        if (!mine) lookAtAll();
        else if (mine.length > 0) line.say('batches.changed', { batch_ids: mine });
      }),
    ];
    // Nothing is kept of what changed while nobody listened: whoever connects looks at the list once.
    lookAtAll();

    for (const [i, { batch_id, after, newest }] of batches.entries()) {
      const write = (events: readonly Told[]): boolean => {
        let text = '';
        for (const event of events) {
          cursors[i] = event.seq;
          text += frame(event.type, id(), named(batch_id, event));
        }
        return text === '' || line.write(text);
      };
      const from = resumed?.[i] ?? after;
      if (from !== undefined && from > newest)
        line.say('reset', {
          batch_id,
          reason: `There is no event ${from} in the log of batch ${batch_id}; it follows from its start`,
        });
      if (from === undefined || from > newest) {
        cursors[i] = 0;
        if (!write(await readStageLog(db, batch_id, newest))) await line.drained();
        cursors[i] = newest;
      }
      /** An ended batch stands where it stood: that is said once. */
      let stood = '';
      const stands = (now: string): boolean => {
        if (now === stood) return !line.isFull();
        stood = now;
        return line.say('batch.progress', now);
      };
      const now = await snapshot(db, batch_id);
      if (now) stands(JSON.stringify(now));
      const sink = (): Sink => ({
        take(news: News) {
          if (news.events.length === 0 && line.isFull()) return true;
          const flowing = write(news.events);
          return news.snapshot === null ? flowing : stands(news.snapshot);
        },
        drained: () => line.drained(),
        // It may be read again, and then goes on.
        ended: () => {
          stops[i + 1]?.();
          if (!line.isClosed()) stops[i + 1] = feeds.watch(batch_id, cursors[i] ?? 0, sink());
        },
      });
      if (line.isClosed()) break;
      stops.push(feeds.watch(batch_id, cursors[i] ?? 0, sink()));
    }
    await line.over;
    for (const stop of stops) stop();
    line.close();
  });
}
