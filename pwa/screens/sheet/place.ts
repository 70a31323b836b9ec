// Where the template's bubbles lie on a scan, turned upright: millimetres of the sheet to pixels of the picture that is shown.
import { type Homography, inverse, type Point, project } from '../../../shared/omr/warp.ts';
import type { Bubble } from '../../../shared/template/geometry.ts';
import { fieldBubbles } from '../../../shared/template/snippet-box.ts';
import type { Template } from '../../../shared/template/template.ts';
import type { Rect, Size } from './zoom.ts';

/** Degrees clockwise by which the picture is turned. */
export type Turn = 0 | 90 | 180 | 270;

export interface Placed {
  turn: Turn;
  /** of the picture as it is shown */
  size: Size;
  /** template millimetres → pixels of the picture as it is shown */
  at: (x: number, y: number) => Point;
  /** and back; null where the plane ends */
  back: (x: number, y: number) => Point | null;
  /** pixels in a millimetre, about the middle of the page */
  mm: number;
}

export function turned(turn: Turn, { width, height }: Size): { size: Size; point: (p: Point) => Point } {
  switch (turn) {
    case 0:
      return { size: { width, height }, point: (p) => p };
    case 90:
      return { size: { width: height, height: width }, point: ({ x, y }) => ({ x: height - y, y: x }) };
    case 180:
      return { size: { width, height }, point: ({ x, y }) => ({ x: width - x, y: height - y }) };
    case 270:
      return { size: { width: height, height: width }, point: ({ x, y }) => ({ x: y, y: width - x }) };
  }
}

const TURNS: readonly Turn[] = [0, 90, 180, 270];

/** @param raster of the scan that the page was read on */
export function place(template: Template, toImage: Homography, raster: Size): Placed {
  const [cx, cy] = [template.page.width / 2, template.page.height / 2];
  const middle = project(toImage, cx, cy);
  const below = project(toImage, cx, cy + 1);
  // The way down on the sheet is the way down on the screen; seen from behind, too.
  const way = (Math.atan2(below.y - middle.y, below.x - middle.x) * 180) / Math.PI - 90;
  const turn = TURNS[((Math.round(-way / 90) % 4) + 4) % 4] ?? 0;
  const { size, point } = turned(turn, raster);
  const turnedBack = turned(((360 - turn) % 360) as Turn, size).point;
  const inverted = inverse(toImage);
  return {
    turn,
    size,
    at: (x, y) => point(project(toImage, x, y)),
    back(x, y) {
      if (!inverted) return null;
      const p = turnedBack({ x, y });
      const found = project(inverted, p.x, p.y);
      return Number.isFinite(found.x) && Number.isFinite(found.y) ? found : null;
    },
    mm: Math.hypot(below.x - middle.x, below.y - middle.y),
  };
}

/** Hundredths of a pixel are finer than any screen. */
const n = (value: number): string => String(Math.round(value * 100) / 100);
type At = Placed['at'];
const line = (at: At, points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${n(at(x, y).x)} ${n(at(x, y).y)}`).join('');

const CORNERS = 16;
/** Outlines as SVG paths. @param grow how much larger than the bubble, 1: as it is printed */
export const ring = (at: At, { x, y, width, height }: Bubble, grow = 1): string =>
  `${line(
    at,
    Array.from({ length: CORNERS }, (_, i) => {
      const angle = (i * 2 * Math.PI) / CORNERS;
      return [x + ((width * grow) / 2) * Math.cos(angle), y + ((height * grow) / 2) * Math.sin(angle)] as const;
    }),
  )}Z`;
export const square = (at: At, { x, y, width, height }: Bubble, grow = 1): string => {
  const [w, h] = [(width * grow) / 2, (height * grow) / 2];
  return `${line(at, [
    [x - w, y - h],
    [x + w, y - h],
    [x + w, y + h],
    [x - w, y + h],
  ])}Z`;
};
export const diamond = (at: At, { x, y, width, height }: Bubble, grow = 1): string => {
  const [w, h] = [(width * grow) / 2, (height * grow) / 2];
  return `${line(at, [
    [x, y - h],
    [x + w, y],
    [x, y + h],
    [x - w, y],
  ])}Z`;
};
export const cross = (at: At, { x, y, width, height }: Bubble, grow = 0.7): string => {
  const [w, h] = [(width * grow) / 2, (height * grow) / 2];
  return (
    line(at, [
      [x - w, y - h],
      [x + w, y + h],
    ]) +
    line(at, [
      [x + w, y - h],
      [x - w, y + h],
    ])
  );
};
/** A line under a bubble, of its width when it is black. @param share 0 to 1 */
export const bar = (at: At, { x, y, width, height }: Bubble, share: number): string => {
  const [left, low] = [x - width / 2, y + height * 0.62];
  return line(at, [
    [left, low],
    [left + width * share, low],
  ]);
};

/** The millimetres around the bubbles of a field; null when the template has none of that name. */
export function fieldFrame(template: Template, label: string, margin = 0.8): Rect | null {
  const own = fieldBubbles(template, label)?.bubbles.map(({ bubble }) => bubble);
  if (!own) return null;
  const left = Math.min(...own.map(({ x, width }) => x - width / 2)) - margin;
  const top = Math.min(...own.map(({ y, height }) => y - height / 2)) - margin;
  return {
    x: left,
    y: top,
    width: Math.max(...own.map(({ x, width }) => x + width / 2)) + margin - left,
    height: Math.max(...own.map(({ y, height }) => y + height / 2)) + margin - top,
  };
}

export const frame = (at: At, { x, y, width, height }: Rect): string =>
  `${line(at, [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ])}Z`;

/** A rectangle of the sheet as it lies on the picture. */
export function around(at: At, { x, y, width, height }: Rect): Rect {
  const corners = [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)];
  const [xs, ys] = [corners.map((p) => p.x), corners.map((p) => p.y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { x: left, y: top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/** Which field's bubbles a place of the sheet is nearest to, within a hand's tremble; millimetres. */
export function fieldAt(template: Template, labels: readonly string[], { x, y }: Point): string | null {
  const TREMBLE = 3;
  let best: { label: string; away: number } | null = null;
  for (const label of labels) {
    const box = fieldFrame(template, label, 0);
    if (!box) continue;
    const dx = Math.max(box.x - x, 0, x - box.x - box.width);
    const dy = Math.max(box.y - y, 0, y - box.y - box.height);
    const away = Math.hypot(dx, dy);
    if (away <= TREMBLE && (!best || away < best.away)) best = { label, away };
  }
  return best?.label ?? null;
}
