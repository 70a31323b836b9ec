// What a snippet of a field shows: its bubbles with what is printed and written beside them. Server and screens go by this
// one rectangle, so that a mark drawn over a snippet lies on its bubble without a word about where.
import { type Bubble, layOut, optionsOf } from './geometry.ts';
import type { Template } from './template.ts';

/** Millimetres on the page. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** 200 dpi: a bubble of 4 mm is 32 pixels wide, and a question's snippet a few kilobytes. */
export const SNIPPET_PX_PER_MM = 8;

/** Beside a question stand its number and its neighbours; above a number it is written by hand. */
const CHOICE = { left: 9, right: 4, top: 5.5, bottom: 5.5 };
const GRID = { left: 5, right: 4, top: 11, bottom: 3 };

/** The rectangle, within the page; null when the template has no such field. */
export const snippetBox = (template: Template, label: string): Box | null => {
  const found = fieldBubbles(template, label);
  if (!found) return null;
  const margin = found.type === 'grid' ? GRID : CHOICE;
  const own = found.bubbles.map(({ bubble }) => bubble);
  const edge = (side: (bubble: Bubble) => number, most: 'min' | 'max'): number => Math[most](...own.map(side));
  const left = Math.max(0, edge(({ x, width }) => x - width / 2, 'min') - margin.left);
  const top = Math.max(0, edge(({ y, height }) => y - height / 2, 'min') - margin.top);
  const right = Math.min(template.page.width, edge(({ x, width }) => x + width / 2, 'max') + margin.right);
  const bottom = Math.min(template.page.height, edge(({ y, height }) => y + height / 2, 'max') + margin.bottom);
  return { x: left, y: top, width: right - left, height: bottom - top };
};

export interface PlacedBubble {
  bubble: Bubble;
  /** in the template's order: the place of its fill in a reading */
  index: number;
  /** column of a grid, 0 for a choice */
  group: number;
}

/** The bubbles of one field; null when the template has no such field. */
export const fieldBubbles = (
  template: Template,
  label: string,
): { type: 'choice' | 'grid'; bubbles: PlacedBubble[] } | null => {
  const { bubbles, fields } = layOut(template);
  const field = fields.find((one) => one.label === label);
  if (!field) return null;
  const placed = field.groups.flatMap((first, group) =>
    optionsOf(field, group).map((_, i) => ({ bubble: bubbles[first + i]!, index: first + i, group })),
  );
  return { type: field.type, bubbles: placed };
};

/** Whether a value of the field (see `FieldReading`) marks the bubble. */
export const isMarked = (type: 'choice' | 'grid', value: string, { bubble, group }: PlacedBubble): boolean =>
  type === 'grid' ? [...value][group] === bubble.option : value.split('|').includes(bubble.option);
