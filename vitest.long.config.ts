import { defineConfig } from 'vitest/config';
import { NotRunReporter } from './test/support/not-run.ts';
import { PageReporter } from './test/support/page-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/peers/*.test.ts', 'test/**/*.long.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    reporters: [
      'default',
      new PageReporter('peers'),
      ...(process.env['CI'] ? ['json' as const] : []),
      new NotRunReporter(),
    ],
    outputFile: { json: 'test-results/long.json' },
  },
});
