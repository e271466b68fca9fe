import { defineConfig } from 'vitest/config';
import { CompatibilityReporter } from './test/support/compatibility.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', '**/node_modules/**', 'test/**/*.long.test.ts'],
    // One per core less one would be one on a small machine, and most tests wait more than they compute.
    maxWorkers: 2,
    testTimeout: 15_000,
    hookTimeout: 15_000,
    reporters: [
      'default',
      new CompatibilityReporter('rows', 'revisions', 'frameworks'),
      ...(process.env['CI'] ? ['json' as const] : []),
    ],
    outputFile: { json: 'test-results/short.json' },
  },
});
