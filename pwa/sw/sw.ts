// The service worker, as a table of contents: the shell without a network, the queue without a page, updates by consent.
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { isPageRequest } from './routes.ts';
import { createWork } from './work.ts';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

/** Background Sync is not in TypeScript's WebWorker library. */
interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
  readonly lastChance: boolean;
}

// ---- the shell -----------------------------------------------------------------------------------------------------

precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();
const shell = createHandlerBoundToURL('index.html');

self.addEventListener('fetch', (event) => {
  // Everything else that is not precached goes to the network untouched: a service worker in the way of uploads and
  // event streams hides their progress and breaks large bodies.
  if (!isPageRequest(event.request, self.location.origin)) return;
  const url = new URL(event.request.url);
  event.respondWith(shell({ event, request: event.request, url }));
});

// ---- the queue -----------------------------------------------------------------------------------------------------

const work = createWork(self);

self.addEventListener('sync', (event) => {
  const sync = event as SyncEvent;
  if (sync.tag === 'drain') sync.waitUntil(work.onSync());
});

self.addEventListener('message', (event) => {
  const message = event.data as { type?: string } | null;
  if (message?.type === 'drain') event.waitUntil(work.onMessage());
  // The page asks for this after a person agreed. A send under way is let finish first.
  if (message?.type === 'SKIP_WAITING') event.waitUntil(work.whenNotSending(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim());
});

// Any start is a chance: browsers without Background Sync have no other.
work.onStart();
