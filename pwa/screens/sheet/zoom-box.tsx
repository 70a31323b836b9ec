// A box that a page is looked at through: drag, two fingers, wheel, keys and buttons. A tap that moves nothing is handed on.
// Never mirrored: paper reads the same way in every language.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from '../../ui/controls.tsx';
import { share } from '../../ui/format.ts';
import { sheetWords } from './words.ts';
import { fitted, focused, held, panned, pinched, type Rect, type Size, type View, zoomed } from './zoom.ts';

const STEP = 1.4;
/** Pixels that an arrow key moves the page. */
const PAN_PX = 60;
/** A finger that has moved less than this has tapped. */
const TAP_PX = 6;

type Point = { x: number; y: number };

export const ZoomBox = ({
  size,
  focus,
  onTap,
  onZoom,
  children,
}: {
  /** of what is looked at */
  size: Size;
  /** a part of it to bring into the middle, anew whenever `at` changes */
  focus: { part: Rect; at: number } | null;
  /** where on the page */
  onTap: (point: Point) => void;
  /** pixels of the screen in one of the page, whenever that has changed */
  onZoom: (scale: number) => void;
  children: ComponentChildren;
}) => {
  const t = sheetWords();
  const frame = useRef<HTMLDivElement>(null);
  const [box, setBox] = useState<Size | null>(null);
  // null: all of the page is shown, also after the box has changed its size
  const [chosen, setChosen] = useState<View | null>(null);
  const fingers = useRef(new Map<number, Point>());
  const moved = useRef(0);
  const view = box && (chosen ? held(chosen, size, box) : fitted(size, box));

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) setBox({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  // Before it is painted: a step that somebody takes on what they see must not be taken back a moment later.
  useLayoutEffect(() => setChosen(null), [size.width, size.height]);
  useLayoutEffect(() => {
    if (focus && box) setChosen(focused(focus.part, size, box));
  }, [focus?.at, box !== null]);
  const scale = view?.scale ?? 0;
  useEffect(() => {
    if (scale > 0) onZoom(scale);
  }, [scale]);

  const change = (to: (view: View, box: Size) => View): void => {
    if (view && box) setChosen(to(view, box));
  };
  const zoomBy = (factor: number, at?: Point): void =>
    change((from, room) => zoomed(from, factor, at ?? { x: room.width / 2, y: room.height / 2 }, size, room));
  const inBox = ({ clientX, clientY }: { clientX: number; clientY: number }): Point => {
    const place = frame.current?.getBoundingClientRect();
    return { x: clientX - (place?.left ?? 0), y: clientY - (place?.top ?? 0) };
  };

  const wheel = useRef<(event: WheelEvent) => void>(() => {});
  wheel.current = (event) => {
    event.preventDefault();
    // A wheel's notch is about 100 pixels; a touchpad sends many small ones.
    zoomBy(Math.exp(-Math.max(-200, Math.min(200, event.deltaY)) / 300), inBox(event));
  };
  useEffect(() => {
    const element = frame.current;
    const turn = (event: WheelEvent) => wheel.current(event);
    // Preact listens passively, and then the page would scroll as well.
    element?.addEventListener('wheel', turn, { passive: false });
    return () => element?.removeEventListener('wheel', turn);
  }, []);

  const move = (event: PointerEvent): void => {
    const known = fingers.current;
    const before = known.get(event.pointerId);
    if (!before) return;
    const after = inBox(event);
    moved.current += Math.hypot(after.x - before.x, after.y - before.y);
    const [one, other] = [...known.keys()];
    if (known.size === 2 && one !== undefined && other !== undefined) {
      const both = (): [Point, Point] => [known.get(one) ?? after, known.get(other) ?? after];
      const from = both();
      known.set(event.pointerId, after);
      const to = both();
      change((old, room) => pinched(old, from, to, size, room));
      return;
    }
    known.set(event.pointerId, after);
    if (known.size === 1 && moved.current > TAP_PX)
      change((old, room) => panned(old, after.x - before.x, after.y - before.y, size, room));
  };
  const lift = (event: PointerEvent): void => {
    const was = fingers.current.get(event.pointerId);
    const alone = fingers.current.size === 1;
    fingers.current.delete(event.pointerId);
    if (!was || !view || !alone || event.type !== 'pointerup') return;
    if (moved.current <= TAP_PX) onTap({ x: (was.x - view.x) / view.scale, y: (was.y - view.y) / view.scale });
  };
  const key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does: Record<string, () => void> = {
      '+': () => zoomBy(STEP),
      '=': () => zoomBy(STEP),
      '-': () => zoomBy(1 / STEP),
      '0': () => setChosen(null),
      ArrowLeft: () => change((old, room) => panned(old, PAN_PX, 0, size, room)),
      ArrowRight: () => change((old, room) => panned(old, -PAN_PX, 0, size, room)),
      ArrowUp: () => change((old, room) => panned(old, 0, PAN_PX, size, room)),
      ArrowDown: () => change((old, room) => panned(old, 0, -PAN_PX, size, room)),
    };
    const act = does[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  return (
    <div class="zoom">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <div
        ref={frame}
        class="zoom-box"
        role="group"
        aria-label={`${t.viewer}. ${t.viewerHelp}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys above work while it has the focus
        tabIndex={0}
        dir="ltr"
        onKeyDown={key}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          if (fingers.current.size === 0) moved.current = 0;
          fingers.current.set(event.pointerId, inBox(event));
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={move}
        onPointerUp={lift}
        onPointerCancel={lift}
      >
        {view && (
          <div
            class="zoom-page"
            data-scale={view.scale.toFixed(4)}
            style={{
              width: `${size.width}px`,
              height: `${size.height}px`,
              transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
            }}
          >
            {children}
          </div>
        )}
      </div>
      <div class="zoom-bar">
        <IconButton icon="minus" label={t.zoomOut} onClick={() => zoomBy(1 / STEP)} />
        <span class="zoom-scale" aria-hidden="true">
          {view && box ? share(view.scale / fitted(size, box).scale) : ''}
        </span>
        <IconButton icon="add" label={t.zoomIn} onClick={() => zoomBy(STEP)} />
        <button type="button" class="button quiet" onClick={() => setChosen(null)}>
          {t.fit}
        </button>
      </div>
    </div>
  );
};
