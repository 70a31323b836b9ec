// A screen of the office says that it is looked at, so that what it shows is kept fresh.
import { useEffect } from 'preact/hooks';
import { useUser } from '../app.ts';
import { look } from '../sync/office.ts';

const AGAIN_MS = 60_000;

export function useLook(...places: string[]): void {
  const user = useUser();
  const all = places.join(' ');
  useEffect(() => {
    const say = () => {
      if (document.visibilityState !== 'visible') return;
      // A database that was closed under us has its own screen.
      for (const place of all.split(' ')) look(user, place, Date.now()).catch(() => {});
    };
    say();
    const timer = setInterval(say, AGAIN_MS);
    return () => clearInterval(timer);
  }, [user, all]);
}
