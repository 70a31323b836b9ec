// Registers the service worker, and brings a new version in only when a person agrees.
import { signal } from '@preact/signals';
import { Workbox } from 'workbox-window';

/** `ready`: a new version is installed and waits. `applied-elsewhere`: it took over because another tab agreed. */
export const update = signal<'none' | 'ready' | 'agreed' | 'applied-elsewhere'>('none');

let workbox: Workbox | null = null;

/** How often a page that stays open for days looks for a new version. */
const LOOK_MS = 30 * 60_000;
/** A waiting worker is woken for minutes at most, and a send may take longer. */
const REMIND_MS = 60_000;

export async function registerWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const hadWorker = navigator.serviceWorker.controller !== null;
  workbox = new Workbox('/sw.js', { updateViaCache: 'none' });
  workbox.addEventListener('waiting', () => {
    if (update.value === 'none') update.value = 'ready';
  });
  workbox.addEventListener('controlling', () => {
    // Only the tab where it was agreed to is reloaded: another may be copying a file or hold a half filled form.
    if (update.value === 'agreed') location.reload();
    else if (hadWorker) update.value = 'applied-elsewhere';
  });
  await workbox.register();
  setInterval(() => {
    workbox?.update().catch(() => {});
  }, LOOK_MS);
}

/** The new worker takes over as soon as nothing is being sent; then this page is loaded anew. */
export function applyUpdate(): void {
  update.value = 'agreed';
  workbox?.messageSkipWaiting();
  setInterval(() => workbox?.messageSkipWaiting(), REMIND_MS);
}
