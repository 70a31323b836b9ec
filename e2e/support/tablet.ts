// A tablet that can be hurt: the app in real Chromium on a profile that outlives it. Its tab, its service worker and the
// whole browser can be killed at any moment and opened again; what it has queued is read from its own store.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import type { Step } from '../../pwa/db.ts';
import { fillSignIn, openApp, openTablet, queueZip, signIn } from '../browser.ts';
import { type Browser, FLAGS, findChromium } from './chromium.ts';
import { eventually, isAlive } from './places.ts';
import { cpuSecondsOf } from './processes.ts';

export interface Queued {
  /** the `client_upload_id` */
  id: string;
  name: string;
  at: Step['at'];
  /** chunks whose bytes this device still holds */
  stored: number;
  /** which those are */
  chunks: number[];
}

export interface Tablet {
  /** the app's tab, opened (and the browser started) when there is none */
  app(): Promise<Page>;
  signIn(user: { username: string; password: string }): Promise<void>;
  /** Tries once to sign in where the app asks for it: a browser that is killed may lose the newest cookie, and with it its session. */
  signInIfAsked(user: { username: string; password: string }): Promise<void>;
  /** Queues a ZIP with cover sheets as a person does. Resolves with its id when all of it is durable on the device. */
  queue(file: string): Promise<string>;
  /** All uploads of the device as its store has them. Opens the app when it is not open. */
  queued(): Promise<Queued[]>;
  /** Kills the tab's process, as the system does when memory is short, and closes what is left of it. */
  killTab(): Promise<void>;
  /** Closes every tab of the app in order, as a person does. The browser stays. */
  closeTab(): Promise<void>;
  /** Stops the service worker wherever it is; the next event starts it again. */
  killWorker(): Promise<void>;
  /** SIGKILL for the whole browser. */
  killBrowser(): Promise<void>;
  close(): Promise<void>;
}

/** Processes of this machine of which something holds; one that ends while it is looked at does not count. */
const processesThat = (holds: (pid: number) => boolean): number[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return holds(pid);
      } catch {
        return false;
      }
    });

/** Processes that were started on this profile. */
const processesOn = (profile: string): number[] =>
  processesThat((pid) => {
    const args = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return args.includes(`--user-data-dir=${profile}`) && isAlive(pid);
  });

/** Processes of a group. */
const processesOf = (group: number | undefined): number[] =>
  processesThat((pid) => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group;
  });

/** The lock of a browser that was killed is left behind. */
export function unlock(profile: string): void {
  for (const name of ['SingletonLock', 'SingletonSocket', 'SingletonCookie'])
    fs.rmSync(path.join(profile, name), { force: true });
}

export interface Bare {
  /** Resolves when it has had nothing to do for two seconds: what it was told is stored by then. */
  rests(): Promise<void>;
  quit(): Promise<void>;
}

/** A browser that nobody looks into, with one empty tab: developer tools would keep service workers alive. */
export function startBare(profile: string): Bare {
  unlock(profile);
  const browser = spawn(findChromium(), [...FLAGS, '--headless=new', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: 'ignore',
    detached: true,
  });
  const ended = new Promise((resolve) => browser.once('exit', resolve));
  return {
    async rests() {
      const used = async (): Promise<number> => {
        const all = await Promise.all(processesOf(browser.pid).map((pid) => cpuSecondsOf(pid).catch(() => 0)));
        return all.reduce((sum, seconds) => sum + seconds, 0);
      };
      await eventually('a browser that rests', async () => {
        const before = await used();
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        return (await used()) - before < 0.2;
      });
    },
    async quit() {
      // The whole group: the browser's helpers are its children.
      if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid, 'SIGTERM');
      await ended;
    },
  };
}

const readQueue = (page: Page): Promise<Queued[]> =>
  page.evaluate(async () => {
    const ask = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await ask(indexedDB.open('sheaf-queue'));
    const uploads: { id: string; name: string; step: { at: Step['at'] } }[] = await ask(
      db.transaction('uploads').objectStore('uploads').getAll(),
    );
    const chunks: { upload: string; index: number; state: string }[] = await ask(
      db.transaction('chunks').objectStore('chunks').getAll(),
    );
    db.close();
    return uploads.map(({ id, name, step }) => {
      const here = chunks.filter(({ upload, state }) => upload === id && state === 'staged').map(({ index }) => index);
      return { id, name, at: step.at, stored: here.length, chunks: here };
    });
  });

/** `profile` is a folder of the caller's, kept over every death and removed by nobody here; `url` where the app is. */
export function createTablet(url: string, profile: string): Tablet {
  let browser: Browser | null = null;
  let page: Page | null = null;

  const start = async (): Promise<Browser> => {
    if (browser) return browser;
    unlock(profile);
    browser = await openTablet(url, { profile });
    return browser;
  };
  const ours = (open: Browser): Page[] => open.context.pages().filter((tab) => tab.url().startsWith(url));
  /** A tab that is not the app's, so that the browser stays when the app's is gone. */
  const blank = async (open: Browser): Promise<Page> =>
    open.context.pages().find((tab) => !tab.url().startsWith(url)) ?? open.context.newPage();

  const app = async (): Promise<Page> => {
    const open = await start();
    page ??= await openApp(open.context, url);
    return page;
  };

  const queued = async (): Promise<Queued[]> => readQueue(await app());

  return {
    app,
    async signIn(user) {
      await signIn(await app(), user);
    },
    async signInIfAsked(user) {
      const tab = await app();
      const asks = tab.getByRole('main').getByRole('button', { name: 'Sign in' });
      if (!(await asks.isVisible())) return;
      if (!(await tab.getByLabel('Password').isVisible())) await asks.click();
      await fillSignIn(tab, user);
      // Signed in, or told why not: the server may be away.
      await tab.locator('main:not(:has(#password)), #sign-in-problem').first().waitFor();
    },
    async queue(file) {
      const tab = await app();
      const before = new Set((await readQueue(tab)).map(({ id }) => id));
      await queueZip(tab, file);
      const name = path.basename(file);
      const { id } = await eventually(`${name} durable on the tablet`, async () =>
        (await readQueue(tab)).find(
          (upload) => !before.has(upload.id) && upload.name === name && upload.at !== 'staging',
        ),
      );
      return id;
    },
    queued,
    async killTab() {
      const tab = await app();
      await blank(await start());
      const devtools = await tab.context().newCDPSession(tab);
      const crashed = tab.waitForEvent('crash');
      // It never answers: it is dead.
      devtools.send('Page.crash').catch(() => undefined);
      await crashed;
      page = null;
      await tab.close();
    },
    async closeTab() {
      const open = await start();
      await blank(open);
      page = null;
      for (const tab of ours(open)) await tab.close();
    },
    async killWorker() {
      const tab = await blank(await start());
      const devtools = await tab.context().newCDPSession(tab);
      await devtools.send('ServiceWorker.enable');
      await devtools.send('ServiceWorker.stopAllWorkers');
      await devtools.detach();
    },
    async killBrowser() {
      const open = await start();
      const gone = new Promise<void>((resolve) => open.context.once('close', () => resolve()));
      for (const pid of processesOn(profile)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Its parent was killed a moment ago.
        }
      }
      await gone;
      await eventually('the end of the browser', () => processesOn(profile).length === 0);
      browser = null;
      page = null;
    },
    async close() {
      await browser?.close();
      browser = null;
      page = null;
    },
  };
}
