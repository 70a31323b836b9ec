// Builds pwa/ (page, workers, service worker) into dist/web, proxies /api while developing, and defines the test
// projects: `unit` needs nothing, `integration` real servers on loopback, `e2e` the built product in real Chromium.
import { VitePWA } from 'vite-plugin-pwa';
import { defineConfig } from 'vitest/config';
import { manifest } from './pwa/manifest.ts';

const api = process.env.SHEAF_DEV_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  root: 'pwa',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'sw',
      filename: 'sw.ts',
      // The page registers the service worker itself: updates wait for a person's consent.
      injectRegister: false,
      manifest,
      injectManifest: { globPatterns: ['**/*.{html,js,css,svg,png,woff2}'], rollupFormat: 'iife' },
    }),
  ],
  build: { outDir: '../dist/web', emptyOutDir: true, target: 'es2023', sourcemap: true },
  worker: { format: 'es' },
  server: { proxy: { '/api': api, '/healthz': api } },
  test: {
    root: '.',
    projects: [
      {
        test: {
          name: 'unit',
          // Some draw and read dozens of pages; a busy machine takes many times as long for it.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          include: ['{shared,server,pwa,e2e}/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts', '**/*.e2e.test.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          globalSetup: ['e2e/support/servers.setup.ts'],
          sequence: { groupOrder: 1 },
          include: ['{server,e2e}/**/*.integration.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          globalSetup: ['e2e/support/servers.setup.ts'],
          sequence: { groupOrder: 2 },
          setupFiles: ['e2e/support/uncaught.setup.ts'],
          include: ['e2e/**/*.e2e.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
