// Where on the page a field lies: its sheet drawn small, from the template alone. Never mirrored: paper is not.
import { layOut } from '../../../shared/template/geometry.ts';
import type { Template } from '../../../shared/template/template.ts';

interface Box {
  label: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

const known = new WeakMap<Template, Box[]>();

/** The box of each field around its bubbles, in millimetres of the page. */
function boxesOf(template: Template): Box[] {
  const before = known.get(template);
  if (before) return before;
  const { bubbles, fields } = layOut(template);
  const boxes = fields.map(({ label, groups }, i): Box => {
    const first = groups[0] ?? 0;
    const end = fields[i + 1]?.groups[0] ?? bubbles.length;
    const own = bubbles.slice(first, end);
    const left = Math.min(...own.map(({ x, width }) => x - width / 2));
    const top = Math.min(...own.map(({ y, height }) => y - height / 2));
    return {
      label,
      x: left,
      y: top,
      width: Math.max(...own.map(({ x, width }) => x + width / 2)) - left,
      height: Math.max(...own.map(({ y, height }) => y + height / 2)) - top,
    };
  });
  known.set(template, boxes);
  return boxes;
}

/** Millimetres around the field that is looked at. */
const FRAME = 2.5;

export const SheetMap = ({ template, field, alt }: { template: Template; field: string; alt: string }) => {
  const { width, height } = template.page;
  const boxes = boxesOf(template);
  const here = boxes.find(({ label }) => label === field);
  return (
    <svg class="sheet-map" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={alt} direction="ltr">
      <rect class="map-page" width={width} height={height} />
      {boxes.map((box) => (
        <rect key={box.label} class="map-field" x={box.x} y={box.y} width={box.width} height={box.height} rx="1" />
      ))}
      {here && (
        <rect
          class="map-here"
          x={here.x - FRAME}
          y={here.y - FRAME}
          width={here.width + 2 * FRAME}
          height={here.height + 2 * FRAME}
          rx="2"
        />
      )}
    </svg>
  );
};
