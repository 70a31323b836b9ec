// Sheaf outside its window: installing it, the number on its icon, and files that the system hands to it.
import { signal } from '@preact/signals';

/** Not in TypeScript's DOM library. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }>;
}
interface LaunchParams {
  readonly files?: readonly FileSystemFileHandle[];
}
type WithLaunchQueue = typeof globalThis & {
  launchQueue?: { setConsumer(consumer: (params: LaunchParams) => void): void };
};

/** `offered`: the browser would install it now. */
export const installing = signal<'not-offered' | 'offered' | 'installed'>('not-offered');
let prompt: InstallPrompt | null = null;

/** Chromium cannot emulate it, so it is read in one place. */
export const isStandalone = (): boolean => matchMedia('(display-mode: standalone)').matches;
/** iPadOS says that it is a Mac; Macs have no touch. */
export const isIpad = (): boolean =>
  /iPad|iPhone/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);

/** Files that came from outside and wait for the form of a new batch. */
export const incoming = signal<File[]>([]);

/** From the very beginning: the browser offers it once, whenever it is ready. */
export function listenForInstall(): void {
  if (isStandalone()) installing.value = 'installed';
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    prompt = event as InstallPrompt;
    installing.value = 'offered';
  });
  addEventListener('appinstalled', () => {
    installing.value = 'installed';
  });
}

export function listenOutside(onFiles: () => void): void {
  const receive = (files: File[]): void => {
    if (files.length === 0) return;
    incoming.value = files;
    onFiles();
  };
  (globalThis as WithLaunchQueue).launchQueue?.setConsumer((params) => {
    Promise.all((params.files ?? []).map((handle) => handle.getFile())).then(receive, reportError);
  });
  takeShared().then(receive, reportError);
}

export async function install(): Promise<void> {
  if (!prompt) return;
  const { outcome } = await prompt.prompt();
  prompt = null;
  installing.value = outcome === 'accepted' ? 'installed' : 'not-offered';
}

/** The number on the icon: what is still to be sent. Where there is no badge there is none. */
export function badge(count: number): void {
  const set = count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
  set?.catch(() => {});
}

/** Where the service worker leaves files that were shared with Sheaf (sw/share.ts). */
export const SHARED = 'sheaf-shared';

async function takeShared(): Promise<File[]> {
  if (!new URLSearchParams(location.search).has('shared')) return [];
  history.replaceState(null, '', location.pathname);
  const kept = await caches.open(SHARED);
  const files: File[] = [];
  for (const request of await kept.keys()) {
    const response = await kept.match(request);
    const name = new URL(request.url).searchParams.get('name') ?? 'shared';
    if (response) files.push(new File([await response.blob()], name));
  }
  return files;
}

/** The batch is on the queue: the copy that was shared is needed no more. */
export async function dropShared(): Promise<void> {
  incoming.value = [];
  await caches.delete(SHARED);
}
