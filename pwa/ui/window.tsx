// A long list of which only what is in view is drawn. Rows are of one height; some may be opened and are taller.
import './window.css';
import type { ComponentChildren, RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface WindowProps {
  name: string;
  count: number;
  /** pixels */
  rowHeight: number;
  /** extra pixels of rows that are open, by index */
  open: ReadonlyMap<number, number>;
  row: (index: number) => ComponentChildren;
  /** the box that scrolls */
  box: RefObject<HTMLDivElement | null>;
  onScroll?: () => void;
}

/** Rows above and below what is seen: a quick finger must not see white. */
const SPARE = 12;

export const WindowedList = ({ name, count, rowHeight, open, row, box, onScroll }: WindowProps) => {
  const [view, setView] = useState({ top: 0, height: 480 });
  const raf = useRef(0);
  const look = (): void => {
    const el = box.current;
    if (!el) return;
    setView((before) =>
      before.top === el.scrollTop && before.height === el.clientHeight
        ? before
        : { top: el.scrollTop, height: el.clientHeight },
    );
  };
  useLayoutEffect(() => {
    look();
    return () => cancelAnimationFrame(raf.current);
  }, [count]);
  const opened = [...open].filter(([index]) => index < count).sort(([a], [b]) => a - b);
  const topOf = (index: number): number =>
    opened.reduce((top, [at, extra]) => (at < index ? top + extra : top), index * rowHeight);
  // With few rows open the estimate is off by their heights at most, which the spare rows cover.
  const extraAbove = topOf(Math.floor(view.top / rowHeight)) - Math.floor(view.top / rowHeight) * rowHeight;
  const first = Math.max(0, Math.floor((view.top - extraAbove) / rowHeight) - SPARE);
  const last = Math.min(count, Math.ceil((view.top + view.height) / rowHeight) + SPARE);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      ref={box}
      class="window"
      role="group"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by the keyboard
      tabIndex={0}
      aria-label={name}
      onScroll={() => {
        cancelAnimationFrame(raf.current);
        raf.current = requestAnimationFrame(look);
        onScroll?.();
      }}
    >
      <div class="window-all" style={{ blockSize: `${topOf(count)}px` }}>
        <ul class="window-part" style={{ transform: `translateY(${topOf(first)}px)` }}>
          {Array.from({ length: Math.max(0, last - first) }, (_, i) => (
            <li
              key={first + i}
              aria-setsize={count}
              aria-posinset={first + i + 1}
              class={(first + i) % 2 === 1 ? 'odd' : ''}
              style={{ blockSize: `${rowHeight + (open.get(first + i) ?? 0)}px` }}
            >
              {row(first + i)}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
};
