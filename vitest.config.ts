import { defineConfig } from 'vitest/config';
import { PageReporter } from './test/support/page-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', '**/node_modules/**', 'test/**/*.long.test.ts'],
    // One per core less one would be one on a small machine, and most tests wait more than they compute.
    maxWorkers: 2,
    // The modules keep nothing between files: loading them once a worker saves a third of the time.
    isolate: false,
    testTimeout: 15_000,
    hookTimeout: 15_000,
    reporters: [
      'default',
      new PageReporter('rows', 'revisions', 'frameworks', 'threats'),
      ...(process.env['CI'] ? ['json' as const] : []),
    ],
    outputFile: { json: 'test-results/short.json' },
  },
});
