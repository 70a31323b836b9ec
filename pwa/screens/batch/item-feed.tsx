// Sheets as they are read, newest last. Scrolls along until somebody scrolls back; then new ones wait behind a button,
// so that nothing moves under the pointer.
import './item-feed.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { pagePath } from '../../route.ts';
import { IconButton, Switch } from '../../ui/controls.tsx';
import { count, duration } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { WindowedList } from '../../ui/window.tsx';
import type { FeedRow } from './feed.ts';
import { batchWords } from './words.ts';

const ROW_PX = 44;
const WHY_PX = 56;

export const ItemFeed = ({
  batch,
  rows,
  alive,
}: {
  batch: string;
  rows: readonly FeedRow[];
  /** more may come */
  alive: boolean;
}) => {
  const t = batchWords();
  const box = useRef<HTMLDivElement>(null);
  /** where the list stood when it last told that it scrolled, px */
  const was = useRef(0);
  const [follows, setFollows] = useState(true);
  /** how many were there when somebody scrolled back */
  const [seen, setSeen] = useState(0);
  const [open, setOpen] = useState<ReadonlyMap<number, number>>(new Map());
  // What has ended is read from its beginning.
  const scrolls = follows && alive;
  const shown = follows || !alive ? rows.length : Math.min(seen, rows.length);
  const fresh = rows.length - shown;
  useEffect(() => {
    if (scrolls) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [scrolls, rows.length]);
  const atEnd = (): boolean => {
    const el = box.current;
    return !el || el.scrollHeight - el.scrollTop - el.clientHeight < ROW_PX;
  };
  const follow = (on: boolean): void => {
    setSeen(rows.length);
    setFollows(on);
  };
  return (
    <section class="card feed" aria-labelledby="feed-title">
      <div class="feed-head">
        <h2 id="feed-title" class="card-title">
          {t.feed} {rows.length > 0 && <span class="badge">{count(rows.length)}</span>}
        </h2>
        {alive && <Switch label={t.resumeScroll} on={follows} onChange={follow} />}
      </div>
      {rows.length === 0 ? (
        <p class="quiet-line">{t.noItems}</p>
      ) : (
        <div class="feed-box">
          <WindowedList
            name={t.feed}
            count={shown}
            rowHeight={ROW_PX}
            open={open}
            box={box}
            onScroll={() => {
              const top = box.current?.scrollTop ?? 0;
              // Only a person scrolls back: rows that came meanwhile take the end away as well, and are no reason to stop.
              if (scrolls && top < was.current && !atEnd()) follow(false);
              was.current = top;
            }}
            row={(index) => {
              const row = rows[index];
              return (
                row && (
                  <Row
                    batch={batch}
                    row={row}
                    open={open.has(index)}
                    onToggle={() => {
                      const next = new Map(open);
                      if (!next.delete(index)) next.set(index, WHY_PX);
                      setOpen(next);
                      if (scrolls) follow(false);
                    }}
                  />
                )
              );
            }}
          />
          {fresh > 0 && (
            <button type="button" class="button new-items" onClick={() => follow(true)}>
              <Icon name="down" />
              {t.newItems(fresh)}
            </button>
          )}
        </div>
      )}
    </section>
  );
};

const STATES = {
  read: { icon: 'done', word: 'itemRead' },
  reading: { icon: 'running', word: 'itemReading' },
  failed: { icon: 'failed', word: 'itemFailed' },
} as const;

const Row = ({ batch, row, open, onToggle }: { batch: string; row: FeedRow; open: boolean; onToggle: () => void }) => {
  const t = batchWords();
  const n = row.index + 1;
  const { icon, word } = STATES[row.state];
  return (
    <div class={`feed-row ${row.state}`} data-item={n}>
      <div class="feed-line">
        <span class="feed-page">{t.page({ n })}</span>
        <span class="feed-state">
          <Icon name={icon} />
          {t[word]}
          {row.will_retry && <span class="quiet-line inline">{t.willRetry}</span>}
        </span>
        <span class="feed-time">{row.duration_ms === null ? '' : duration(row.duration_ms)}</span>
        {row.error !== null && (
          <IconButton icon={open ? 'up' : 'down'} label={t.showError({ n })} aria-expanded={open} onClick={onToggle} />
        )}
        {row.sheet_id !== null && (
          <a
            class="button quiet icon-button"
            href={pagePath(batch, row.index)}
            aria-label={t.toSheet({ n })}
            title={t.toSheet({ n })}
          >
            <Icon name="open" />
          </a>
        )}
      </div>
      {open && row.error !== null && (
        <p class="feed-why" dir="auto">
          {row.error}
        </p>
      )}
    </div>
  );
};
