// Where a page lies in a box that it is looked at through. Pure: a point p of the page is seen at p × scale + (x, y).

export interface Size {
  width: number;
  height: number;
}
export interface View {
  scale: number;
  x: number;
  y: number;
}
export interface Rect extends Size {
  x: number;
  y: number;
}

/** A pixel of the scan is at most this large on the screen: pencil has no more to tell. */
const LARGEST_PX = 4;
/** … and a page may be brought this near however few pixels it has. */
const NEAREST = 6;

export const fitScale = (page: Size, box: Size): number => Math.min(box.width / page.width, box.height / page.height);
const most = (page: Size, box: Size): number => Math.max(LARGEST_PX, NEAREST * fitScale(page, box));

/** The page never leaves the box: smaller than it, it stands in the middle; larger, it covers it. */
export function held({ scale, x, y }: View, page: Size, box: Size): View {
  const size = Math.min(most(page, box), Math.max(fitScale(page, box), scale));
  const along = (at: number, length: number, room: number): number =>
    length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at));
  return {
    scale: size,
    x: along(x, page.width * size, box.width),
    y: along(y, page.height * size, box.height),
  };
}

export const fitted = (page: Size, box: Size): View => held({ scale: 0, x: 0, y: 0 }, page, box);

/** Larger or smaller, with what is seen at `x`, `y` of the box staying there. */
export function zoomed(view: View, factor: number, at: { x: number; y: number }, page: Size, box: Size): View {
  const scale = Math.min(most(page, box), Math.max(fitScale(page, box), view.scale * factor));
  const by = scale / view.scale;
  return held({ scale, x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by }, page, box);
}

export const panned = (view: View, dx: number, dy: number, page: Size, box: Size): View =>
  held({ ...view, x: view.x + dx, y: view.y + dy }, page, box);

/** A part of the page in the middle, half as wide as the box. */
export function focused(part: Rect, page: Size, box: Size): View {
  const wanted = Math.min((box.width * 0.6) / part.width, (box.height * 0.6) / part.height);
  const scale = Math.min(most(page, box), Math.max(fitScale(page, box), wanted));
  const [x, y] = [part.x + part.width / 2, part.y + part.height / 2];
  return held({ scale, x: box.width / 2 - x * scale, y: box.height / 2 - y * scale }, page, box);
}

/** Two fingers: what was between them stays between them. */
export function pinched(
  view: View,
  before: readonly [{ x: number; y: number }, { x: number; y: number }],
  after: readonly [{ x: number; y: number }, { x: number; y: number }],
  page: Size,
  box: Size,
): View {
  const apart = ([a, b]: typeof before): number => Math.hypot(a.x - b.x, a.y - b.y);
  const middle = ([a, b]: typeof before) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const [from, to] = [middle(before), middle(after)];
  const larger = zoomed(view, apart(after) / Math.max(1, apart(before)), from, page, box);
  return panned(larger, to.x - from.x, to.y - from.y, page, box);
}
