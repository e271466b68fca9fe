import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', '**/node_modules/**', 'test/**/*.long.test.ts'],
    testTimeout: 15_000,
    hookTimeout: 15_000,
    ...(process.env['CI'] && { reporters: ['default', 'json'], outputFile: { json: 'test-results/short.json' } }),
  },
});
