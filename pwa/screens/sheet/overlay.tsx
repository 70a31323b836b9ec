// What was read, decided and keyed, drawn over the scan. Each has a shape of its own beside its colour: a ring is what was
// read, a dashed frame a doubtful field, a diamond what somebody decided, a cross what no longer counts, a square the key,
// a bar under a bubble how dark it is.
import { fromBase64 } from '../../../shared/omr/base64.ts';
import type { SheetReading } from '../../../shared/protocol/reading.ts';
import { fieldBubbles, isMarked } from '../../../shared/template/snippet-box.ts';
import type { Template } from '../../../shared/template/template.ts';
import { share } from '../../ui/format.ts';
import { bar, cross, diamond, fieldFrame, frame, type Placed, ring, square } from './place.ts';
import { type FieldView, keyed } from './view.ts';

export const LAYERS = ['read', 'doubt', 'decided', 'overruled', 'key', 'fill'] as const;
export type Layer = (typeof LAYERS)[number];

/** A share of black under which a bar would be a speck. */
const LEAST_FILL = 0.03;

export const Overlay = ({
  placed,
  template,
  reading,
  fields,
  layers,
  selected,
}: {
  placed: Placed;
  template: Template;
  reading: SheetReading;
  fields: readonly FieldView[];
  layers: ReadonlySet<Layer>;
  /** label of a field */
  selected: string | null;
}) => {
  const { at, mm, size } = placed;
  const fills = fromBase64(reading.fills);
  const paths: Record<Layer, string[]> = { read: [], doubt: [], decided: [], overruled: [], key: [], fill: [] };
  const words: { x: number; y: number; text: string }[] = [];
  for (const field of fields) {
    const own = fieldBubbles(template, field.label);
    if (!own) continue;
    const decided = field.ruling !== null && field.ruling.value !== null;
    const accepted = keyed(field);
    for (const one of own.bubbles) {
      const wasRead = isMarked(own.type, field.read, one);
      const counts = isMarked(own.type, field.final, one);
      if (wasRead) paths.read.push(ring(at, one.bubble, 1.12));
      if (wasRead && !counts) paths.overruled.push(cross(at, one.bubble));
      if (decided && counts) paths.decided.push(diamond(at, one.bubble, 1.7));
      if (own.type === 'choice' && accepted.includes(one.bubble.option)) paths.key.push(square(at, one.bubble, 1.28));
      const dark = (fills[one.index] ?? 0) / 255;
      if (dark > LEAST_FILL) paths.fill.push(bar(at, one.bubble, dark));
    }
    if (!field.flags.includes('doubtful') && field.waits === null) continue;
    const box = fieldFrame(template, field.label, 1.1);
    if (!box) continue;
    paths.doubt.push(frame(at, box));
    if (field.confidence !== null)
      words.push({ ...at(box.x + box.width + 0.4, box.y + box.height / 2 + 1), text: share(field.confidence) });
  }
  const chosen = selected === null ? null : fieldFrame(template, selected, 1.8);
  return (
    <svg class="overlay" viewBox={`0 0 ${size.width} ${size.height}`} aria-hidden="true">
      {chosen && <path class="selected" d={frame(at, chosen)} stroke-width={mm * 0.5} />}
      {LAYERS.filter((layer) => layers.has(layer)).map((layer) => (
        // A lighter line beneath: on pencil and on paper the shape is seen.
        <g key={layer} class={`layer ${layer}`} data-shapes={paths[layer].length}>
          <path class="under" d={paths[layer].join('')} stroke-width={mm * 0.7} />
          <path
            d={paths[layer].join('')}
            stroke-width={mm * 0.36}
            {...(layer === 'doubt' ? { 'stroke-dasharray': `${mm * 1.2} ${mm * 0.8}` } : {})}
          />
        </g>
      ))}
      {layers.has('doubt') &&
        words.map(({ x, y, text }) => (
          <text key={`${x} ${y}`} x={x} y={y} font-size={mm * 2.6} stroke-width={mm * 0.5}>
            {text}
          </text>
        ))}
    </svg>
  );
};

const BUBBLE = { x: 8, y: 8, width: 9, height: 9, option: '' };
const same = (x: number, y: number) => ({ x, y });
const SIGNS: Record<Layer, string> = {
  read: ring(same, BUBBLE),
  doubt: frame(same, { x: 1.5, y: 3, width: 13, height: 10 }),
  decided: diamond(same, BUBBLE, 1.5),
  overruled: cross(same, BUBBLE, 1),
  key: square(same, BUBBLE),
  fill: bar(same, { ...BUBBLE, width: 12, height: 4 }, 1),
};

/** The shape of a layer, for its switch. */
export const LayerSign = ({ layer }: { layer: Layer }) => (
  <svg class={`layer-sign ${layer}`} viewBox="0 0 16 16" aria-hidden="true">
    <path d={SIGNS[layer]} stroke-width="2" {...(layer === 'doubt' ? { 'stroke-dasharray': '3 2' } : {})} />
  </svg>
);
