import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['@pushfleet/testkit/vitest/redis', '@pushfleet/testkit/vitest/postgres'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
