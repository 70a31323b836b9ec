// Builds pwa/ (page, workers, service worker) into dist/web, proxies /api while developing, and defines the test
// projects: `unit` needs nothing, `integration` real servers on loopback, `e2e` the built product in real Chromium.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: 'pwa',
  build: { outDir: '../dist/web', emptyOutDir: true },
  test: {
    root: '.',
    projects: [
      {
        test: {
          name: 'unit',
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
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          globalSetup: ['e2e/support/servers.setup.ts'],
          sequence: { groupOrder: 2 },
          include: ['e2e/**/*.e2e.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
