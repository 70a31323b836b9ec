// Which requests are for the app's own page. Pure.

/** Paths that belong to the server even when a person types them into the address bar. */
const SERVERS = /^\/(api|admin|healthz|readyz|metrics|docs)(\/|$)/;

export function isPageRequest(request: Pick<Request, 'method' | 'mode' | 'url'>, origin: string): boolean {
  if (request.method !== 'GET' || request.mode !== 'navigate') return false;
  const url = new URL(request.url);
  return url.origin === origin && !SERVERS.test(url.pathname);
}
