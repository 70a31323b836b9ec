// Draws pages of PDFs, in a thread of its own: PDFium is WebAssembly, runs without a pause, and a hostile file may keep it
// busy for ever or break it. Holds the one document that was sent last.
import { parentPort } from 'node:worker_threads';
import { type PDFiumDocument, PDFiumLibrary } from '@hyzyla/pdfium';

export type PdfRequest = { open: Uint8Array } | { page: number };
export type PdfAnswer =
  | { ok: true; pages: number }
  | { ok: true; image: { width: number; height: number; data: Uint8Array } }
  | { ok: false; reason: string };

/** Scanners put a page into a PDF at 100 to 600 dpi; marks are read as well at this. */
const DPI = 200;
/** Some say a pixel is a point: so many pixels the long side has at least and at most, an A4 page having 2339. */
const LONG_SIDE = [1700, 4400] as const;

const port = parentPort;
if (!port) throw new Error('this file is run as a worker thread');
const library = await PDFiumLibrary.init();
let document: PDFiumDocument | null = null;

const open = async (bytes: Uint8Array): Promise<PdfAnswer> => {
  document?.destroy();
  document = null;
  try {
    document = await library.loadDocument(bytes);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (/password|security/i.test(message)) return { ok: false, reason: 'the PDF is protected by a password' };
    return { ok: false, reason: `the PDF is damaged or cut short (${message})` };
  }
  return { ok: true, pages: document.getPageCount() };
};

const draw = async (index: number): Promise<PdfAnswer> => {
  const page = document?.getPage(index);
  if (!page) return { ok: false, reason: 'the PDF has no such page' };
  const { originalWidth, originalHeight } = page.getOriginalSize();
  const long = Math.max(originalWidth, originalHeight);
  if (!(Math.min(originalWidth, originalHeight) > 0)) return { ok: false, reason: 'the page of the PDF has no size' };
  const pixels = Math.min(LONG_SIDE[1], Math.max(LONG_SIDE[0], (long * DPI) / 72));
  const [width, height] = [originalWidth, originalHeight].map((side) =>
    Math.max(1, Math.round((side / long) * pixels)),
  );
  const drawn = await page.render({ width: width!, height: height!, scale: 1, colorSpace: 'Gray', render: 'bitmap' });
  return { ok: true, image: { width: drawn.width, height: drawn.height, data: drawn.data } };
};

port.on('message', (request: PdfRequest) => {
  const answering = 'open' in request ? open(request.open) : draw(request.page);
  answering.then(
    (answer) => port.postMessage(answer, 'image' in answer ? [answer.image.data.buffer as ArrayBuffer] : []),
    // whatever broke inside has broken the library with it: the thread ends, the next file gets a new one
    (error: unknown) => {
      throw error;
    },
  );
});
