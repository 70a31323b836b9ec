// The built pages: hashed files kept for good, the shell and the service worker asked for again each time, and the shell
// for every path that is a screen.
import path from 'node:path';
import express, { type Express } from 'express';
import { refuse } from '../problem.ts';

/** What the page may load and talk to: itself. Blobs and data URLs are thumbnails it makes. */
const POLICY =
  "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

export function webRoutes(app: Express, folder: string): void {
  app.use((_req, res, next) => {
    res.set({
      'Content-Security-Policy': POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin',
    });
    next();
  });
  app.use(
    express.static(folder, {
      index: 'index.html',
      setHeaders(res, file) {
        const hashed = path.basename(path.dirname(file)) === 'assets';
        res.setHeader('Cache-Control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    }),
  );
  app.get(/^\/(?!api\/)[^.]*$/, (_req, res, next) => {
    res.sendFile('index.html', { root: folder, headers: { 'Cache-Control': 'no-cache' } }, (error) => {
      if (error) next();
    });
  });
  app.use((req) =>
    refuse(
      'NOT_FOUND',
      `There is no ${req.method} ${req.originalUrl.split('?')[0]}. The app itself is at /, its API under /api.`,
    ),
  );
}
