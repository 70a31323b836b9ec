// What happened, in order: stages and failures as the stream told them, newest first.
import type { StoredEvent } from '../../db.ts';
import { count, duration, timeOfDay } from '../../ui/format.ts';
import { Scroll } from '../../ui/parts.tsx';
import { logLines } from './log-lines.ts';
import { batchWords } from './words.ts';

/** Older lines are counted, not drawn. */
const MOST_LINES = 200;

export const ActivityLog = ({
  events,
  startedAt,
}: {
  events: readonly StoredEvent[] | undefined;
  startedAt: string;
}) => {
  const t = batchWords();
  const lines = logLines(events ?? [], startedAt);
  const shown = lines.slice(0, MOST_LINES);
  return (
    <section class="card" aria-labelledby="log-title">
      <h2 id="log-title" class="card-title">
        {t.activity} {lines.length > 0 && <span class="badge">{count(lines.length)}</span>}
      </h2>
      {lines.length === 0 ? (
        <p class="quiet-line">{t.nothingTold}</p>
      ) : (
        <Scroll way="down" name={t.activity}>
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
          {lines.length > shown.length && <p class="quiet-line">{t.earlier(lines.length - shown.length)}</p>}
        </Scroll>
      )}
    </section>
  );
};
