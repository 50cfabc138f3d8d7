import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['@pushfleet/testkit/vitest/redis'],
    testTimeout: 60_000,
  },
});
