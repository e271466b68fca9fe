import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/peers/*.test.ts', 'test/**/*.long.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    ...(process.env['CI'] && { reporters: ['default', 'json'], outputFile: { json: 'test-results/long.json' } }),
  },
});
