// Past runs side by side: height is how long one took, colour what became of it. The words say the same in sum.
import './bars.css';
import type { Tone } from './words.ts';

export interface Bar {
  id: string;
  /** shown when the pointer rests on it */
  words: string;
  tone: Tone;
  /** any unit */
  height: number;
}

export const Sparkbars = ({ bars, label }: { bars: readonly Bar[]; label: string }) => {
  const tallest = Math.max(1, ...bars.map(({ height }) => height));
  return (
    <div class="bars" role="img" aria-label={label}>
      {bars.map(({ id, words, tone, height }) => (
        <span key={id} class={tone} title={words} style={{ blockSize: `${Math.max(8, (100 * height) / tallest)}%` }} />
      ))}
    </div>
  );
};
