// A screen whose code is fetched when it is first opened. The service worker keeps it, so that it opens without a network.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Empty } from '../ui/parts.tsx';
import { closedWords } from './words.ts';

/** @param when `soon`: as soon as the page has nothing better to do, for what everybody opens */
export function lazily<P extends object>(
  load: () => Promise<ComponentType<P>>,
  when: 'asked' | 'soon' = 'asked',
): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  if (when === 'soon')
    whenIdle(() => {
      // Where it cannot be had now it is asked for again when somebody opens it.
      load().then(
        (screen) => {
          loaded = screen;
        },
        () => {},
      );
    });
  return (props: P) => {
    const [state, setState] = useState<'coming' | 'here' | 'gone'>(loaded ? 'here' : 'coming');
    useEffect(() => {
      // It may have come between drawing and now.
      if (loaded) return setState('here');
      load().then(
        (screen) => {
          loaded = screen;
          setState('here');
        },
        // An update took it away. The page is not loaded anew by itself: it may be copying a file.
        () => setState('gone'),
      );
    }, []);
    const Screen = loaded;
    if (Screen) return <Screen {...props} />;
    return state === 'gone' ? (
      <Empty title={closedWords().updated}>
        <button type="button" class="button primary" onClick={() => location.reload()}>
          {closedWords().reload}
        </button>
      </Empty>
    ) : null;
  };
}

/** Safari has no requestIdleCallback. */
function whenIdle(work: () => void): void {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work);
  else setTimeout(work, 1_000);
}
