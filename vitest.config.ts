import { defineConfig } from 'vitest/config';

// The tests of the repository itself; each workspace has its own.
export default defineConfig({
  test: { include: ['test/**/*.test.ts', 'scripts/**/*.test.ts'] },
});
