// A picture as a screen holds it: an address for an <img>, given back when it is no longer shown. Asked for again when the
// server may be back.
import { useEffect, useState } from 'preact/hooks';
import { useApp, useUser } from '../app.ts';
import type { Picture } from '../db.ts';
import { useLive } from '../store.ts';
import { nameOf, type PictureOf } from './store.ts';

export type Held =
  | { at: 'loading' }
  | { at: 'here'; url: string; raster: Picture['raster'] }
  | { at: 'away' }
  | { at: 'none'; why: string };

/** @param of null: nothing is wanted (yet) */
export function usePicture(of: PictureOf | null): Held {
  const { pictures, queue } = useApp();
  const user = useUser();
  const name = of && nameOf(of);
  const [told, setTold] = useState<{ name: string | null; held: Held; at: number }>(NOTHING);
  const [tries, setTries] = useState(0);
  const link = useLive('picture link', ['device'], async () => queue.get('device', 'link'));
  const heard = link?.key === 'link' && link.state === 'online' ? (link.last_ok ?? 0) : 0;
  const held = told.name === name ? told.held : NOTHING.held;
  // One that is here stays, whatever becomes of the line.
  const due = held.at === 'away' && heard > told.at;
  useEffect(() => {
    if (due) setTries((n) => n + 1);
  }, [due]);
  useEffect(() => {
    if (!of) return;
    let over = false;
    let url: string | undefined;
    pictures.show(user, of).then((shown) => {
      if (over) return;
      if (shown.at === 'here') url = URL.createObjectURL(shown.blob);
      const now: Held = shown.at === 'here' ? { at: 'here', url: url ?? '', raster: shown.raster } : shown;
      setTold({ name, held: now, at: Date.now() });
    }, reportError);
    return () => {
      over = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [name, user, pictures, tries]);
  return held;
}

const NOTHING: { name: null; held: Held; at: number } = { name: null, held: { at: 'loading' }, at: 0 };
