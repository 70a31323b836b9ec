// What happened, in order: stages and failures as the stream told them, newest first.
import type { StoredEvent } from '../../db.ts';
import { count, duration, timeOfDay } from '../../ui/format.ts';
import { Scroll } from '../../ui/parts.tsx';
import { logLines } from './log-lines.ts';

/** Older lines are counted, not drawn. */
const MOST_LINES = 200;

export const ActivityLog = ({ events, startedAt }: { events: StoredEvent[] | undefined; startedAt: string }) => {
  const lines = logLines(events ?? [], startedAt);
  const shown = lines.slice(0, MOST_LINES);
  return (
    <section class="card" aria-labelledby="log-title">
      <h2 id="log-title" class="card-title">
        Activity {lines.length > 0 && <span class="badge">{count(lines.length)}</span>}
      </h2>
      {lines.length === 0 ? (
        <p class="quiet-line">Nothing has been told yet.</p>
      ) : (
        <Scroll way="down" name="Activity">
          <ol class="log">
            {shown.map((line) => (
              <li key={line.seq} class={line.tone}>
                <time dateTime={line.at}>{timeOfDay(line.at)}</time>
                <span class="log-words">
                  <b>{line.title}</b> {line.words}
                </span>
                <span class="log-elapsed">+{duration(line.elapsed_ms)}</span>
              </li>
            ))}
          </ol>
          {lines.length > shown.length && <p class="quiet-line">{count(lines.length - shown.length)} earlier lines</p>}
        </Scroll>
      )}
    </section>
  );
};
