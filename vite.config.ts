// Builds pwa/ (page, workers, service worker) into dist/web, proxies /api while developing, and defines the test
// projects: `unit` needs nothing, `integration` real servers on loopback, `e2e` the built product in real Chromium.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: 'pwa',
  build: { outDir: '../dist/web', emptyOutDir: true },
  test: {
    root: '.',
    projects: [
      { test: { name: 'unit', include: ['{shared,server,pwa}/**/*.test.ts'], exclude: ['**/*.integration.test.ts'] } },
      {
        test: {
          name: 'integration',
          include: ['{server,e2e}/**/*.integration.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
