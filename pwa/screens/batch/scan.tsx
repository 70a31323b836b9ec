// The scan behind a sheet: small in a row, large beside it. Fetched when it comes into view; never kept in the store,
// and never mirrored: paper reads the same way in every language.
import './scan.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { Spinner } from '../../ui/controls.tsx';
import { Icon } from '../../ui/icons.tsx';
import { batchWords } from './words.ts';

type Picture = { at: 'none' } | { at: 'loading' } | { at: 'here'; url: string } | { at: 'away' };

function usePicture(batch: string, sheet: string, width: number | null, wanted: boolean): Picture {
  const { batches } = useApp();
  const [picture, setPicture] = useState<Picture>({ at: 'none' });
  useEffect(() => {
    if (!wanted) return;
    const gone = new AbortController();
    let url: string | undefined;
    setPicture({ at: 'loading' });
    batches.image(batch, sheet, width, gone.signal).then((answer) => {
      if (gone.signal.aborted) return;
      if (answer.kind !== 'ok') return setPicture({ at: 'away' });
      url = URL.createObjectURL(answer.value);
      setPicture({ at: 'here', url });
    }, reportError);
    return () => {
      gone.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [batch, sheet, width, wanted]);
  return picture;
}

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
  const picture = usePicture(batch, sheet, THUMB_PX, near);
  return (
    <span ref={box} class="thumb">
      {picture.at === 'here' ? <img src={picture.url} alt="" /> : <Icon name="file" />}
    </span>
  );
};

export const Scan = ({ batch, sheet, page }: { batch: string; sheet: string; page: number }) => {
  const t = batchWords();
  const picture = usePicture(batch, sheet, 1200, true);
  if (picture.at === 'here') return <img class="scan" src={picture.url} alt={t.imageAlt({ n: page })} />;
  return picture.at === 'away' ? <p class="hint">{t.imageOffline}</p> : <Spinner words={t.loading} />;
};
