// One field of one page, cut out of its scan: kept on this device or fetched when it is shown, and words where it is neither.
// Never mirrored: paper reads the same way in every language.
import './snippet.css';
import type { ComponentChildren } from 'preact';
import { Spinner } from '../ui/controls.tsx';
import type { PictureOf } from './store.ts';
import { usePicture } from './use-picture.tsx';
import { mediaWords } from './words.ts';

export const Snippet = ({
  of,
  alt,
  children,
}: {
  /** see `snippetOf` in pictures.ts; null: the page was not read as a sheet, or is not known yet */
  of: PictureOf | null;
  /** says what is to be seen, e.g. "Question 12 of page 3" */
  alt: string;
  /** drawn over the picture, which it covers exactly: an SVG whose view box is the field's `snippetBox` */
  children?: ComponentChildren;
}) => {
  const t = mediaWords();
  const held = usePicture(of);
  return (
    <span class={`snippet ${held.at}`} dir="ltr">
      {held.at === 'here' ? (
        <>
          <img src={held.url} alt={alt} draggable={false} />
          {children}
        </>
      ) : held.at === 'loading' ? (
        <Spinner words={t.loading} />
      ) : (
        <span class="snippet-words" dir="auto">
          {held.at === 'away' ? t.away : t.none({ why: held.why })}
        </span>
      )}
    </span>
  );
};
