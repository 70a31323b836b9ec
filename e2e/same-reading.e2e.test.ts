// One engine, two places: what the server runs under Node and what a browser runs in a real Chromium read the same raster
// to the same bytes. Worn sheets of all levels, a cover, odd rasters, and the real scans of ../shared/data where they are.
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeGray } from '../server/adapters/decode.ts';
import { drawCover, drawSheet } from '../shared/corpus/draw.ts';
import { wornSheet } from '../shared/corpus/levels.ts';
import type { GrayImage } from '../shared/omr/image.ts';
import { BUILT_IN } from '../shared/template/built-in.ts';
import type { Template } from '../shared/template/template.ts';
import { DATA, openScans, SOURCES } from './real-scans/read-scans.ts';
import { type Browser, openBrowser } from './support/chromium.ts';
import { ROOT, temporaryFolder } from './support/places.ts';

interface Case {
  name: string;
  templates: readonly Template[];
  raster(): Promise<GrayImage>;
}

type Engine = typeof import('../shared/omr/read-page.ts');

const SHEETS_A_LEVEL = 4;

const cases = async (): Promise<Case[]> => {
  const list: Case[] = [];
  const add = (name: string, raster: () => GrayImage, templates: readonly Template[] = BUILT_IN): void => {
    list.push({ name, templates, raster: async () => raster() });
  };
  for (const level of [1, 2, 3] as const) {
    for (let i = 0; i < SHEETS_A_LEVEL; i++) {
      const template = BUILT_IN[(level + i) % BUILT_IN.length]!;
      const dpi = [200, 150, 300, 100][i % 4]!;
      add(`level ${level}, ${template.id} at ${dpi} dpi`, () => wornSheet(template, level, 31 * level + i, dpi).image);
    }
  }
  add('a cover', () => drawCover('14900113', 150));
  // a text that the engine does not expect, so that its code is found and decoded
  add('a sheet of another system', () =>
    drawSheet(BUILT_IN[0]!, { roll: '', variant: '', answers: [], qr: 'https://example.org/1', seed: 1 }, 150),
  );
  add('an empty page', () => ({ width: 600, height: 800, data: new Uint8Array(480_000).fill(250) }));
  add('noise', () => ({
    width: 640,
    height: 900,
    data: Uint8Array.from({ length: 576_000 }, (_, i) => (Math.imul(i + 1, 2_654_435_761) >>> 24) & 255),
  }));
  add('a raster too small', () => ({ width: 9, height: 9, data: new Uint8Array(81) }));
  if (!existsSync(DATA)) {
    console.warn(`The real scans are not at ${DATA}: Node and Chromium are compared on drawn pages alone.`);
    return list;
  }
  for (const source of SOURCES) {
    const scans = await openScans(source);
    for (const image of scans.images) {
      list.push({
        name: `${source} ${image}`,
        templates: [scans.form(image).template],
        raster: async () => {
          const decoded = await decodeGray(await scans.bytes(image));
          if (!decoded.ok) throw new Error(decoded.reason);
          return decoded.image;
        },
      });
    }
  }
  return list;
};

/** What the browser runs: asks for the next case, reads it, and tells. */
const PAGE = `<!doctype html><title>reading</title><script type="module">
import { readPage } from '/engine.js';
globalThis.readNext = async () => {
  const { templates, width, height } = await (await fetch('/case')).json();
  const data = new Uint8Array(await (await fetch('/raster')).arrayBuffer());
  return JSON.stringify(readPage({ width, height, data }, templates));
};
</script>`;

let browser: Browser;
let server: http.Server;
let folder: string;
/** what is asked for next */
let served: { templates: readonly Template[]; image: GrayImage; sent(): void };

beforeAll(async () => {
  folder = temporaryFolder();
  // as the web app would bundle what the server runs
  await build({
    configFile: false,
    logLevel: 'error',
    root: ROOT,
    build: {
      outDir: folder,
      target: 'es2023',
      lib: { entry: path.join(ROOT, 'dist/shared/omr/read-page.js'), formats: ['es'], fileName: () => 'engine.js' },
    },
  });
  server = http.createServer((request, response) => {
    const answer = async (): Promise<[type: string, body: string | Uint8Array]> => {
      switch (request.url) {
        case '/engine.js':
          return ['text/javascript', await fs.readFile(path.join(folder, 'engine.js'))];
        case '/case': {
          const { templates, image } = served;
          return ['application/json', JSON.stringify({ templates, width: image.width, height: image.height })];
        }
        case '/raster':
          return ['application/octet-stream', served.image.data];
        default:
          return ['text/html', PAGE];
      }
    };
    answer().then(
      ([type, body]) => {
        response.setHeader('content-type', type).end(body);
        if (request.url === '/raster') response.once('finish', () => served.sent());
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  server?.close();
  await fs.rm(folder, { recursive: true, force: true });
});

test('[R1] Node and Chromium read the same raster to the same bytes', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const page = await browser.context.newPage();
  await page.goto(url);
  await page.waitForFunction('globalThis.readNext !== undefined');
  const node = (await import(pathToFileURL(path.join(ROOT, 'dist/shared/omr/read-page.js')).href)) as Engine;
  const kinds: Record<string, number> = {};
  let qrs = 0;
  for (const { name, templates, raster } of await cases()) {
    const image = await raster();
    const asked = new Promise<void>((resolve) => {
      served = { templates, image, sent: resolve };
    });
    const reading: Promise<unknown> = page.evaluate('readNext()');
    await Promise.race([asked, reading]);
    // while the browser reads; both know the templates as they come through JSON
    const here = node.readPage(image, JSON.parse(JSON.stringify(templates)) as Template[]);
    expect(await reading, name).toBe(JSON.stringify(here));
    kinds[here.kind] = (kinds[here.kind] ?? 0) + 1;
    if (here.kind === 'cover' && here.task_id === '14900113') qrs++;
  }
  console.log(JSON.stringify(kinds));
  expect(kinds.sheet).toBeGreaterThan(2 * SHEETS_A_LEVEL);
  expect(kinds.blank).toBe(1);
  // the decoder of QR codes is there in both
  expect(qrs).toBe(1);
});
