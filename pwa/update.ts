// Registers the service worker, and brings a new version in only when a person agrees.
import { signal } from '@preact/signals';
import { Workbox } from 'workbox-window';

/** A new version is installed and waits. */
export const updateReady = signal(false);

let workbox: Workbox | null = null;
let agreed = false;

/** How often a page that stays open for days looks for a new version. */
const LOOK_MS = 30 * 60_000;

export async function registerWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  workbox = new Workbox('/sw.js', { updateViaCache: 'none' });
  workbox.addEventListener('waiting', () => {
    updateReady.value = true;
  });
  workbox.addEventListener('controlling', () => {
    // Only the tab where it was agreed to is reloaded: another may be copying a file or hold a half filled form.
    if (agreed) location.reload();
  });
  await workbox.register();
  setInterval(() => {
    workbox?.update().catch(() => {});
  }, LOOK_MS);
}

/** The new worker takes over as soon as nothing is being sent; then this page is loaded anew. */
export function applyUpdate(): void {
  agreed = true;
  workbox?.messageSkipWaiting();
}
