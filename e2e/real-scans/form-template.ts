// Makes a Sheaf template of a form in ../shared/data from its layout.json: the frame's pixels become millimetres, and the
// form's own marks become fiducials. Nothing here knows an image or its answers.
import { parseTemplate, type Template } from '../../shared/template/template.ts';

export interface LayoutBubble {
  v: string;
  x: number;
  y: number;
  w: number;
  h: number;
}
export interface Layout {
  frame: [number, number];
  fiducials: {
    kind: string;
    diameter?: number;
    frame_points?: Record<string, [number, number]>;
  };
  fields: { label: string; bubbles: LayoutBubble[] }[];
}

export interface Form {
  template: Template;
  /** of the template's labels, and of each label's options, the form's own */
  labels: Map<string, { label: string; options: Map<string, string> }>;
}

/** Paper around the frame, as a share of its long side: marks and bubbles may stand beyond its corners. */
const MARGIN = 0.1;
const LONG_MM = 297;

type Marks = { shape: string; at: [number, number]; size: number }[];

/** What each kind of form prints in its corners, in frame pixels, clockwise from the top left. */
const marksOf = ({ frame: [w, h], fiducials }: Layout): Marks | 'edge' | 'none' => {
  const { kind } = fiducials;
  const corners: [number, number][] = [
    [0, 0],
    [w, 0],
    [w, h],
    [0, h],
  ];
  if (kind.startsWith('page edge')) return 'edge';
  if (kind.startsWith('none')) return 'none';
  if (kind.startsWith('4 concentric-ring')) return corners.map((at) => ({ shape: 'ring', at, size: 120 }));
  if (kind.startsWith('L-mark')) {
    // outer corners in the frame's corners: an L of two units, squares of one unit of 50 pixels
    return corners.map(([x, y], i) => {
      const size = i === 0 ? 100 : 50;
      return {
        shape: i === 0 ? 'ell' : 'square',
        at: [x + ((x === 0 ? 1 : -1) * size) / 2, y + ((y === 0 ? 1 : -1) * size) / 2],
        size,
      };
    });
  }
  const points = fiducials.frame_points ?? {};
  if (kind.startsWith('4 black discs')) {
    return ['1', '2', '3', '4'].map((name) => ({ shape: 'disc', at: points[name]!, size: fiducials.diameter! }));
  }
  if (kind.startsWith('L brackets')) {
    // the points are the brackets' vertices; their arms are 105 pixels long
    return (['TOP_LEFT', 'TOP_RIGHT', 'BOTTOM_RIGHT', 'BOTTOM_LEFT'] as const).map((name) => {
      const [x, y] = points[name]!;
      return {
        shape: 'bracket',
        at: [x + (name.endsWith('LEFT') ? 50 : -50), y + (name.startsWith('TOP') ? 50 : -50)],
        size: 105,
      };
    });
  }
  throw new Error(`no fiducials are known for: ${kind}`);
};

export const formTemplate = (layout: Layout, boxes: boolean): Form => {
  const [w, h] = layout.frame;
  const marks = marksOf(layout);
  const margin = typeof marks === 'string' ? 0 : MARGIN * Math.max(w, h);
  const scale = LONG_MM / (Math.max(w, h) + 2 * margin);
  const mm = (pixels: number): number => Math.round(pixels * scale * 1e4) / 1e4;
  const at = (x: number, y: number): [number, number] => [mm(x + margin), mm(y + margin)];
  const labels: Form['labels'] = new Map();
  const fields = layout.fields.map(({ label, bubbles }, i) => {
    const options = new Map(bubbles.map(({ v }, k) => [`o${k}`, v] as const));
    labels.set(`f${i}`, { label, options });
    return {
      type: 'placed',
      label: `f${i}`,
      bubbles: bubbles.map(({ x, y, w: bw, h: bh }, k) => ({
        option: `o${k}`,
        at: at(x + bw / 2, y + bh / 2),
        bubble: [mm(bw), mm(bh)],
      })),
    };
  });
  const parsed = parseTemplate({
    id: 'form',
    version: 1,
    kind: 'sheet',
    page: { width: mm(w + 2 * margin), height: mm(h + 2 * margin) },
    fiducials:
      typeof marks === 'string'
        ? { type: marks }
        : {
            type: 'marks',
            marks: marks.map(({ shape, at: [x, y], size }) => ({ shape, at: at(x, y), size: mm(size) })),
          },
    qr: null,
    outline: boxes ? 'box' : 'ellipse',
    fields,
  });
  if (!parsed.ok) throw new Error(`the template is not valid: ${JSON.stringify(parsed.errors.slice(0, 3))}`);
  return { template: parsed.template, labels };
};
