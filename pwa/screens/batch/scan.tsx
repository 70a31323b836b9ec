// A sheet's scan, small, in a row: asked for when it comes into view.
import './scan.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { usePicture } from '../../media/use-picture.tsx';
import { mediaWords } from '../../media/words.ts';
import { Spinner } from '../../ui/controls.tsx';
import { Icon } from '../../ui/icons.tsx';
import { batchWords } from './words.ts';

/** Twice the width it is shown at, for dense screens. */
const THUMB_PX = 96;

export const Thumb = ({ batch, sheet }: { batch: string; sheet: string }) => {
  const box = useRef<HTMLSpanElement>(null);
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (!box.current) return;
    const watch = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setNear(true);
    });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const held = usePicture(
    near ? { batch, sheet_id: sheet, image: null, what: { kind: 'page', width: THUMB_PX } } : null,
  );
  return (
    <span ref={box} class="thumb">
      {held.at === 'here' ? <img src={held.url} alt="" /> : <Icon name="file" />}
    </span>
  );
};

export const Scan = ({ batch, sheet, page }: { batch: string; sheet: string; page: number }) => {
  const held = usePicture({ batch, sheet_id: sheet, image: null, what: { kind: 'page', width: 1200 } });
  if (held.at === 'here') return <img class="scan" src={held.url} alt={batchWords().imageAlt({ n: page })} />;
  const t = mediaWords();
  if (held.at === 'loading') return <Spinner words={t.loading} />;
  return <p class="hint">{held.at === 'away' ? t.away : t.none({ why: held.why })}</p>;
};
