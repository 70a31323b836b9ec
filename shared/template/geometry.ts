// Expands a template's blocks into bubbles. Printing, drawing and reading all go through this one function, so what is
// read is where it was printed.
import { columnOptions, labelsOf, type Template } from './template.ts';

export interface Bubble {
  /** centre, width and height in millimetres on the page */
  x: number;
  y: number;
  width: number;
  height: number;
  /** what is printed inside, and what marking it says */
  option: string;
}

/** A field: one group of bubbles per character of its value. A choice has one group, a grid one per column. */
export interface LaidField {
  label: string;
  type: 'choice' | 'grid';
  /** index of each group's first bubble in `bubbles`; its options follow one another */
  groups: number[];
  options: readonly string[];
  /** of each group, where they differ: a sign before digits */
  columns?: readonly (readonly string[])[];
}

/** What the bubbles of one of a field's groups say, in their order. */
export const optionsOf = ({ options, columns }: LaidField, group: number): readonly string[] =>
  columns?.[group] ?? options;

export interface Layout {
  bubbles: Bubble[];
  fields: LaidField[];
}

const known = new WeakMap<Template, Layout>();

/** All bubbles of a template, field by field in its order. Kept per template object: do not change either. */
export const layOut = (template: Template): Layout => {
  const before = known.get(template);
  if (before) return before;
  const bubbles: Bubble[] = [];
  const fields: LaidField[] = [];
  for (const block of template.fields) {
    if (block.type === 'placed') {
      const first = bubbles.length;
      for (const { option, at, bubble = template.bubble } of block.bubbles) {
        bubbles.push({ x: at[0], y: at[1], width: bubble[0], height: bubble[1], option });
      }
      fields.push({
        label: block.label,
        type: 'choice',
        groups: [first],
        options: block.bubbles.map(({ option }) => option),
      });
      continue;
    }
    const [width, height] = block.bubble ?? template.bubble;
    const addGroup = (x0: number, y0: number, options: readonly string[] = block.options): number => {
      const first = bubbles.length;
      options.forEach((option, i) => {
        const x = x0 + block.option_step[0] * i;
        const y = y0 + block.option_step[1] * i;
        bubbles.push({ x, y, width, height, option });
      });
      return first;
    };
    const { options } = block;
    const [x, y] = block.origin;
    if (block.type === 'grid') {
      const [dx, dy] = block.column_step;
      const columns = columnOptions(block);
      const groups = columns.map((own, i) => addGroup(x + dx * i, y + dy * i, own));
      fields.push({ label: block.label, type: 'grid', groups, options, ...(block.except ? { columns } : {}) });
    } else {
      const [dx, dy] = block.label_step ?? [0, 0];
      labelsOf(block).forEach((label, i) => {
        fields.push({ label, type: 'choice', groups: [addGroup(x + dx * i, y + dy * i)], options });
      });
    }
  }
  const layout = { bubbles, fields };
  known.set(template, layout);
  return layout;
};
