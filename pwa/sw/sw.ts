// The service worker, as a table of contents: the shell without a network, the queue without a page, updates by consent.
import {
  cleanupOutdatedCaches,
  createHandlerBoundToURL,
  getCacheKeyForURL,
  matchPrecache,
  precache,
} from 'workbox-precaching';
import { isPageRequest } from './routes.ts';
import { SHARE_PATH, takeShare } from './share.ts';
import { createWork } from './work.ts';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

/** Background Sync is not in TypeScript's WebWorker library. */
interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
  readonly lastChance: boolean;
}

// ---- the shell -----------------------------------------------------------------------------------------------------

precache(self.__WB_MANIFEST);
cleanupOutdatedCaches();
const shell = createHandlerBoundToURL('index.html');

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'POST' && new URL(request.url).pathname === SHARE_PATH) event.respondWith(takeShare(request));
  else if (isPageRequest(request, self.location.origin))
    event.respondWith(shell({ event, request, url: new URL(request.url) }));
  else if (request.method === 'GET' && getCacheKeyForURL(request.url) !== undefined)
    event.respondWith(matchPrecache(request).then((kept) => kept ?? fetch(request)));
  // Everything else goes to the network untouched: a service worker in the way of uploads and event streams hides their
  // progress and breaks large bodies.
});

// ---- the queue -----------------------------------------------------------------------------------------------------

const work = createWork(self);

self.addEventListener('sync', (event) => {
  const sync = event as SyncEvent;
  if (sync.tag === 'drain') sync.waitUntil(work.onSync());
});

// Background Fetch has come to its end: all sent, something refused, or taken back.
for (const end of ['backgroundfetchsuccess', 'backgroundfetchfail', 'backgroundfetchabort'])
  self.addEventListener(end, (event) => (event as ExtendableEvent).waitUntil(work.onHandedBack()));

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
