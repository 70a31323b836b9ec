// Where in the app we are: the address bar as a value. Links are real ones; clicks on them stay in the page.
import { signal } from '@preact/signals';

export type Route =
  | { screen: 'batches' }
  | { screen: 'new' }
  | { screen: 'queue' }
  | { screen: 'batch'; id: string }
  | { screen: 'nowhere'; path: string };

export function parseRoute(path: string): Route {
  const batch = /^\/batches\/([^/]+)\/?$/.exec(path)?.[1];
  if (batch !== undefined) return { screen: 'batch', id: decodeURIComponent(batch) };
  switch (path.replace(/\/+$/, '')) {
    case '':
    case '/batches':
      return { screen: 'batches' };
    case '/new':
      return { screen: 'new' };
    case '/queue':
      return { screen: 'queue' };
    default:
      return { screen: 'nowhere', path };
  }
}

export const batchPath = (id: string): string => `/batches/${encodeURIComponent(id)}`;

export const route = signal<Route>(parseRoute(location.pathname));

const arrive = (): void => {
  route.value = parseRoute(location.pathname);
};

export function go(path: string): void {
  history.pushState(null, '', path);
  arrive();
  scrollTo(0, 0);
}

/** Takes over plain clicks on links into the app; everything else (new tab, downloads) stays the browser's. */
export function startRouting(): void {
  addEventListener('popstate', arrive);
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element).closest?.('a');
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api') || link.hash) return;
    event.preventDefault();
    go(link.pathname);
  });
}
