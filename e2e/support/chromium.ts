// A real Chromium for journeys: a profile of its own (service workers, storage and notifications need one that is not
// incognito), the machine's browser, nothing downloaded.
import fs from 'node:fs';
import path from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { temporaryFolder } from './places.ts';

export interface BrowserOptions {
  /** keep a profile over several launches; a fresh one is made and removed otherwise */
  profile?: string;
  viewport?: { width: number; height: number };
  touch?: boolean;
  /** more command-line flags, e.g. a fake camera's file */
  args?: string[];
}

export interface Browser {
  context: BrowserContext;
  profile: string;
  close(): Promise<void>;
}

/** What no page has caught, of all browsers that were opened here, since somebody looked. */
const uncaught: string[] = [];
export const takeUncaught = (): string[] => uncaught.splice(0);

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

export function findChromium(): string {
  const chosen = process.env.TEST_CHROMIUM;
  if (chosen) return chosen;
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  for (const name of NAMES) {
    const found = folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
    if (found) return found;
  }
  throw new Error('Chromium is missing: type `sudo apt-get install chromium`, or set TEST_CHROMIUM to its program.');
}

/** Flags: no sandbox (tests may run as root in a container, where /dev/shm is small too), and nothing that goes to the
 *  network by itself. */
export const FLAGS = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function openBrowser(options: BrowserOptions = {}): Promise<Browser> {
  const profile = options.profile ?? temporaryFolder();
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    headless: true,
    timeout: 120_000,
    chromiumSandbox: false,
    viewport: options.viewport ?? { width: 1280, height: 800 },
    hasTouch: options.touch ?? false,
    args: [...FLAGS, ...(options.args ?? [])],
  });
  // Playwright gives an action 30 s, and a start too; a machine that draws in software beside other work may take that
  // for a frame.
  context.setDefaultTimeout(120_000);
  context.on('weberror', (fault) => uncaught.push(fault.error().stack ?? String(fault.error())));
  return {
    context,
    profile,
    async close() {
      await context.close();
      if (options.profile === undefined) fs.rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Grants what Playwright has no name for, e.g. `background-sync`, `persistent-storage`, `screen-wake-lock`. The
 *  grants hold as long as the session that gave them, so it stays open until the browser closes. */
export async function grant(context: BrowserContext, origin: string, names: readonly string[]): Promise<void> {
  const session = await context.browser()?.newBrowserCDPSession();
  if (!session) throw new Error('the browser has closed');
  for (const name of names) {
    await session.send('Browser.setPermission', { permission: { name }, setting: 'granted', origin });
  }
}
