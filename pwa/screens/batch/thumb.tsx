// A sheet's scan, small, in a row: asked for when it comes into view.
import './thumb.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { usePicture } from '../../media/use-picture.tsx';
import { Icon } from '../../ui/icons.tsx';

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
