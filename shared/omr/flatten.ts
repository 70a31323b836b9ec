// Where bubbles lie on paper that no plane fits: folded, curled, or stretched by a scanner's feed. What squares and ticks along
// the four edges are off by is carried into the page between them.
import type { Bubble } from '../template/geometry.ts';

/** A square or tick: its place on the template and how far from there it was seen, in millimetres. */
export interface Off {
  x: number;
  y: number;
  dx: number;
  dy: number;
}

interface Edge {
  /** along the edge, rising, and what is off there */
  at: number[];
  off: { dx: number; dy: number }[];
}

/** Bubbles of one row stand this near to an edge's marks in millimetres at most: marks further in are no edge's. */
const SAME_EDGE = 3;

const edgeOf = (offs: readonly Off[], on: (one: Off) => number, along: (one: Off) => number): Edge => {
  const own = offs.filter((one) => Math.abs(on(one)) < SAME_EDGE).sort((a, b) => along(a) - along(b));
  return { at: own.map(along), off: own };
};

/** In between by straight lines, beyond the ends as at the end. */
const offAt = ({ at, off }: Edge, place: number): readonly [number, number] => {
  const next = at.findIndex((one) => one > place);
  if (next === 0) return [off[0]!.dx, off[0]!.dy];
  const before = off[(next < 0 ? at.length : next) - 1]!;
  if (next < 0) return [before.dx, before.dy];
  const after = off[next]!;
  const share = (place - at[next - 1]!) / (at[next]! - at[next - 1]!);
  return [before.dx + (after.dx - before.dx) * share, before.dy + (after.dy - before.dy) * share];
};

/**
 * Bubbles moved to where they are seen, in the plane's millimetres: a Coons patch (S. A. Coons, 1967) over what is off along
 * the four edges. Null when an edge has fewer than two marks to go by.
 */
export const flatten = (bubbles: readonly Bubble[], offs: readonly Off[]): Bubble[] | null => {
  const xs = offs.map(({ x }) => x);
  const ys = offs.map(({ y }) => y);
  const [left, right, top, low] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const edges = {
    left: edgeOf(
      offs,
      ({ x }) => x - left,
      ({ y }) => y,
    ),
    right: edgeOf(
      offs,
      ({ x }) => x - right,
      ({ y }) => y,
    ),
    top: edgeOf(
      offs,
      ({ y }) => y - top,
      ({ x }) => x,
    ),
    low: edgeOf(
      offs,
      ({ y }) => y - low,
      ({ x }) => x,
    ),
  };
  if (Object.values(edges).some(({ at }) => at.length < 2) || right <= left || low <= top) return null;
  // a corner belongs to two edges: where its square was not seen they differ a little, and their middle is taken
  const corner = (a: readonly [number, number], b: readonly [number, number]): readonly [number, number] => [
    (a[0] + b[0]) / 2,
    (a[1] + b[1]) / 2,
  ];
  const [nw, ne, se, sw] = [
    corner(offAt(edges.left, top), offAt(edges.top, left)),
    corner(offAt(edges.right, top), offAt(edges.top, right)),
    corner(offAt(edges.right, low), offAt(edges.low, right)),
    corner(offAt(edges.left, low), offAt(edges.low, left)),
  ];
  return bubbles.map((bubble) => {
    const u = Math.max(0, Math.min(1, (bubble.x - left) / (right - left)));
    const v = Math.max(0, Math.min(1, (bubble.y - top) / (low - top)));
    const [l, r] = [offAt(edges.left, bubble.y), offAt(edges.right, bubble.y)];
    const [t, b] = [offAt(edges.top, bubble.x), offAt(edges.low, bubble.x)];
    const patch = (k: 0 | 1): number =>
      l[k] * (1 - u) +
      r[k] * u +
      t[k] * (1 - v) +
      b[k] * v -
      (nw[k] * (1 - u) * (1 - v) + ne[k] * u * (1 - v) + se[k] * u * v + sw[k] * (1 - u) * v);
    return { ...bubble, x: bubble.x + patch(0), y: bubble.y + patch(1) };
  });
};
