// The tablet of the real tier, of two kinds: the app's sender in this process, and the app in real Chromium.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../shared/corpus/random.ts';
import { SMALLEST_CHUNK } from '../../shared/protocol/upload.ts';
import { temporaryFolder } from '../support/places.ts';
import { createTablet as openChromium } from '../support/tablet.ts';
import type { Fault } from './plan.ts';
import { createTablet, newId } from './tablet.ts';

export interface Seen {
  /** the `client_upload_id` */
  id: string;
  name: string;
  at: string;
  /** what it says about why it is there */
  why: string;
  /** chunks whose bytes are on the device */
  stored: Set<number>;
}

export interface Device {
  /** Queues a copy of the file under this name; resolves when all of it is on the device. */
  keep(name: string, file: string): Promise<void>;
  uploads(): Promise<Seen[]>;
  /** Lets it send for a while. */
  send(): Promise<void>;
  hurt(fault: Fault): Promise<void>;
  close(): Promise<void>;
}

interface User {
  username: string;
  password: string;
}

/** A request that moves no bytes takes no longer than this on loopback, unless the server is away. */
const LONGEST_NAP_MS = 400;
/** A server that was killed is back within this, on a machine that has much else to do. */
const SERVER_BACK_MS = 240_000;

export async function openNodeDevice(url: string, user: User, random: Random): Promise<Device> {
  /** The tablet's clock runs ahead by all the pauses that were cut short. */
  let ahead = 0;
  const tablet = await createTablet({
    async fetch(path, init, cookie) {
      const headers = new Headers(init.headers);
      if (cookie !== null) headers.set('cookie', cookie);
      return fetch(`${url}${path}`, { ...init, headers });
    },
    now: () => Date.now() + ahead,
    elapsed: () => performance.now(),
    async sleep(ms) {
      const nap = Math.min(ms, LONGEST_NAP_MS);
      ahead += ms - nap;
      await sleep(nap);
    },
    random: () => random.next(),
  });
  const signIn = async (): Promise<void> => {
    for (const until = Date.now() + SERVER_BACK_MS; Date.now() < until; await sleep(500))
      if (await tablet.signIn(user.username, user.password)) return;

    throw new Error('nobody can sign in on the tablet');
  };
  await signIn();
  const ids: { id: string; name: string }[] = [];
  return {
    async keep(name, file) {
      const id = newId();
      ids.push({ id, name });
      await tablet.keep({
        id,
        name,
        upload_type: 'zip_with_qr',
        task_id: null,
        chunk_size: SMALLEST_CHUNK,
        bytes: fs.readFileSync(file),
      });
    },
    async uploads() {
      const seen: Seen[] = [];
      for (const { id, name } of ids) {
        const step = await tablet.stepOf(id);
        seen.push({ id, name, at: step?.at ?? 'gone', why: JSON.stringify(step), stored: await tablet.stored(id) });
      }
      return seen;
    },
    async send() {
      const end = await tablet.send(60_000);
      if (end === 'empty') return;
      if (end === 'waiting') {
        for (const { id } of ids) {
          const step = await tablet.stepOf(id);
          // Tried again with the next look: the server may be away, and come back elsewhere.
          if (step?.at === 'waiting' && step.why === 'sign-in') await tablet.signIn(user.username, user.password);
        }
        // Whatever it was asked to wait for is over.
        ahead += 600_000;
      }
      await sleep(200);
    },
    async hurt({ how }) {
      tablet.killAt(Math.floor(how * 10));
    },
    async close() {
      tablet.close();
    },
  };
}

const UNANSWERED_MS = 60_000;

export async function openBrowserDevice(url: string, user: User): Promise<Device> {
  const profile = temporaryFolder();
  const folder = temporaryFolder();
  const tablet = openChromium(url, profile);
  const deaths = { hurting: Promise.resolve() };
  await tablet.signIn(user);
  /** What is asked of a tab that dies meanwhile may never be answered. */
  const inTime = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([
      work,
      sleep(UNANSWERED_MS, undefined, { ref: false }).then(() => {
        throw new Error('the browser does not answer');
      }),
    ]);
  /** Waits until nobody is being killed, and begins anew in a new browser when the old one does not answer. */
  const whenWell = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries++) {
      await deaths.hurting;
      try {
        return await inTime(work());
      } catch (error) {
        if (tries >= 5) throw error;
        await inTime(tablet.killBrowser()).catch(() => undefined);
      }
    }
  };
  return {
    async keep(name, file) {
      const copy = `${folder}/${name}`;
      fs.copyFileSync(file, copy);
      await whenWell(async () => {
        if (!(await tablet.queued()).some((upload) => upload.name === name)) await tablet.queue(copy);
      });
      fs.rmSync(copy);
    },
    uploads: () =>
      whenWell(async () =>
        (await tablet.queued()).map(({ id, name, at, stored, chunks }) => ({
          id,
          name,
          at,
          why: `${stored} chunks are stored`,
          stored: new Set(chunks),
        })),
      ),
    async send() {
      await whenWell(() => tablet.signInIfAsked(user));
      await sleep(1500);
    },
    hurt({ kind, how }) {
      const kill = async (): Promise<void> => {
        await sleep(how * 300);
        if (kind === 'tab-killed') await tablet.killTab();
        else if (kind === 'worker-killed') await tablet.killWorker();
        else if (kind === 'browser-killed') await tablet.killBrowser();
      };
      // One that cannot be killed gently any more is killed with its browser.
      const happens = (): Promise<void> => inTime(kill()).catch(() => inTime(tablet.killBrowser()));
      deaths.hurting = deaths.hurting.then(happens).catch(() => undefined);
      return deaths.hurting;
    },
    async close() {
      await tablet.close();
      for (const made of [profile, folder]) fs.rmSync(made, { recursive: true, force: true });
    },
  };
}
