// A screen whose code is fetched when it is first opened. The service worker keeps it, so that it opens without a network.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Empty } from '../ui/parts.tsx';
import { closedWords } from './words.ts';

export function lazily<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return (props: P) => {
    const [state, setState] = useState<'coming' | 'here' | 'gone'>(loaded ? 'here' : 'coming');
    useEffect(() => {
      if (loaded) return;
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
