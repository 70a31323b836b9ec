// Where in the app we are: the address bar as a value. Links are real ones; clicks on them stay in the page.
import { signal } from '@preact/signals';

export type Route =
  | { screen: 'batches' }
  | { screen: 'new' }
  | { screen: 'queue' }
  | { screen: 'settings' }
  | { screen: 'batch'; id: string }
  /** one page of a batch; `page` counts from 0, its address from 1 */
  | { screen: 'sheet'; batch: string; page: number }
  /** `groups`: at those that wait for somebody */
  | { screen: 'review'; batch: string | null; groups?: true }
  | { screen: 'keys' }
  | { screen: 'key'; id: string | null }
  | { screen: 'tasks' }
  /** `number`: what a new one is to be called */
  | { screen: 'task'; id: string | null; number?: string }
  | { screen: 'users' }
  | { screen: 'user'; id: string | null }
  | { screen: 'nowhere'; path: string };

/** What one of each is called: `id` is null while it is made. */
const ONE = { keys: 'key', tasks: 'task', users: 'user' } as const;

/** What the address bar holds may be typed by hand. */
const isEncoded = (path: string): boolean => {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
};

export function parseRoute(path: string): Route {
  if (!isEncoded(path)) return { screen: 'nowhere', path };
  const batch = /^\/batches\/([^/]+)\/?$/.exec(path)?.[1];
  if (batch !== undefined) return { screen: 'batch', id: decodeURIComponent(batch) };
  const [, within, n] = /^\/batches\/([^/]+)\/pages\/([1-9]\d{0,6})\/?$/.exec(path) ?? [];
  if (within !== undefined) return { screen: 'sheet', batch: decodeURIComponent(within), page: Number(n) - 1 };
  const [, review, groups] = /^\/review\/([^/]+)(\/groups)?\/?$/.exec(path) ?? [];
  if (review !== undefined)
    return { screen: 'review', batch: decodeURIComponent(review), ...(groups ? { groups: true } : {}) };
  const number = /^\/new-task\/(\d{8})\/?$/.exec(path)?.[1];
  if (number !== undefined) return { screen: 'task', id: null, number };
  const [, place, id] = /^\/(keys|tasks|users)\/([^/]+)\/?$/.exec(path) ?? [];
  if (place !== undefined && id !== undefined)
    return { screen: ONE[place as keyof typeof ONE], id: decodeURIComponent(id) };
  switch (path.replace(/\/+$/, '')) {
    case '':
    case '/batches':
      return { screen: 'batches' };
    case '/review':
      return { screen: 'review', batch: null };
    case '/new':
      return { screen: 'new' };
    case '/queue':
      return { screen: 'queue' };
    case '/settings':
      return { screen: 'settings' };
    case '/keys':
    case '/tasks':
    case '/users':
      return { screen: path.replaceAll('/', '') as 'keys' | 'tasks' | 'users' };
    // Not under /keys/: a key may have any name.
    case '/new-key':
      return { screen: 'key', id: null };
    case '/new-task':
      return { screen: 'task', id: null };
    case '/new-user':
      return { screen: 'user', id: null };
    default:
      return { screen: 'nowhere', path };
  }
}

export const batchPath = (id: string): string => `/batches/${encodeURIComponent(id)}`;

/** @param page from 0 */
export const pagePath = (batch: string, page: number): string => `${batchPath(batch)}/pages/${page + 1}`;
export const reviewPath = (batch: string): string => `/review/${encodeURIComponent(batch)}`;
/** Where groups that nobody could place are given a task. */
export const groupsPath = (batch: string): string => `${reviewPath(batch)}/groups`;
/** @param number 8 digits, as on the cover */
export const newTaskPath = (number: string): string => `/new-task/${number}`;

export const keyPath = (id: string): string => `/keys/${encodeURIComponent(id)}`;
export const taskPath = (id: string): string => `/tasks/${encodeURIComponent(id)}`;
export const userPath = (id: string): string => `/users/${encodeURIComponent(id)}`;

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
